"""What every process of the system has in common: logs, signals, metrics, exit codes."""

import asyncio
import logging
import re
import signal
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import structlog

log = structlog.get_logger()

EXIT_DONE: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2

_ADDRESS: Final = re.compile(
    r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{2}(?:[:_-][0-9A-Fa-f]{2}){5}(?![0-9A-Fa-f])"
)
_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def hide_addresses(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Blot out Bluetooth addresses: libraries put them into their messages."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = _ADDRESS.sub("<address>", value)
    return event


def set_up_logs(level: str) -> None:
    """Write events to standard error: as JSON, or for people where it is a terminal.

    Libraries that log through ``logging`` come out the same way, from warnings on.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderers: list[Any] = (
        [structlog.dev.ConsoleRenderer()]
        if sys.stderr.isatty()
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, hide_addresses, *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                hide_addresses,
                *renderers,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    if level != "debug":
        # While a broker is away it says so ten times a second; our own roles say it once.
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


def serve_metrics(port: int, host: str = "127.0.0.1") -> None:
    """Serve Prometheus metrics; port 0: do not.

    A port that is taken is an error in the log: who is not watched works all the same.
    """
    if port:
        from prometheus_client import start_http_server

        try:
            start_http_server(port, addr=host)
        except OSError as error:
            log.error("metrics_unserved", host=host, port=port, error=error.strerror)


def run_until_signal(main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run ``main`` with an event that SIGTERM or SIGINT sets; a second signal ends at once."""

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def on_signal() -> None:
            if stop.is_set():
                # Whoever sends a second signal does not want to wait.
                sys.exit(EXIT_FAILED)
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, on_signal)
        await main(stop)

    asyncio.run(run())
