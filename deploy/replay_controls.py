"""How a replay is told what to do while it runs: keys on a terminal, lines from a pipe."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from ingest.player import Player
from processors.sinks.archive.errors import ArchiveRefusedError
from processors.sinks.archive.reader import ns_of

JUMP_S: Final = 10.0
LONG_JUMP_S: Final = 60.0

HELP: Final = "space pause · ← → 10 s · ↓ ↑ 60 s · - + speed · q quit"

LINE_CHARS_MAX: Final = 1_000
"""Of a command; what is longer is none."""

_KEYS: Final[Mapping[bytes, Callable[[Player], None]]] = MappingProxyType(
    {
        b" ": Player.toggle,
        b"\x1b[C": lambda player: player.seek_by(JUMP_S),
        b"\x1b[D": lambda player: player.seek_by(-JUMP_S),
        b"\x1b[A": lambda player: player.seek_by(LONG_JUMP_S),
        b"\x1b[B": lambda player: player.seek_by(-LONG_JUMP_S),
        b"+": lambda player: _times(player, 2.0),
        b"-": lambda player: _times(player, 0.5),
        b"q": Player.quit,
    }
)


class CommandError(ValueError):
    """A line says nothing that a replay could do."""


def speed_of(text: str) -> float | None:
    """Read ``max`` or a positive number.

    Raises
    ------
    ValueError
    """
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise ValueError(f"{text!r} is neither 'max' nor a positive number")
    return speed


def obey(player: Player, line: str) -> None:
    """Do what a line says: pause, resume, seek +30, seek TIME, speed 8, quit; nothing if empty.

    Raises
    ------
    CommandError
    """
    if len(line) > LINE_CHARS_MAX:
        raise CommandError(f"a line of more than {LINE_CHARS_MAX} characters")
    command, *words = line.split()[:3] or [""]
    word = words[0] if len(words) == 1 else None
    try:
        if command in _PLAIN and not words:
            _PLAIN[command](player)
        elif command == "speed" and word is not None:
            player.set_speed(speed_of(word))
        elif command == "seek" and word is not None:
            _seek(player, word)
        else:
            raise CommandError(
                f"{line.strip()!r}: write pause, resume, seek +30, seek -30, "
                "seek 2026-11-22T08:00:00Z, speed 8, speed max or quit"
            )
    except (ValueError, OverflowError, ArchiveRefusedError) as error:
        raise CommandError(str(error)) from error


_PLAIN: Final[Mapping[str, Callable[[Player], None]]] = MappingProxyType(
    {
        "": lambda _player: None,
        "pause": Player.pause,
        "resume": Player.resume,
        "quit": Player.quit,
    }
)


def _seek(player: Player, where: str) -> None:
    if where[0] in "+-":
        player.seek_by(float(where))
    else:
        player.seek(ns_of(where) or 0)


def _times(player: Player, factor: float) -> None:
    if player.speed is not None:
        player.set_speed(player.speed * factor)


def press(player: Player, pressed: bytes) -> bytes:
    """Do what keys say; give the bytes that may be the begin of another one."""
    while pressed:
        found = next((key for key in _KEYS if pressed.startswith(key)), None)
        if found is not None:
            _KEYS[found](player)
            pressed = pressed[len(found) :]
        elif any(key.startswith(pressed) for key in _KEYS):
            return pressed
        else:
            pressed = pressed[1:]
    return b""


@contextlib.contextmanager
def controlled(player: Player, complain: Callable[[str], None]) -> Iterator[bool]:
    """Obey standard input while the running loop runs; give whether there are keys.

    A terminal gives keys, a pipe or socket lines; anything else is not read. At the end of input
    the replay goes on.
    """
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as undo:
        try:
            descriptor = sys.stdin.fileno()
            is_terminal = os.isatty(descriptor)
            if is_terminal:
                undo.enter_context(_key_by_key(descriptor))
            taker = _Taker(player, complain, is_terminal=is_terminal)
            # A file cannot be waited for (EPERM): it is not read.
            loop.add_reader(descriptor, lambda: _take(loop, descriptor, taker))
            undo.callback(loop.remove_reader, descriptor)
        except (OSError, ValueError, AttributeError):
            is_terminal = False
        yield is_terminal


class _Taker:
    """Takes bytes of standard input."""

    def __init__(
        self, player: Player, complain: Callable[[str], None], *, is_terminal: bool
    ) -> None:
        self._player, self._complain, self._is_terminal = player, complain, is_terminal
        self._kept = b""

    def take(self, received: bytes) -> None:
        """Take what came."""
        self._kept += received
        if self._is_terminal:
            self._kept = press(self._player, self._kept)
            return
        *lines, self._kept = self._kept.split(b"\n")
        self._kept = self._kept[-LINE_CHARS_MAX - 1 :]
        for line in lines:
            try:
                obey(self._player, line.decode(errors="replace"))
            except CommandError as error:
                self._complain(str(error))


def _take(loop: asyncio.AbstractEventLoop, descriptor: int, taker: _Taker) -> None:
    received = os.read(descriptor, 4_096)
    if received:
        taker.take(received)
    else:
        loop.remove_reader(descriptor)


@contextlib.contextmanager
def _key_by_key(descriptor: int) -> Iterator[None]:
    """Get keys as they are pressed, and the terminal back as it was.

    Raises
    ------
    OSError
        The terminal is another job's.
    """
    import termios
    import tty

    if os.tcgetpgrp(descriptor) != os.getpgrp():
        raise OSError("in the background")
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
