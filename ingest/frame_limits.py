"""How many of each a Frame may hold: more than any agent sends, and little enough to be safe.

A Frame at all of these limits takes a fraction of a second to read, and some tens of megabytes.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ingest.errors import MalformedRecordError

N_SAMPLES_MAX: Final = 1_000_000
"""Samples in one Frame; a minute of 16 kHz. More is refused as hostile."""

N_BLOCKS_MAX: Final = 4_096
"""Waveform blocks: sixteen devices of sixteen channels, each broken fifteen times within one flush
interval. An agent makes one block per channel where nothing is lost, and none is less than what one
payload holds."""

N_GAPS_MAX: Final = 2 * N_BLOCKS_MAX
"""Gaps: one before each block, and as many again that Frames left behind which were given up."""

N_READINGS_MAX: Final = 16_384
"""Readings: sixteen devices with seventeen a second, as many as beats and five figures make of a
racing heart, over the longest flush interval, a minute."""

N_CLOCKS_MAX: Final = 1_024
"""Clock relations. An agent states one per device, and nobody wears so many."""

N_EVENTS_MAX: Final = 4_096
"""Device events: sixteen devices with four a second over the longest flush interval."""

N_LEDGER_MAX: Final = 4_096
"""Channels of which one Frame states the totals: as many as may have a block in it."""

N_LOSSES_MAX: Final = 2 * N_LEDGER_MAX
"""Causes in those totals. A channel that has lost samples for more is stated in several Frames."""

FRAME_LIMITS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "waveforms": N_BLOCKS_MAX,
        "readings": N_READINGS_MAX,
        "clocks": N_CLOCKS_MAX,
        "gaps": N_GAPS_MAX,
        "events": N_EVENTS_MAX,
        "ledger": N_LEDGER_MAX,
        "losses": N_LOSSES_MAX,
    }
)
"""By the field's name. A decoder refuses more before it makes room for them."""


def check_number(name: str, n: int, n_max: int) -> None:
    """Refuse more of something in one record than any sender has.

    Raises
    ------
    MalformedRecordError
    """
    if n > n_max:
        raise MalformedRecordError(f"{n} {name} in one record; at most {n_max} are allowed")
