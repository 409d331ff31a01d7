"""What other libraries find on the same recordings; kept by version, because some take minutes."""

import warnings
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.results import FOLDER

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Peer:
    """A detector of another package: times of events, or rates, from a whole signal."""

    name: str
    package: str
    detect: Callable[[Floats, float], Floats]
    """Takes the signal and its rate; gives seconds."""

    @property
    def title(self) -> str:
        """With its version."""
        return f"{self.name} {version(self.package)}"

    def events_s(self, signal: Floats, fs_hz: float) -> Floats:
        """Give the times of what it finds, from the cache where it has met the signal before.

        A peer that raises has found nothing.
        """
        folder = FOLDER / "peers" / f"{self.name}-{version(self.package)}".replace(" ", "_")
        path = folder / f"{zlib.crc32(signal.tobytes()):08x}-{fs_hz:g}.npy"
        if path.is_file():
            return np.asarray(np.load(path), dtype=np.float64)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                found = np.asarray(self.detect(signal, fs_hz), dtype=np.float64)
            except Exception:  # noqa: BLE001  # whatever it is, it found nothing
                found = np.zeros(0)
        folder.mkdir(parents=True, exist_ok=True)
        np.save(path, found)
        return found


def _sleepecg(signal: Floats, fs_hz: float) -> Floats:
    from sleepecg.heartbeats import detect_heartbeats

    return np.asarray(detect_heartbeats(signal, fs_hz)) / fs_hz


def _gqrs(signal: Floats, fs_hz: float) -> Floats:
    from wfdb import processing

    return np.asarray(processing.gqrs_detect(sig=signal / 1e3, fs=fs_hz)) / fs_hz


def _xqrs(signal: Floats, fs_hz: float) -> Floats:
    from wfdb import processing

    return np.asarray(processing.xqrs_detect(signal / 1e3, fs=fs_hz, verbose=False)) / fs_hz


def _neurokit(signal: Floats, fs_hz: float) -> Floats:
    import neurokit2

    cleaned = neurokit2.ecg_clean(signal / 1e3, sampling_rate=fs_hz)
    _, found = neurokit2.ecg_peaks(cleaned, sampling_rate=fs_hz)
    return np.asarray(found["ECG_R_Peaks"]) / fs_hz


def _neurokit_ppg(signal: Floats, fs_hz: float) -> Floats:
    import neurokit2

    cleaned = neurokit2.ppg_clean(signal, sampling_rate=fs_hz)
    found = neurokit2.ppg_findpeaks(cleaned, sampling_rate=fs_hz)
    return np.asarray(found["PPG_Peaks"]) / fs_hz


def _heartpy(signal: Floats, fs_hz: float) -> Floats:
    import heartpy

    found, _ = heartpy.process(heartpy.scale_data(signal), fs_hz)
    kept = np.asarray(found["binary_peaklist"], dtype=bool)
    peaks: Floats = np.asarray(found["peaklist"], dtype=np.float64)[kept]
    return peaks / fs_hz


def _neurokit_resp(method: str) -> Callable[[Floats, float], Floats]:
    def detect(signal: Floats, fs_hz: float) -> Floats:
        import neurokit2

        cleaned = neurokit2.rsp_clean(signal, sampling_rate=int(fs_hz), method=method)
        _, found = neurokit2.rsp_peaks(cleaned, sampling_rate=int(fs_hz), method=method)
        return np.asarray(found["RSP_Peaks"]) / fs_hz

    return detect


SLEEPECG: Final = Peer("sleepecg", "sleepecg", _sleepecg)
GQRS: Final = Peer("wfdb gqrs", "wfdb", _gqrs)
XQRS: Final = Peer("wfdb XQRS", "wfdb", _xqrs)
ECG: Final = (GQRS, XQRS, SLEEPECG, Peer("NeuroKit2", "neurokit2", _neurokit))
PPG: Final = (
    Peer("NeuroKit2 elgendi", "neurokit2", _neurokit_ppg),
    Peer("HeartPy", "heartpy", _heartpy),
)
RESP: Final = (
    Peer("NeuroKit2 khodadad", "neurokit2", _neurokit_resp("khodadad2018")),
    Peer("NeuroKit2 biosppy", "neurokit2", _neurokit_resp("biosppy")),
)
BY_KIND: Final[Mapping[str, tuple[Peer, ...]]] = MappingProxyType(
    {"ecg": ECG, "pleth": PPG, "resp": RESP}
)
