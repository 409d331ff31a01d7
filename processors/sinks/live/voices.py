"""Who says a value: one algorithm with its inputs, or what is fused from several."""

from typing import Final

from ingest.observation import Observation
from processors.vitals.fusion import ALGORITHM as HEART_RATE_FUSION
from processors.vitals.respiration_fusion import ALGORITHM as RESPIRATION_FUSION

FUSIONS: Final = frozenset({HEART_RATE_FUSION.name, RESPIRATION_FUSION.name})
"""What is fused from several sources; the page shows it rather than any of them."""


def source_of(observation: Observation) -> str:
    """Name who says it: a fusion is one voice, whichever inputs it rests on just now."""
    if observation.algorithm in FUSIONS:
        return observation.algorithm
    return " ".join((observation.algorithm, *observation.channels))
