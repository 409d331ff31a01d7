"""Whose waveforms the sink of a run stores: of every hundred subjects the same ones."""

from fractions import Fraction
from typing import Final

_HUNDRED: Final = 100


def endings(raw_share: float) -> tuple[int, ...]:
    """Choose the last two digits of the subjects whose waveforms are stored, evenly spread."""
    n = round(Fraction(raw_share) * _HUNDRED)
    return tuple(i * _HUNDRED // n for i in range(n))


def stored_share(raw_share: float, n_subjects: int) -> float:
    """Give the share of the subjects that these are: not quite what was asked for, of a few."""
    chosen = set(endings(raw_share))
    return sum(i % _HUNDRED in chosen for i in range(n_subjects)) / n_subjects


def sink_settings(raw_share: float) -> list[str]:
    """Give the sink's settings in TOML."""
    chosen = endings(raw_share)
    if len(chosen) == _HUNDRED:
        return []
    if not chosen:
        return ['waveforms = "none"']
    watched = ", ".join(f'"bench-*{ending:02d}"' for ending in chosen)
    return ['waveforms = "watched"', f"watched = [{watched}]"]
