"""Names that leave the agent: keyed pseudonyms, never an address or a serial number."""

import hashlib
import hmac
import secrets
from pathlib import Path
from typing import Final

_KEY_BYTES: Final = 32
_ID_HEX_DIGITS: Final = 6
"""Enough within one subject, where alone a device's name must be unique."""


def load_key(path: Path) -> bytes:
    """Read the agent's secret key, or make it on the first start, readable by the owner only."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(_KEY_BYTES), "ascii")
    return bytes.fromhex(path.read_text("ascii"))


def device_pseudonym(model: str, identity: str, key: bytes) -> str:
    """Name a device: its model for people, and a keyed hash of what identifies it.

    Parameters
    ----------
    model
        The catalogue's name, as ``Polar H10``.
    identity
        Serial number, or the address where it states none.
    key
        Secret of this agent; the same device has another name with another agent's key.
    """
    digest = hmac.new(key, f"device:{model}:{identity}".encode(), hashlib.sha256).hexdigest()
    slug = "-".join("".join(c if c.isalnum() else " " for c in model.lower()).split())
    slug = slug.removeprefix("chevet-")
    return f"{slug}-{digest[:_ID_HEX_DIGITS]}"
