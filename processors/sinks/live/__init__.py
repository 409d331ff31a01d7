"""The built-in live page: a hub that remembers the last seconds, and a server that shows them."""

from processors.sinks.live.hub import HubCounts, LiveHub
from processors.sinks.live.server import build_app, serve

__all__ = ["HubCounts", "LiveHub", "build_app", "serve"]
