"""Waits until the broker answers: Faust gives up at its start where nobody does."""

import asyncio
import signal
from collections.abc import Callable
from typing import Final

import structlog

from ingest.errors import BrokerError
from ingest.kafka import open_producer
from ingest.settings import KafkaSettings

log = structlog.get_logger()

RETRY_S: Final = 1.0


def wait_for_broker(kafka: KafkaSettings, on_try: Callable[[], None]) -> bool:
    """Wait until a broker takes a connection; False where SIGTERM or SIGINT came before.

    It has a loop of its own, which is gone when this returns: call it before there is another one.

    Parameters
    ----------
    on_try
        Called before each try.

    Raises
    ------
    BrokerRefusedError
    """
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(_wait(kafka, on_try))
    finally:
        loop.close()


async def _wait(kafka: KafkaSettings, on_try: Callable[[], None]) -> bool:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    stopping = asyncio.create_task(stop.wait(), name="wait-for-stop")
    trying = asyncio.create_task(_until_it_answers(kafka, on_try), name="wait-for-broker")
    try:
        await asyncio.wait((stopping, trying), return_when=asyncio.FIRST_COMPLETED)
        if trying.done():
            trying.result()
        return not stop.is_set()
    finally:
        stopping.cancel()
        trying.cancel()
        await asyncio.wait((stopping, trying))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def _until_it_answers(kafka: KafkaSettings, on_try: Callable[[], None]) -> None:
    while True:
        on_try()
        try:
            async with open_producer(kafka):
                return
        except BrokerError as error:
            log.warning("waiting_for_the_broker", error=str(error))
        await asyncio.sleep(RETRY_S)
