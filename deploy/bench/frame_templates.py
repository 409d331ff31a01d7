"""Frames at next to no cost: encoded once, and then only what differs is put in.

A Frame of a simulated subject differs from the one that it is made of in its subject, its sequence,
its times and its sample numbers. The template is encoded with marks in these places, and cut there;
a Frame is the pieces joined with the numbers between them. It knows nothing of the schema's order.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from deploy.bench.waveforms import Channel
from devices import codes
from ingest.codec import encode_frame
from ingest.frame import NS_PER_S, Frame, Reading, SamplePeriod, WaveformBlock

FRAME_S: Final = 1
"""One Frame a second: all channels, with one set of figures."""

AGENT_ID: Final = "bench"
READING_BEFORE_NS: Final = NS_PER_S // 2
"""The figures of a Frame were measured so long before it was complete."""

FIGURES: Final = ((codes.SPO2, 97.0), (codes.PULSE_RATE, 72.0), (codes.BODY_TEMPERATURE, 36.8))

_SUBJECT_MARK: Final = "mark-5d1c0b7a93e6"
_NUMBER_MARK: Final = 0x0E8F_5C1B_76A3
"""Marks are this times 1, 2, 3 …: none is a number that a Frame has anywhere else, and each fits
where an index or a time may stand."""


def avro_long(number: int) -> bytes:
    """Write a number as Avro does: zigzag, seven bits to a byte, the lowest first.

    Source: Apache Avro 1.12 specification, "Primitive Types".
    """
    left = number << 1 if number >= 0 else ((-number) << 1) - 1
    written = bytearray()
    while left > 0x7F:  # noqa: PLR2004  # what seven bits hold
        written.append(left & 0x7F | 0x80)
        left >>= 7
    written.append(left)
    return bytes(written)


def avro_string(text: str) -> bytes:
    """Write a text as Avro does."""
    encoded = text.encode()
    return avro_long(len(encoded)) + encoded


class PersonTemplates:
    """The seconds of one person's recording, as Frames of anybody at any time.

    Parameters
    ----------
    channels
        All of the same number of seconds.
    """

    def __init__(self, channels: Sequence[Channel]) -> None:
        self._channels = tuple(channels)
        self.n_seconds = min(len(one.counts) // one.rate_hz for one in channels)
        self._rates = sorted({channel.rate_hz for channel in channels})
        self._templates = [self._template(second) for second in range(self.n_seconds)]

    def payload(self, subject: bytes, sequence: int, made_ns: int, second: int) -> bytes:
        """Give the same bytes as ``encode_frame(self.frame(...))``.

        Parameters
        ----------
        subject
            The pseudonym as ``avro_string`` writes it.
        sequence
            From 0; a channel's samples are numbered by it.
        made_ns
            UTC of the end of the Frame's second, ns since 1970.
        second
            Of the recording; behind its end it begins again.
        """
        pieces, slots = self._templates[second % self.n_seconds]
        values = [
            subject,
            avro_long(sequence),
            avro_long(made_ns - NS_PER_S),
            avro_long(made_ns),
            avro_long(made_ns - READING_BEFORE_NS),
            *[avro_long(sequence * rate_hz) for rate_hz in self._rates],
        ]
        joined = pieces.copy()
        joined[1::2] = [values[slot] for slot in slots]
        return b"".join(joined)

    def frame(self, subject_id: str, sequence: int, made_ns: int, second: int) -> Frame:
        """Give a Frame as it would be made without a template."""
        i_first = {rate_hz: sequence * rate_hz for rate_hz in self._rates}
        times = (made_ns - NS_PER_S, made_ns, made_ns - READING_BEFORE_NS)
        return self._frame(second % self.n_seconds, subject_id, sequence, times, i_first)

    def _template(self, second: int) -> tuple[list[bytes], list[int]]:
        """Encode a second with marks; give its pieces, every other one a place, and the places."""
        marks = [_NUMBER_MARK * n for n in range(1, 5 + len(self._rates))]
        sequence, t0_ns, made_ns, reading_ns, *firsts = marks
        i_first = dict(zip(self._rates, firsts, strict=True))
        times = (t0_ns, made_ns, reading_ns)
        payload = encode_frame(self._frame(second, _SUBJECT_MARK, sequence, times, i_first))
        written = [avro_string(_SUBJECT_MARK), *map(avro_long, marks)]
        pieces = re.split(b"(" + b"|".join(map(re.escape, written)) + b")", payload)
        slots = [written.index(mark) for mark in pieces[1::2]]
        if Counter(slots) != self._uses():
            raise ValueError(f"second {second}: its samples look like a mark of the template")
        return pieces, slots

    def _uses(self) -> Counter[int]:
        """Count how often each place stands in a Frame."""
        n_of_rate = Counter(self._rates.index(one.rate_hz) for one in self._channels)
        firsts = {5 + i_rate: n for i_rate, n in n_of_rate.items()}
        n_blocks, n_figures = len(self._channels), len(FIGURES)
        return Counter({0: 1, 1: 1, 2: n_blocks, 3: n_blocks + n_figures, 4: n_figures, **firsts})

    def _frame(
        self,
        second: int,
        subject_id: str,
        sequence: int,
        times_ns: tuple[int, int, int],
        i_first: dict[int, int],
    ) -> Frame:
        t0_ns, made_ns, reading_ns = times_ns
        blocks = (
            WaveformBlock(
                device_id=one.device_id,
                channel=one.name,
                mdc_code=one.quantity.mdc,
                unit=one.unit,
                scale=one.scale,
                offset=one.offset,
                i_first=i_first[one.rate_hz],
                t0_ns=t0_ns,
                period=SamplePeriod(ns_numerator=NS_PER_S, ns_denominator=one.rate_hz),
                counts=one.second(second),
                received_ns=made_ns,
            )
            for one in self._channels
        )
        figures = (
            Reading(
                device_id="oximeter",
                mdc_code=quantity.mdc,
                unit=quantity.ucum,
                value=value,
                t_ns=reading_ns,
                received_ns=made_ns,
            )
            for quantity, value in FIGURES
        )
        return Frame(
            subject_id=subject_id,
            agent_id=AGENT_ID,
            sequence=sequence,
            waveforms=tuple(blocks),
            readings=tuple(figures),
        )
