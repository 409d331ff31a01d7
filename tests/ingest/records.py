"""Records of every kind: examples, and strategies over all that the contract allows."""

from typing import Any, Final

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import ArrayLike

from ingest.annotation import SubjectAnnotation
from ingest.checkpoint import Checkpoint
from ingest.dead_letter import DeadLetter, LetterContent
from ingest.frame import (
    INDEX_MAX,
    PERIOD_TERM_MAX,
    TIME_NS_MAX,
    TOTAL_MAX,
    ChannelLedger,
    ChannelLoss,
    ClockRelation,
    DeviceEvent,
    DeviceEventKind,
    Frame,
    Gap,
    GapCause,
    Reading,
    SamplePeriod,
    WaveformBlock,
)
from ingest.observation import AlarmEvent, AlarmPriority, Observation
from ingest.role_status import RoleState, RoleStatus
from ingest.wfdb_annotations import CODES

T0_NS: Final = 1_800_000_000_000_000_000
HZ_360: Final = SamplePeriod(ns_numerator=25_000_000, ns_denominator=9)
INT64_MAX: Final = 2**63 - 1


def block(counts: ArrayLike = (0, 1, -1), **changes: object) -> WaveformBlock:
    """A block of ECG, with whatever differs."""
    fields: dict[str, Any] = {
        "device_id": "strap-1",
        "channel": "ecg/MLII",
        "mdc_code": 131330,
        "unit": "uV",
        "scale": 5.0,
        "offset": -10.0,
        "i_first": 0,
        "t0_ns": T0_NS,
        "period": HZ_360,
        "counts": np.asarray(counts, dtype=np.int32),
        **changes,
    }
    return WaveformBlock(**fields)


def reading(**changes: object) -> Reading:
    fields: dict[str, Any] = {
        "device_id": "oximeter-1",
        "mdc_code": 150456,
        "unit": "%",
        "value": 97.0,
        "t_ns": T0_NS,
        **changes,
    }
    return Reading(**fields)


def gap(**changes: object) -> Gap:
    fields: dict[str, Any] = {
        "device_id": "strap-1",
        "channel": "ecg/MLII",
        "cause": GapCause.RADIO_LOSS,
        "i_first": 7,
        "n_samples": 73,
        "t0_ns": T0_NS,
        **changes,
    }
    return Gap(**fields)


def event(**changes: object) -> DeviceEvent:
    fields: dict[str, Any] = {
        "device_id": "strap-1",
        "kind": DeviceEventKind.CONNECTED,
        "t_ns": T0_NS,
        **changes,
    }
    return DeviceEvent(**fields)


def clock(**changes: object) -> ClockRelation:
    fields: dict[str, Any] = {
        "device_id": "strap-1",
        "offset_ns": -5,
        "drift_ppm": 12.5,
        "uncertainty_ns": 1_000_000,
        "device_ns": T0_NS,
        **changes,
    }
    return ClockRelation(**fields)


def totals(**changes: object) -> ChannelLedger:
    fields: dict[str, Any] = {
        "device_id": "strap-1",
        "channel": "ecg/MLII",
        "on_air": 1_000,
        "decoded": 900,
        "framed": 880,
        "spooled": 860,
        "acknowledged": 700,
        **changes,
    }
    return ChannelLedger(**fields)


def loss(**changes: object) -> ChannelLoss:
    fields: dict[str, Any] = {
        "device_id": "strap-1",
        "channel": "ecg/MLII",
        "cause": GapCause.RADIO_LOSS,
        "n_dropped": 0,
        "n_in_gaps": 100,
        **changes,
    }
    return ChannelLoss(**fields)


def frame(*waveforms: WaveformBlock, **changes: object) -> Frame:
    fields: dict[str, Any] = {"subject_id": "p-1", "agent_id": "agent-1", "sequence": 0, **changes}
    return Frame(waveforms=waveforms, **fields)


def observation(**changes: object) -> Observation:
    fields: dict[str, Any] = {
        "subject_id": "p-1",
        "t_ns": T0_NS,
        "name": "heart_rate",
        "mdc_code": 147842,
        "unit": "/min",
        "value": 72.0,
        "reason": None,
        "quality": 0.9,
        "age_s": 0.25,
        "channels": ("strap-1/ecg",),
        "algorithm": "rr_median",
        "algorithm_version": 1,
        **changes,
    }
    return Observation(**fields)


def role_status(**changes: object) -> RoleStatus:
    fields: dict[str, Any] = {
        "role": "worker",
        "instance": "ward-2-worker",
        "state": RoleState.READY,
        "t_ns": T0_NS,
        "gauges": {"subjects": 12.0, "lag_s": 0.25},
        **changes,
    }
    return RoleStatus(**fields)


def alarm(**changes: object) -> AlarmEvent:
    fields: dict[str, Any] = {
        "subject_id": "p-1",
        "t_ns": T0_NS,
        "name": "lead_off",
        "priority": AlarmPriority.LOW,
        "active": True,
        "detail": "strap-1",
        **changes,
    }
    return AlarmEvent(**fields)


def annotation(**changes: object) -> SubjectAnnotation:
    fields: dict[str, Any] = {
        "subject_id": "p-1",
        "annotation_id": "5f0c",
        "t_ns": T0_NS,
        "text": "artefact",
        "author": "Ada",
        "created_ns": T0_NS + 7,
        **changes,
    }
    return SubjectAnnotation(**fields)


def dead_letter(**changes: object) -> DeadLetter:
    fields: dict[str, Any] = {
        "reason": "no header",
        "source": "worker",
        "topic": "chevet.frames",
        "partition": 3,
        "offset": 17,
        "key": b"p-1",
        "timestamp_ms": T0_NS // 1_000_000,
        "payload": b"\x00\xff",
        **changes,
    }
    return DeadLetter(**fields)


def checkpoint(**changes: object) -> Checkpoint:
    fields: dict[str, Any] = {
        "subject_id": "p-1",
        "next_offset": 2**40,
        "record_ms": 1_790_000_000_123,
        "newest_ns": T0_NS,
        "program": "0.1.0",
        "n_bytes": 5,
        "packed": bytes.fromhex("28b52ffd20052900007374617465"),
        **changes,
    }
    return Checkpoint(**fields)


FULL_FRAME: Final = frame(
    block((0, 1, -1, 32_767, -32_768), i_first=5, t0_ns=T0_NS, received_ns=T0_NS + 9),
    block((2**31 - 1, -(2**31), 40_000), channel="ecg/V5", scale=0.5),
    block(
        (7,),
        device_id="møbel-2",
        channel="acc/x",
        unit="[g]",
        period=SamplePeriod(ns_numerator=20_000_000, ns_denominator=1),
    ),
    sequence=41,
    readings=(
        reading(status_bits=0x0120, received_ns=T0_NS + 1),
        reading(value=None, reason="lead_off"),
    ),
    clocks=(clock(),),
    gaps=tuple(gap(cause=cause) for cause in GapCause),
    events=tuple(event(kind=kind, detail="ø 心") for kind in DeviceEventKind),
    ledger=(totals(), totals(device_id="møbel-2", channel="acc/x", on_air=2**40)),
    losses=(loss(), loss(cause=GapCause.SPOOL_AGE, n_dropped=17, n_in_gaps=0)),
)
"""Every kind of content."""


names = st.text(max_size=20)
texts = st.text(max_size=60)
times = st.integers(0, TIME_NS_MAX)
int64s = st.integers(-INT64_MAX - 1, INT64_MAX)
finite = st.floats(allow_nan=False, allow_infinity=False)
received = st.none() | int64s
_terms = st.integers(1, PERIOD_TERM_MAX)
periods = st.tuples(_terms, _terms).map(
    lambda terms: SamplePeriod(ns_numerator=max(terms), ns_denominator=min(terms))
)
counts = st.sampled_from([15, 31]).flatmap(
    lambda n_bits: npst.arrays(
        np.int32, st.integers(1, 40), elements=st.integers(-(2**n_bits), 2**n_bits - 1)
    )
)
scales = st.floats(-1e298, 1e298).filter(lambda scale: scale != 0.0)
blocks = st.builds(
    WaveformBlock,
    device_id=names,
    channel=names,
    mdc_code=int64s,
    unit=names,
    scale=scales,
    offset=st.floats(-1e300, 1e300),
    i_first=st.integers(0, INDEX_MAX),
    t0_ns=times,
    period=periods,
    counts=counts,
    received_ns=received,
)
_values = st.one_of(
    st.fixed_dictionaries({"value": finite, "reason": st.none()}),
    st.fixed_dictionaries({"value": st.none(), "reason": texts}),
)
readings = st.builds(
    lambda result, **fields: Reading(**result, **fields),
    _values,
    device_id=names,
    mdc_code=int64s,
    unit=names,
    t_ns=times,
    status_bits=int64s,
    received_ns=received,
)
_moments = st.one_of(
    st.fixed_dictionaries({"device_ns": st.none(), "offset_ns": int64s}),
    st.tuples(times, times).map(lambda t: {"device_ns": t[0], "offset_ns": t[1] - t[0]}),
)
clocks = st.builds(
    lambda moment, **fields: ClockRelation(**moment, **fields),
    _moments,
    device_id=names,
    drift_ppm=finite,
    uncertainty_ns=int64s,
)
gaps = st.builds(
    Gap,
    device_id=names,
    channel=names,
    cause=st.sampled_from(GapCause),
    i_first=st.integers(0, INDEX_MAX),
    n_samples=st.integers(1, INDEX_MAX),
    t0_ns=times,
)
events = st.builds(
    DeviceEvent, device_id=names, kind=st.sampled_from(DeviceEventKind), t_ns=times, detail=texts
)
_totals = st.integers(0, TOTAL_MAX)
ledgers = st.builds(
    ChannelLedger,
    device_id=names,
    channel=names,
    on_air=_totals,
    decoded=_totals,
    framed=_totals,
    spooled=_totals,
    acknowledged=_totals,
)
losses = st.builds(
    ChannelLoss,
    device_id=names,
    channel=names,
    cause=st.sampled_from(GapCause),
    n_dropped=_totals,
    n_in_gaps=_totals,
)
_identifiers = st.text(min_size=1, max_size=20)
frames = st.builds(
    Frame,
    subject_id=_identifiers,
    agent_id=_identifiers,
    sequence=st.integers(0, INT64_MAX),
    waveforms=st.lists(blocks, max_size=3).map(tuple),
    readings=st.lists(readings, max_size=3).map(tuple),
    clocks=st.lists(clocks, max_size=2).map(tuple),
    gaps=st.lists(gaps, max_size=2).map(tuple),
    events=st.lists(events, max_size=2).map(tuple),
    ledger=st.lists(ledgers, max_size=2).map(tuple),
    losses=st.lists(losses, max_size=2).map(tuple),
)
observations = st.builds(
    lambda result, **fields: Observation(**result, **fields),
    _values,
    subject_id=names,
    t_ns=times,
    name=names,
    mdc_code=int64s,
    unit=names,
    quality=st.floats(0, 1),
    age_s=finite,
    channels=st.lists(texts, max_size=3).map(tuple),
    algorithm=names,
    algorithm_version=st.integers(-(2**31), 2**31 - 1),
)
alarms = st.builds(
    AlarmEvent,
    subject_id=names,
    t_ns=times,
    name=names,
    priority=st.sampled_from(AlarmPriority),
    active=st.booleans(),
    detail=texts,
)
annotations = st.builds(
    SubjectAnnotation,
    subject_id=names.filter(bool),
    annotation_id=st.from_regex(r"[A-Za-z0-9_./:-]{1,20}", fullmatch=True),
    version=st.integers(1, 2**31 - 1),
    retracted=st.booleans(),
    annotator=st.from_regex(r"[A-Za-z0-9_]{4,12}", fullmatch=True),
    t_ns=st.integers(0, TIME_NS_MAX // 2),
    duration_ns=st.integers(0, TIME_NS_MAX // 2),
    symbol=st.sampled_from([*CODES, "[47]"]),
    subtype=st.integers(-128, 127),
    chan=st.integers(0, 255),
    num=st.integers(-128, 127),
    text=texts,
    device_id=names.filter(bool),
    channel=st.none() | names,
    author=st.sampled_from(["Ada", "ø 心", "recording 100"]),
    created_ns=st.none() | times,
)
checkpoints = st.builds(
    Checkpoint,
    subject_id=names,
    next_offset=int64s,
    record_ms=int64s,
    newest_ns=int64s,
    program=names,
    n_bytes=st.integers(-(2**31), 2**31 - 1),
    packed=st.binary(max_size=60),
)
role_statuses = st.builds(
    RoleStatus,
    role=st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True),
    instance=names.filter(bool),
    state=st.sampled_from(RoleState),
    reason=texts,
    t_ns=times,
    gauges=st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True).filter(
            lambda name: name not in {"state", "reason"}
        ),
        finite,
        max_size=5,
    ),
)
dead_letters = st.builds(
    DeadLetter,
    reason=texts,
    source=names,
    topic=names,
    partition=st.integers(-(2**31), 2**31 - 1),
    offset=int64s,
    key=st.none() | st.binary(max_size=60),
    timestamp_ms=st.none() | int64s,
    content=st.sampled_from(LetterContent),
    n_bytes_cut=st.integers(0, 2**62),
    payload=st.binary(max_size=60),
)
