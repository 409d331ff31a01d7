"""The certificate of the live page: read again when it is renewed."""

import asyncio
import ssl
from pathlib import Path
from typing import Final

import structlog

from processors.sinks.live.file_mark import Mark, mark_of

LOOK_S: Final = 10.0
"""So often it is looked at."""

log = structlog.get_logger()


class Certificate:
    """A context for TLS 1.2 or newer, whose certificate may change while it serves.

    Raises
    ------
    OSError
        The files cannot be read, or do not belong together.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate = certificate
        self._key = key
        self._mark = self._look()
        self.context = _context(certificate, key)

    async def follow(self) -> None:
        """Look at the files for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.renew()

    def renew(self) -> bool:
        """Take the files if they have changed; who is connected stays so. Tell whether it did.

        Files that do not belong together are not taken: half of them is still to come.
        """
        mark = self._look()
        if mark == self._mark:
            return False
        try:
            # In a context of its own first: a key that does not fit would spoil the one in use.
            _context(self._certificate, self._key)
            self.context.load_cert_chain(self._certificate, self._key)
        except OSError as error:
            log.error("certificate_unusable", certificate=str(self._certificate), error=str(error))
            return False
        self._mark = mark
        log.info("certificate_renewed", certificate=str(self._certificate))
        return True

    def _look(self) -> tuple[Mark | None, ...]:
        return mark_of(self._certificate), mark_of(self._key)


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:
        raise OSError(f"tls.certificate {certificate}, tls.key {key}: {error}") from error
    return context
