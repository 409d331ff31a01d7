"""Every decoder that there is, found by its name: a new one cannot be forgotten.

``python -m tests.devices.decoders [N]`` gives each N random and mutated payloads (a million unless
told): all must end in a value or a DecodeError.
"""

import importlib
import inspect
import json
import pkgutil
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import devices
from devices import notifications
from devices.errors import DecodeError
from devices.polar_delta import decompress

Decoder = Callable[[bytes], object]

GOLDEN: Final = Path(__file__).parents[1] / "golden"
PAYLOAD_BYTES_MAX: Final = 512
_N_PAYLOADS: Final = 1_000_000
_CUTS_MAX: Final = 4

MODULES: Final[tuple[ModuleType, ...]] = tuple(
    importlib.import_module(f"{devices.__name__}.{one.name}")
    for one in pkgutil.iter_modules(devices.__path__)
)


def _takes_a_payload(function: Callable[..., object]) -> bool:
    first, *others = inspect.signature(function).parameters.values()
    is_bytes = first.annotation in {bytes, "bytes"}
    return is_bytes and all(one.default is not one.empty for one in others)


def _by_name() -> dict[str, Decoder]:
    """Find every function ``decode_…`` of `devices` that takes nothing but a payload."""
    return {
        f"{module.__name__.rpartition('.')[2]}.{name}": function
        for module in MODULES
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if name.startswith("decode_")
        and function.__module__ == module.__name__
        and _takes_a_payload(function)
    }


def _all() -> dict[str, Decoder]:
    by_uuid: dict[str, Decoder] = {
        f"notification {uuid[4:8]}": partial(notifications.decode_notification, uuid)
        for uuid in sorted(notifications.DECODABLE)
    }
    contents: dict[str, Decoder] = {
        f"decompress {n_channels} x {bits}": partial(
            decompress, n_channels=n_channels, resolution_bits=bits
        )
        for n_channels, bits in ((1, 8), (25, 24))
    }
    return _by_name() | by_uuid | contents


DECODERS: Final = _all()


def golden_rows(family: str) -> list[dict[str, Any]]:
    """Read the published payloads of a family of decoders."""
    text = (GOLDEN / family / "vectors.json").read_text("utf-8")
    rows: list[dict[str, Any]] = json.loads(text)
    return rows


FAMILIES: Final = sorted(path.parent.name for path in GOLDEN.glob("*/vectors.json"))

VALID_PAYLOADS: Final = sorted(
    {
        bytes.fromhex(row["payload"])
        for family in FAMILIES
        for row in golden_rows(family)
        if "decoded" in row and "payload" in row
    }
)


def some_payload(rng: random.Random) -> bytes:
    """Make a payload: random bytes, or a valid one with a few changes."""
    if rng.random() < 1 / 3:
        return rng.randbytes(rng.randrange(65))
    payload = bytearray(rng.choice(VALID_PAYLOADS))
    for _ in range(rng.randint(1, _CUTS_MAX)):
        i = rng.randint(0, len(payload))
        match rng.randrange(4):
            case 0:
                payload[i : i + 1] = rng.randbytes(1)
            case 1:
                payload[i:i] = rng.randbytes(rng.randint(1, _CUTS_MAX))
            case 2:
                del payload[i:]
            case _:
                payload += bytes(payload)
    return bytes(payload[: PAYLOAD_BYTES_MAX + 1])


def fuzz(name: str, n_payloads: int, seed: int = 1) -> Counter[str]:
    """Give a decoder ``n_payloads``; count values and each kind of error.

    Raises
    ------
    AssertionError
        Something else came of one: the message has the payload.
    """
    decode, rng = DECODERS[name], random.Random(f"{name} {seed}")
    outcomes: Counter[str] = Counter()
    for _ in range(n_payloads):
        payload = some_payload(rng)
        try:
            decode(payload)
            outcomes["value"] += 1
        except DecodeError as error:
            outcomes[type(error).__name__] += 1
        except Exception as error:
            raise AssertionError(f"{name}({payload.hex()}): {error!r}") from error
    return outcomes


def main(words: list[str]) -> None:
    """Fuzz every decoder and print what came of it."""
    n_payloads = int(words[0]) if words else _N_PAYLOADS
    for name in DECODERS:
        began_s = time.process_time()
        outcomes = fuzz(name, n_payloads)
        told = ", ".join(f"{count} {what}" for what, count in outcomes.most_common())
        print(f"{name}: {told}; {time.process_time() - began_s:.1f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
