"""How a Frame is encrypted before it is written to disk.

ChaCha20-Poly1305 (RFC 8439): on machines whose processor has no AES, such as a Raspberry Pi 4, it
is the faster of the two usual ciphers and takes the same time for any data. The key in use is
derived by HKDF-SHA256 (RFC 5869) from the one in the settings and the names of agent and subject.
Each Frame has a random nonce: one made of the sequence would come twice with other data, when a
transaction fails and its Frames are cut anew. Two random nonces of 2**32 are equal with a chance of
one in 2**33; 2**32 is 34 years of four Frames a second.
"""

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from edge.spool.rows import RowDamagedError

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_ID_BYTES: Final = 8


class Cipher:
    """Encrypts what belongs to one owner.

    Parameters
    ----------
    key
        32 bytes.
    owner
        Whose spool it is.
    """

    def __init__(self, key: bytes, *, owner: bytes) -> None:
        self._cipher = ChaCha20Poly1305(_derive(key, salt=owner, info=b"chevet spool frames"))

    def encrypt(self, payload: bytes, about: bytes) -> bytes:
        """Encrypt, bound to what is said in the clear beside it."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, payload, about)

    def decrypt(self, sealed: bytes, about: bytes) -> bytes:
        """Give back what was encrypted.

        Raises
        ------
        RowDamagedError
            It is not what was encrypted, or not with this key, or not beside this.
        """
        nonce, body = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, body, about)
        except (InvalidTag, ValueError) as error:  # too short, or not what was sealed
            raise RowDamagedError("the seal is broken") from error


def key_id(key: bytes) -> str:
    """Name a key without telling it."""
    return _derive(key, salt=b"", info=b"chevet spool key id", n_bytes=_ID_BYTES).hex()


def _derive(key: bytes, *, salt: bytes, info: bytes, n_bytes: int = _KEY_BYTES) -> bytes:
    return HKDF(algorithm=SHA256(), length=n_bytes, salt=salt, info=info).derive(key)
