"""The Grafana Live sink: the last seconds of watched subjects, pushed to Grafana's panels."""

from processors.sinks.grafana_live.counts import PushCounts
from processors.sinks.grafana_live.pusher import LivePusher

__all__ = ["LivePusher", "PushCounts"]
