"""Every measurement that Chevet writes to InfluxDB, and the buckets that they are in: pure data.

A line names its measurement, and the measurement says into which bucket the line goes: so a piece
of lines carries its bucket from the record to the store by itself. ``docs/influx.md`` is made from
this table (``python -m deploy.influx_page``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from ingest.frame import GapCause

FieldType = Literal["integer", "float", "string", "boolean"]


class Bucket(StrEnum):
    """A bucket of InfluxDB 2, a retention policy of the database on 1.x."""

    LONG = "long"
    """What is kept for long: the bucket that the settings name, the database's default policy."""
    WAVEFORMS = "waveforms"
    """The samples themselves, for some days."""
    ENVELOPES = "envelopes"
    """What a trace of hours or days is drawn from, for a month."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """How long a bucket keeps points, and in pieces of how long it drops them, in hours."""

    retention_h: int
    """0: for ever."""
    retention_h_min: int
    retention_h_max: int
    shard_h: int
    """Points go shard by shard, so they stay for up to so much longer."""


_HOURS_PER_DAY: Final = 24
_YEARS_10_H: Final = 3_650 * _HOURS_PER_DAY

KEPT: Final[Mapping[Bucket, Keeping]] = {
    Bucket.LONG: Keeping(
        retention_h=0,
        retention_h_min=90 * _HOURS_PER_DAY,
        retention_h_max=_YEARS_10_H,
        shard_h=7 * _HOURS_PER_DAY,
    ),
    Bucket.WAVEFORMS: Keeping(retention_h=72, retention_h_min=24, retention_h_max=72, shard_h=6),
    Bucket.ENVELOPES: Keeping(
        retention_h=30 * _HOURS_PER_DAY,
        retention_h_min=7 * _HOURS_PER_DAY,
        retention_h_max=400 * _HOURS_PER_DAY,
        shard_h=_HOURS_PER_DAY,
    ),
}
"""What ``chevet influx setup`` makes unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a measurement."""

    name: str
    type: FieldType
    unit: str = ""
    """Of what the number counts or measures."""
    always: bool = True
    """Whether every point has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """A measurement: where it is, what it consists of and what it is for."""

    name: str
    bucket: Bucket
    tags: tuple[str, ...]
    """In the order of the lines: InfluxDB wants them sorted."""
    fields: tuple[Field, ...]
    time: str
    """What the time of a point is the time of."""
    purpose: str
    more_floats: bool = False
    """Whether a point may have further fields, all of them floats."""

    def field(self, name: str) -> Field | None:
        """Find a field; None where a point must not have it."""
        found = next((field for field in self.fields if field.name == name), None)
        return Field(name, "float", always=False) if found is None and self.more_floats else found


_CHANNEL: Final = ("channel", "device", "subject")

_LOSSES: Final = tuple(
    Field(f"{cause}_{what}", "integer", "samples", always=False)
    for cause in GapCause
    for what in ("dropped", "in_gaps")
)

MEASUREMENTS: Final = (
    Measurement(
        name="waveform",
        bucket=Bucket.WAVEFORMS,
        tags=_CHANNEL,
        fields=(Field("v", "integer", "counts"),),
        time="the sample, exactly",
        purpose="Raw samples, as the sensor sent them; of the subjects of whom the sink's settings "
        "say so. Scale and unit are in `waveform_meta`.",
    ),
    Measurement(
        name="envelope_25hz",
        bucket=Bucket.ENVELOPES,
        tags=_CHANNEL,
        fields=(
            Field("min", "integer", "counts"),
            Field("max", "integer", "counts"),
            Field("n_samples", "integer", "samples"),
        ),
        time="begin of the 40 ms, on the second's grid",
        purpose="Traces of minutes to hours, and of the days whose samples are gone. Stored with "
        "the second that it lies in, of those of whom samples are stored.",
    ),
    Measurement(
        name="envelope",
        bucket=Bucket.LONG,
        tags=_CHANNEL,
        fields=(
            Field("min", "integer", "counts"),
            Field("max", "integer", "counts"),
            Field("mean", "float", "counts"),
            Field("n_samples", "integer", "samples"),
        ),
        time="begin of the second",
        purpose="Traces of hours to years. A second is stored when it is over and was seen from "
        "its beginning, never a part of it.",
    ),
    Measurement(
        name="waveform_meta",
        bucket=Bucket.LONG,
        tags=_CHANNEL,
        fields=(
            Field("scale", "float", "unit per count"),
            Field("offset", "float", "unit"),
            Field("unit", "string", "UCUM"),
            Field("rate_hz", "float", "Hz"),
            Field("mdc", "integer", "IEEE 11073-10101"),
        ),
        time="first sample of which it is said",
        purpose="What counts mean: value = count × scale + offset. Said when a stream begins, when "
        "it changes, and each hour.",
    ),
    Measurement(
        name="observation",
        bucket=Bucket.LONG,
        tags=("algorithm", "name", "subject"),
        fields=(
            Field("value", "float", "of the quantity", always=False),
            Field("reason", "string", always=False),
            Field("quality", "float", "0 to 1"),
            Field("age_s", "float", "s"),
            Field("version", "integer"),
        ),
        time="the value",
        purpose="Every derived value, or the reason why there is none; a beat is one of "
        "`rr_interval`.",
    ),
    Measurement(
        name="trend",
        bucket=Bucket.LONG,
        tags=("algorithm", "name", "subject"),
        fields=(
            Field("mean", "float", "of the quantity", always=False),
            Field("min", "float", "of the quantity", always=False),
            Field("max", "float", "of the quantity", always=False),
            Field("n_values", "integer", "observations"),
            Field("n_missing", "integer", "observations"),
            Field("quality", "float", "0 to 1"),
        ),
        time="begin of the minute",
        purpose="Observations of one minute: what hours to years are drawn from. `n_missing` "
        "counts those that had a reason and no value; `quality` is the mean of all. Without values "
        "there is no `mean`, `min` and `max`.",
    ),
    Measurement(
        name="reading",
        bucket=Bucket.LONG,
        tags=("device", "name", "subject"),
        fields=(
            Field("value", "float", "of the quantity", always=False),
            Field("reason", "string", always=False),
            Field("status", "integer", "bits"),
        ),
        time="the measurement",
        purpose="What the devices themselves say.",
    ),
    Measurement(
        name="gap",
        bucket=Bucket.LONG,
        tags=("cause", *_CHANNEL),
        fields=(Field("n_samples", "integer", "samples"), Field("i_first", "integer", "samples")),
        time="first missing sample",
        purpose="Samples that will never come, and why.",
    ),
    Measurement(
        name="device_event",
        bucket=Bucket.LONG,
        tags=("device", "kind", "subject"),
        fields=(Field("detail", "string"),),
        time="the event",
        purpose="What happened to a device: connected, lost, contact, battery …",
    ),
    Measurement(
        name="device_clock",
        bucket=Bucket.LONG,
        tags=("device", "subject"),
        fields=(
            Field("device_ns", "integer", "ns"),
            Field("offset_ns", "integer", "ns"),
            Field("drift_ppm", "float", "ppm"),
            Field("uncertainty_ns", "integer", "ns"),
        ),
        time="UTC when the device's clock showed `device_ns`",
        purpose="Coincident time stamps of a device's clock and UTC. Of Frames of version 1 there "
        "is none: these do not say when an offset was true.",
    ),
    Measurement(
        name="alarm",
        bucket=Bucket.LONG,
        tags=("name", "subject"),
        fields=(
            Field("active", "boolean"),
            Field("priority", "string"),
            Field("detail", "string"),
        ),
        time="begin or end of the condition",
        purpose="Technical alarm conditions. Never a primary alarm.",
    ),
    Measurement(
        name="ledger",
        bucket=Bucket.LONG,
        tags=("agent", *_CHANNEL),
        fields=(
            Field("on_air", "integer", "samples", always=False),
            Field("decoded", "integer", "samples", always=False),
            Field("framed", "integer", "samples", always=False),
            Field("spooled", "integer", "samples", always=False),
            Field("acknowledged", "integer", "samples", always=False),
            *_LOSSES,
        ),
        time="newest thing in the Frame that says it",
        purpose="The agent's own totals of each channel since its spool was made, about once a "
        "minute: `CAUSE_dropped` were decoded and given up, `CAUSE_in_gaps` never decoded.",
    ),
    Measurement(
        name="role_status",
        bucket=Bucket.LONG,
        tags=("instance", "role"),
        fields=(Field("reason", "string"), Field("state", "string")),
        time="when the process said it",
        purpose="That a process lives and how it is; its gauges are further fields.",
        more_floats=True,
    ),
)

_BUCKET_OF: Final = {one.name.encode(): one.bucket for one in MEASUREMENTS}
_NAME_BYTES_MAX: Final = 1 + max(map(len, _BUCKET_OF))


def bucket_of(lines: bytes) -> Bucket:
    """Say into which bucket a piece of lines goes; a measurement that is not known is kept long.

    Parameters
    ----------
    lines
        All of them are for the bucket of the first.
    """
    return _BUCKET_OF.get(lines[:_NAME_BYTES_MAX].partition(b",")[0], Bucket.LONG)


def bucket_name(configured: str, bucket: Bucket) -> str:
    """Give the name under which a client of version 2 writes to a bucket.

    Parameters
    ----------
    configured
        The bucket of the settings, ``DATABASE`` or ``DATABASE/POLICY``. The others are beside it,
        ``DATABASE/waveforms`` and ``DATABASE/envelopes``: retention policies on 1.x, and what 2.x
        maps to the same InfluxQL by itself.
    """
    if bucket is Bucket.LONG:
        return configured
    return f"{configured.partition('/')[0]}/{bucket}"
