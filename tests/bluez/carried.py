"""A recording on its way into the virtual machine, where reading its own format would take long."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ingest.recorded import Recording, Signal

CARRIED_S = 60
"""Longer than the sensors play it once; then they begin anew."""


def save(recording: Recording, path: Path) -> None:
    """Write the first minute of a recording's signals and beats."""
    about = [
        {
            "name": signal.name,
            "kind": signal.kind,
            "unit": signal.unit,
            "sampling_rate": str(signal.sampling_rate),
            "scale": signal.scale,
            "offset": signal.offset,
        }
        for signal in recording.signals
    ]
    beats_s = np.empty(0) if recording.beats_s is None else recording.beats_s
    arrays: dict[str, Any] = {
        f"counts_{i}": signal.counts[: int(CARRIED_S * signal.sampling_rate)]
        for i, signal in enumerate(recording.signals)
    }
    arrays["about"] = np.array(json.dumps({"name": recording.name, "signals": about}))
    arrays["beats_s"] = beats_s[beats_s < CARRIED_S]
    np.savez(path, **arrays)


def load(path: Path) -> Recording:
    """Read what `save` has written."""
    with np.load(path) as archive:
        about = json.loads(str(archive["about"]))
        signals = tuple(
            Signal(
                counts=archive[f"counts_{i}"],
                **{**each, "sampling_rate": Fraction(each["sampling_rate"])},
            )
            for i, each in enumerate(about["signals"])
        )
        beats_s = archive["beats_s"]
    return Recording(name=about["name"], signals=signals, source="carried", beats_s=beats_s)
