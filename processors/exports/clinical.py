"""What a clinical export is made of: one subject, and what is to be told of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from ingest.observation import AlarmEvent, Observation
from processors.exports.device_book import DeviceBook
from processors.exports.strips import Strip
from processors.vitals import beat_respiration

N_OBSERVATIONS_MAX: Final = 100_000
"""In one bundle or message: three hours of everything. More makes a file that receivers refuse;
the caller cuts by time."""

SERIES: Final = frozenset({*beat_respiration.MODULATIONS, beat_respiration.ALGORITHM.name})
"""Inputs that are no channel of a device, but what was made of beats. All others are written
``device_id/channel``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicalRecord:
    """One subject's data for a receiver outside.

    Names and times are taken as they are: what is to be de-identified comes through a
    `processors.exports.deidentify.Deidentifier` before it gets here.

    Attributes
    ----------
    subject_id
        A pseudonym.
    observations, alarms
        Of this subject, in any order; one that is given twice counts once.
    devices
        What its Frames tell of its devices.
    strips
        Stretches of waveforms.
    """

    subject_id: str
    observations: Sequence[Observation] = ()
    alarms: Sequence[AlarmEvent] = ()
    devices: DeviceBook = field(default_factory=DeviceBook)
    strips: Sequence[Strip] = ()

    def __post_init__(self) -> None:
        if not self.subject_id:
            raise ValueError("an export needs a subject")
        n_observations = len(self.observations) + len(self.alarms)
        if n_observations > N_OBSERVATIONS_MAX:
            raise ValueError(
                f"{n_observations} observations and alarms; at most {N_OBSERVATIONS_MAX} go into "
                "one export: cut it by time"
            )
        others = {one.subject_id for one in self.observations}
        others |= {one.subject_id for one in self.alarms}
        others.discard(self.subject_id)
        if others:
            raise ValueError(
                f"an export of {self.subject_id} with observations of {len(others)} other subjects"
            )


def device_of(channel: str) -> str | None:
    """Name the device of an input; None where it is a series of beats, and not of one device."""
    device_id, slash, _ = channel.partition("/")
    return device_id if slash else None


def devices_of(channels: Iterable[str]) -> list[str]:
    """Name the devices of several inputs, each once, in order of their names."""
    named = map(device_of, channels)
    return sorted({device_id for device_id in named if device_id is not None})
