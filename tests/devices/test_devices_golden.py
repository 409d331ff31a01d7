"""Published and captured payloads decode to what their sources say."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import pytest

from devices import errors
from devices.movesense_data import GspFrame
from devices.polar_delta import decompress
from devices.polar_frames import PmdFrame
from tests.devices.decoders import FAMILIES, MODULES, golden_rows


def _cases() -> list[Any]:
    return [
        pytest.param(family, row, id=f"{family}: {row['source']}: {row['decoder']}")
        for family in FAMILIES
        for row in golden_rows(family)
        if "decoder" in row
    ]


def _decoder(family: str, name: str) -> Callable[[bytes], object]:
    module = next(one for one in MODULES if one.__name__.endswith(f".{family}"))
    decoder: Callable[[bytes], object] = getattr(module, name)
    return decoder


def _plain(value: object, expected: object = None) -> object:
    """Write a decoded value as the tables do, with the fields that the table names."""
    named = expected if isinstance(expected, dict) else {}
    if isinstance(value, np.ndarray):
        return {i_row: value[int(i_row)].tolist() for i_row in named}
    if is_dataclass(value):
        names = {field.name for field in fields(value)} & set(named)
        return {name: _plain(getattr(value, name), named[name]) for name in names}
    if isinstance(value, IntEnum):
        return value.name
    if isinstance(value, frozenset):
        return [member.name for member in sorted(value)]
    if isinstance(value, tuple):
        rows = expected if isinstance(expected, list) and len(expected) == len(value) else value
        return [_plain(member, row) for member, row in zip(value, rows, strict=True)]
    return value.hex() if isinstance(value, bytes) else value


@pytest.mark.parametrize(("family", "row"), _cases())
def test_a_published_payload_decodes_to_what_its_source_says(
    family: str, row: dict[str, Any]
) -> None:
    decode = _decoder(family, row["decoder"])
    payload = bytes.fromhex(row["payload"])

    if "error" in row:
        with pytest.raises(getattr(errors, row["error"])):
            decode(payload)
        return
    decoded = decode(payload)

    expected = row["decoded"]
    if isinstance(decoded, PmdFrame | GspFrame):
        assert len(decoded.samples) == expected.pop("n_samples")
    assert _plain(decoded, expected) == expected


@pytest.mark.parametrize("row", golden_rows("polar_delta"), ids=lambda row: str(row["source"]))
def test_published_delta_content_decompresses(row: dict[str, Any]) -> None:
    samples = decompress(
        bytes.fromhex(row["content"]),
        n_channels=row["n_channels"],
        resolution_bits=row["resolution_bits"],
    )

    assert len(samples) == row["n_samples"]
    assert _plain(samples, row["samples"]) == row["samples"]
