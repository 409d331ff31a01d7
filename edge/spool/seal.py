"""How a Frame is sealed before it is written to disk: with a checksum, or encrypted.

ChaCha20-Poly1305 (RFC 8439): on machines whose processor has no AES, such as a Raspberry Pi 4, it
is the faster of the two usual ciphers and takes the same time for any data. The key in use is
derived by HKDF-SHA256 (RFC 5869) from the one in the settings and the names of agent and subject.
Each Frame has a random nonce: one made of the sequence would come twice with other data, when a
transaction fails and its Frames are cut anew. Two random nonces of 2**32 are equal with a chance of
one in 2**33; 2**32 is 34 years of four Frames a second.

What a row says in the clear, its sequence among it, is sealed with the payload (associated data),
as is whose spool it is: rows cannot be swapped, changed, or put into another agent's file.
In the clear are numbers, times and pseudonyms; what was measured is not.
"""

import os
import zlib
from collections.abc import Iterable, Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from edge.spool.rows import RowDamagedError

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_CHECK_BYTES: Final = 4
_ID_BYTES: Final = 8
PLAIN: Final = ""
"""The key's name where there is none."""


class SpoolKeyError(ValueError):
    """A text is no key; the message does not repeat it."""


def parse_keys(text: str) -> tuple[bytes, ...]:
    """Read keys, one a line in 64 hexadecimal digits, the newest first.

    New Frames are sealed with the first. The others are for Frames that were sealed before it came.

    Raises
    ------
    SpoolKeyError
    """
    keys: list[bytes] = []
    for n, line in enumerate(text.split(), start=1):
        try:
            key = bytes.fromhex(line)
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            # The cause would quote the key.
            raise SpoolKeyError(
                f"spool key {n} is not {2 * KEY_BYTES} hexadecimal digits"
            ) from None
        keys.append(key)
    if not keys:
        raise SpoolKeyError("there is no spool key")
    return tuple(keys)


def key_id(key: bytes) -> str:
    """Name a key without telling it."""
    return _derive(key, salt=b"", info=b"chevet spool key id", n_bytes=_ID_BYTES).hex()


class Seals:
    """Seals payloads with the newest key, and opens those of any key that it has.

    Parameters
    ----------
    keys
        The newest first; none: payloads are written as they are, with a checksum.
    owner
        Whose spool it is.
    """

    def __init__(self, keys: Sequence[bytes], *, owner: str) -> None:
        self._owner = len(owner.encode()).to_bytes(4, "little") + owner.encode()
        self._ciphers = {
            key_id(key): ChaCha20Poly1305(
                _derive(key, salt=owner.encode(), info=b"chevet spool frames")
            )
            for key in keys
        }
        self.newest = next(iter(self._ciphers), PLAIN)
        """Name of the key for new Frames; empty where they are not encrypted."""

    def without_key(self, key_ids: Iterable[str]) -> list[str]:
        """Give those of the keys named that are not here."""
        return [one for one in key_ids if one != PLAIN and one not in self._ciphers]

    def seal(self, payload: bytes, about: bytes) -> bytes:
        """Seal a payload with the newest key, bound to what the row says of it."""
        if self.newest == PLAIN:
            return zlib.crc32(payload, zlib.crc32(about)).to_bytes(_CHECK_BYTES, "little") + payload
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._ciphers[self.newest].encrypt(nonce, payload, self._owner + about)
        return nonce + sealed

    def open(self, key: str, sealed: bytes, about: bytes) -> bytes:
        """Give back a payload.

        Raises
        ------
        RowDamagedError
            It is not what was sealed, or not with this key, or not in this place.
        """
        if key == PLAIN:
            payload = sealed[_CHECK_BYTES:]
            check = zlib.crc32(payload, zlib.crc32(about)).to_bytes(_CHECK_BYTES, "little")
            if check != sealed[:_CHECK_BYTES]:
                raise RowDamagedError("the checksum is wrong")
            return payload
        if key not in self._ciphers:
            raise RowDamagedError(f"no key {key}")
        nonce, body = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return self._ciphers[key].decrypt(nonce, body, self._owner + about)
        except (InvalidTag, ValueError) as error:  # too short, or not what was sealed
            raise RowDamagedError("the seal is broken") from error


def _derive(key: bytes, *, salt: bytes, info: bytes, n_bytes: int = KEY_BYTES) -> bytes:
    return HKDF(algorithm=SHA256(), length=n_bytes, salt=salt, info=info).derive(key)
