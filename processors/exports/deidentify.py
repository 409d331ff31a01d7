"""Away with what tells whose data they are: other names, other days, no free text. Pure.

Names become keyed hashes, and all times of a subject move back by the same whole number of days, so
that intervals and hours of the day stay as they were. Both follow from the study's secret key: the
same subject has the same name and the same days in every export of the study, and nobody without
the key can compute either.

Source: RFC 2104 (HMAC); ISO 25237:2017, Health informatics - Pseudonymization; 45 CFR 164.514(b),
of which the dates are taken in the manner of an expert determination: days are moved, not left out.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from devices.catalogue import CATALOGUE
from ingest.annotation import NOTE, SubjectAnnotation
from ingest.frame import (
    DeviceEvent,
    DeviceEventKind,
    Frame,
    Gap,
    Reading,
    WaveformBlock,
)
from ingest.observation import AlarmEvent, Observation
from processors.exports.clinical import SERIES
from processors.exports.no_value import REASONS

KEY_BYTES_MIN: Final = 32
SHIFT_DAYS_MAX: Final = 365
"""Most days that times move back, unless told otherwise."""
NS_PER_DAY: Final = 86_400_000_000_000

_NAME_BYTES: Final = 10
"""80 bits: among a hundred million names two are the same with a chance of 4 in a billion."""

_CODED: Final = re.compile(r"\([A-Z][A-Z0-9+-]{0,9}|MISSB|PSE|TS")
"""Texts of WFDB annotations that are codes: rhythms, changes of the ST segment, and those of the
MIT-BIH set for missed beats, pauses and tape slippage."""

_MODELS: Final = frozenset(row.name for row in CATALOGUE)


class Deidentifier:
    """Names and times as one study tells them.

    Parameters
    ----------
    study_key
        Secret, at least 32 bytes. Another key gives everybody another name and other days.
    shift_days_max
        Times move back by 1 to so many days; 0: they stay as they are.

    Raises
    ------
    ValueError
        The key is too short, or the number of days is negative.
    """

    def __init__(self, study_key: bytes, *, shift_days_max: int = SHIFT_DAYS_MAX) -> None:
        if len(study_key) < KEY_BYTES_MIN:
            raise ValueError(
                f"a study key of {len(study_key)} bytes; at least {KEY_BYTES_MIN} are needed, or "
                "names can be found by trying"
            )
        if shift_days_max < 0:
            raise ValueError(f"shift_days_max is {shift_days_max}; it must be 0 or more")
        self._key = study_key
        self._shift_days_max = shift_days_max

    def subject(self, subject_id: str) -> str:
        """Name a subject: ``s-`` and 16 characters of a to z and 2 to 7."""
        return f"s-{self._name('subject', subject_id)}"

    def device(self, subject_id: str, device_id: str) -> str:
        """Name a device of a subject; the same device on another subject has another name."""
        return f"d-{self._name('device', subject_id, device_id)}"

    def agent(self, subject_id: str, agent_id: str) -> str:
        """Name an agent as this subject's data know it: who shared a room is not told."""
        return f"a-{self._name('agent', subject_id, agent_id)}"

    def shift_days(self, subject_id: str) -> int:
        """Tell by how many days all times of a subject move back."""
        if self._shift_days_max == 0:
            return 0
        # 128 bits over some hundred days: no number of days is likelier by more than 1e-36.
        number = int.from_bytes(self._digest("days", subject_id)[:16])
        return 1 + number % self._shift_days_max

    def observation(self, one: Observation) -> Observation:
        """Tell an observation without saying whose it is.

        A reason that is not of the closed lists may be anything; it becomes ``unknown``.

        Raises
        ------
        MalformedRecordError
            It is of the first days of 1970, and would be before them.
        """
        subject_id, reason = one.subject_id, one.reason
        return one._replace(
            subject_id=self.subject(subject_id),
            t_ns=one.t_ns - self._shift_ns(subject_id),
            reason=reason if reason is None or reason in REASONS else "unknown",
            channels=tuple(self._channel(subject_id, channel) for channel in one.channels),
        )

    def alarm(self, event: AlarmEvent) -> AlarmEvent:
        """Tell an alarm without saying whose it is; its detail may name an agent, and is left out.

        Raises
        ------
        MalformedRecordError
        """
        return replace(
            event,
            subject_id=self.subject(event.subject_id),
            t_ns=event.t_ns - self._shift_ns(event.subject_id),
            detail="",
        )

    def annotation(self, one: SubjectAnnotation) -> SubjectAnnotation | None:
        """Tell what somebody says without saying of whom, or who says it; None: it is a free text.

        Symbols and rhythms are codes and stay; other texts are left out, and so is when it was said
        where times move. The author has the same name in everything of the study.

        Raises
        ------
        MalformedRecordError
        """
        subject_id = one.subject_id
        is_code = _CODED.fullmatch(one.text.rstrip("\0")) is not None
        if one.symbol == NOTE and one.text and not is_code:
            return None
        return replace(
            one,
            subject_id=self.subject(subject_id),
            annotation_id=f"n-{self._name('annotation', subject_id, one.annotation_id)}",
            t_ns=one.t_ns - self._shift_ns(subject_id),
            text=one.text if is_code else "",
            device_id=None if one.device_id is None else self.device(subject_id, one.device_id),
            author=f"u-{self._name('author', one.author)}",
            created_ns=None if self._shift_days_max else one.created_ns,
        )

    def frame(self, frame: Frame) -> Frame:
        """Tell a Frame without saying whose it is.

        Left out are the agent's ledger; details of events, but for the models of the catalogue;
        times of arrival; and, where times move, the clocks of devices: a clock that was set shows
        the true day, one that fell back to the maker's day shows by how much the others moved.

        Raises
        ------
        MalformedRecordError
        """
        subject_id = frame.subject_id
        return replace(
            frame,
            subject_id=self.subject(subject_id),
            agent_id=self.agent(subject_id, frame.agent_id),
            waveforms=tuple(self.blocks(subject_id, frame.waveforms)),
            readings=tuple(self.readings(subject_id, frame.readings)),
            clocks=()
            if self._shift_days_max
            else tuple(
                replace(clock, device_id=self.device(subject_id, clock.device_id))
                for clock in frame.clocks
            ),
            gaps=tuple(self.gaps(subject_id, frame.gaps)),
            events=tuple(self.events(subject_id, frame.events)),
            ledger=(),
            losses=(),
        )

    def blocks(self, subject_id: str, blocks: Iterable[WaveformBlock]) -> Iterator[WaveformBlock]:
        """Tell blocks of a subject, without times of arrival."""
        for block in blocks:
            yield replace(
                block,
                device_id=self.device(subject_id, block.device_id),
                t0_ns=block.t0_ns - self._shift_ns(subject_id),
                received_ns=None,
            )

    def readings(self, subject_id: str, readings: Iterable[Reading]) -> Iterator[Reading]:
        """Tell what a subject's devices stated; reasons of no closed list become ``unknown``."""
        for reading in readings:
            reason = reading.reason
            yield replace(
                reading,
                device_id=self.device(subject_id, reading.device_id),
                t_ns=reading.t_ns - self._shift_ns(subject_id),
                reason=reason if reason is None or reason in REASONS else "unknown",
                received_ns=None,
            )

    def gaps(self, subject_id: str, gaps: Iterable[Gap]) -> Iterator[Gap]:
        """Tell gaps of a subject."""
        for gap in gaps:
            yield replace(
                gap,
                device_id=self.device(subject_id, gap.device_id),
                t0_ns=gap.t0_ns - self._shift_ns(subject_id),
            )

    def events(self, subject_id: str, events: Iterable[DeviceEvent]) -> Iterator[DeviceEvent]:
        """Tell what happened to a subject's devices; of details, models of the catalogue stay."""
        for event in events:
            is_model = event.kind is DeviceEventKind.CONNECTED and event.detail in _MODELS
            yield replace(
                event,
                device_id=self.device(subject_id, event.device_id),
                t_ns=event.t_ns - self._shift_ns(subject_id),
                detail=event.detail if is_model else "",
            )

    def _channel(self, subject_id: str, channel: str) -> str:
        if channel in SERIES:
            return channel
        device_id, slash, name = channel.partition("/")
        return f"{self.device(subject_id, device_id)}{slash}{name}"

    def _shift_ns(self, subject_id: str) -> int:
        return self.shift_days(subject_id) * NS_PER_DAY

    def _name(self, kind: str, *parts: str) -> str:
        return base64.b32encode(self._digest(kind, *parts)[:_NAME_BYTES]).decode().lower()

    def _digest(self, kind: str, *parts: str) -> bytes:
        # Lengths in front: "ab", "c" must not be "a", "bc".
        text = "".join(f"{len(part)}:{part}" for part in (kind, *parts))
        return hmac.new(self._key, text.encode(), hashlib.sha256).digest()
