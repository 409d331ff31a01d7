"""Sample arrays: a waveform, or a piece of one, as a Generic Health Sensor sends it.

Source: as in `devices.ghs_values`. Not verified: whether samples have a sign. Drafts of the
specification also had the smallest and the largest count between offset and period; neither of
the two implementations of the adopted one has them.
"""

from dataclasses import dataclass
from typing import ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from devices.errors import InvalidFieldError
from devices.ghs_classes import ObservationClass
from devices.medfloat import MedFloat
from devices.payload import PayloadReader, PayloadWriter

_SAMPLE_BYTES_MAX: Final = 4
_U8_MAX: Final = 0xFF


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleArrayValue:
    """Samples at an even pace: a sample is count x `scale` + `offset`, in `unit`.

    Attributes
    ----------
    unit
        MDC term of partition 4 (dimensions), 16 bits.
    scale, offset
        Unit per count, and the unit's value of count 0.
    period_s
        From one row of samples to the next.
    n_per_period
        Samples of a row, at least one: the axes of an accelerometer. That "number of samples per
        period" means this is what HL7's guide to personal health devices says.
    sample_bytes
        Width of a sample, 1 to 4.
    samples
        As sent, little-endian, whole rows.

    Raises
    ------
    ValueError
        The widths do not go with the samples.
    """

    observation_class: ClassVar = ObservationClass.SAMPLE_ARRAY

    unit: int
    scale: MedFloat
    offset: MedFloat
    period_s: MedFloat
    n_per_period: int = 1
    sample_bytes: int
    samples: bytes

    def __post_init__(self) -> None:
        if not 1 <= self.sample_bytes <= _SAMPLE_BYTES_MAX:
            raise ValueError(f"samples of {self.sample_bytes} bytes")
        if not 1 <= self.n_per_period <= _U8_MAX:
            raise ValueError(f"{self.n_per_period} samples per period")
        if len(self.samples) % (self.sample_bytes * self.n_per_period):
            raise ValueError(f"{len(self.samples)} bytes of samples are not whole periods")

    def counts(self, *, signed: bool) -> NDArray[np.int64]:
        """Give the samples, shape (n_periods, n_per_period), oldest first.

        Parameters
        ----------
        signed
            Two's complement or not. Which of the two the specification says could not be
            verified; IEEE 11073-20601, from which the model comes, has unsigned samples.
        """
        width = self.sample_bytes
        digits = np.frombuffer(self.samples, dtype=np.uint8).reshape(-1, width).astype(np.int64)
        counts = digits @ (1 << 8 * np.arange(width, dtype=np.int64))
        if signed:
            counts -= (counts >> 8 * width - 1) << 8 * width
        return counts.reshape(-1, self.n_per_period)

    @classmethod
    def read(cls, reader: PayloadReader) -> Self:
        """Read a value."""
        unit = reader.u16("unit")
        scale = reader.float_("scale_factor")
        offset = reader.float_("offset")
        period_s = reader.float_("sample_period")
        n_per_period = reader.u8("samples_per_period")
        sample_bytes = reader.u8("bytes_per_sample")
        n_samples = reader.u32("number_of_samples")
        samples = reader.raw("samples", n_samples * sample_bytes)
        try:
            return cls(
                unit=unit,
                scale=scale,
                offset=offset,
                period_s=period_s,
                n_per_period=n_per_period,
                sample_bytes=sample_bytes,
                samples=samples,
            )
        except ValueError as error:
            why = f"samples cannot be: {error}"
            raise InvalidFieldError(field="samples", value=n_samples, why=why) from error

    def write(self, writer: PayloadWriter) -> None:
        """Write a value."""
        writer.u16("unit", self.unit)
        writer.float_("scale_factor", self.scale)
        writer.float_("offset", self.offset)
        writer.float_("sample_period", self.period_s)
        writer.u8("samples_per_period", self.n_per_period)
        writer.u8("bytes_per_sample", self.sample_bytes)
        writer.u32("number_of_samples", len(self.samples) // self.sample_bytes)
        writer.raw("samples", self.samples)
