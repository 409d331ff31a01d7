"""How a Frame is sealed before it is written to disk: with a checksum, or encrypted.

What a row says in the clear, its sequence among it, is sealed with the payload (associated data),
as is whose spool it is: rows cannot be swapped, changed, or put into another agent's file.
In the clear are numbers, times and pseudonyms; what was measured is not. The cipher is in
``edge.spool.cipher``.
"""

import zlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from edge.spool.rows import RowDamagedError

if TYPE_CHECKING:
    from edge.spool.cipher import Cipher

KEY_BYTES: Final = 32
_CHECK_BYTES: Final = 4
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
        self._ciphers = _ciphers(keys, owner.encode()) if keys else {}
        self.newest = next(iter(self._ciphers), PLAIN)
        """Name of the key for new Frames; empty where they are not encrypted."""

    def without_key(self, key_ids: Iterable[str]) -> list[str]:
        """Give those of the keys named that are not here."""
        return [one for one in key_ids if one != PLAIN and one not in self._ciphers]

    def seal(self, payload: bytes, about: bytes) -> bytes:
        """Seal a payload with the newest key, bound to what the row says of it."""
        if self.newest == PLAIN:
            return zlib.crc32(payload, zlib.crc32(about)).to_bytes(_CHECK_BYTES, "little") + payload
        return self._ciphers[self.newest].encrypt(payload, self._owner + about)

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
        return self._ciphers[key].decrypt(sealed, self._owner + about)


def _ciphers(keys: Sequence[bytes], owner: bytes) -> "dict[str, Cipher]":
    # Only where there is a key: the library takes six megabytes of a small machine's memory.
    from edge.spool.cipher import Cipher, key_id  # noqa: PLC0415

    return {key_id(key): Cipher(key, owner=owner) for key in keys}
