"""Names that leave the agent: keyed pseudonyms, never a person's, an address or a serial number.

A pseudonym is the start of an HMAC-SHA-256 of what identifies somebody or something, under a secret
key. Without the key nobody can try out all record numbers of a hospital; with it, the same person
has the same pseudonym again, at every agent that has the key.

Source: RFC 2104 (HMAC); ISO 25237:2017, Health informatics - Pseudonymization, for the terms.
"""

import base64
import hashlib
import hmac
import os
import secrets
import unicodedata
from pathlib import Path
from typing import Final

_KEY_BYTES: Final = 32
_ID_HEX_DIGITS: Final = 6
"""Enough within one subject, where alone a device's name must be unique."""

_SUBJECT_BYTES: Final = 10
"""80 bits: among a hundred million people two share a pseudonym with a chance of 4 in a billion."""


def load_key(path: Path) -> bytes:
    """Read a secret key, or make it on the first start, readable by the owner only.

    Raises
    ------
    ValueError
        The file holds no key of 32 bytes in hexadecimal digits.
    OSError
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read_key(path)
    key = secrets.token_bytes(_KEY_BYTES)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(key.hex())
        file.flush()
        os.fsync(file.fileno())
    return key


def _read_key(path: Path) -> bytes:
    try:
        key = bytes.fromhex(path.read_text("ascii"))
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise ValueError(
            f"{path} holds no key: {2 * _KEY_BYTES} hexadecimal digits are due. Restore it from "
            "where it was copied; a new key gives everybody a new pseudonym"
        )
    return key


def subject_pseudonym(patient_id: str, key: bytes) -> str:
    """Name a person by a keyed hash of what identifies them.

    Parameters
    ----------
    patient_id
        As the hospital writes it. Spaces around it, its case and the form of its characters
        (Unicode NFKC) do not matter.
    key
        The same at all agents where one person must have one name.

    Returns
    -------
    str
        ``p-`` and 16 characters of a to z and 2 to 7.

    Raises
    ------
    ValueError
        The identifier is empty.
    """
    plain = " ".join(unicodedata.normalize("NFKC", patient_id).casefold().split())
    if not plain:
        raise ValueError("the patient's identifier is empty")
    digest = hmac.new(key, f"subject:{plain}".encode(), hashlib.sha256).digest()
    return f"p-{base64.b32encode(digest[:_SUBJECT_BYTES]).decode().lower()}"


def device_label(name: str, key: bytes) -> str:
    """Name a device before anything is known of it but what the settings call it."""
    digest = hmac.new(key, f"label:{name}".encode(), hashlib.sha256).hexdigest()
    return f"device-{digest[:_ID_HEX_DIGITS]}"


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
