"""What a waveform is called on the page, and of which kind it is."""

from typing import Final

from devices import codes
from ingest.frame import WaveformBlock

_SHORT_LABELS: Final = {
    codes.ECG.mdc: "ECG",
    codes.PLETH.mdc: "Pleth",
    codes.RESPIRATION_IMPEDANCE.mdc: "Resp",
    codes.ACC_X.mdc: "ACC x",
    codes.ACC_Y.mdc: "ACC y",
    codes.ACC_Z.mdc: "ACC z",
    codes.GYRO_X.mdc: "Gyro x",
    codes.GYRO_Y.mdc: "Gyro y",
    codes.GYRO_Z.mdc: "Gyro z",
    codes.PPG.mdc: "PPG",
    codes.PPG_AMBIENT.mdc: "Ambient",
    codes.PPG_RED.mdc: "PPG red",
    codes.PPG_INFRARED.mdc: "PPG IR",
}
_KINDS: Final = {
    "ecg": "ecg",
    "pleth": "pleth",
    "ppg": "pleth",
    "respiration": "respiration",
    "resp": "respiration",
    "acc": "motion",
    "gyro": "motion",
}
"""By the first word of the quantity's name, or else of the channel's."""


def waveform_label(block: WaveformBlock) -> str:
    """Give the short label of a trace: ``ECG II``, ``Pleth``; else the channel's own name."""
    short = _SHORT_LABELS.get(block.mdc_code)
    if short is None and codes.quantity_name(block.mdc_code).startswith("ecg_"):
        short = codes.by_mdc(block.mdc_code).label.replace("lead ", "")
    return short or block.channel


def waveform_kind(block: WaveformBlock) -> str:
    """Tell which of the page's kinds a waveform is of."""
    for name in (codes.quantity_name(block.mdc_code), block.channel.lower().replace("/", "_")):
        kind = _KINDS.get(name.split("_", maxsplit=1)[0])
        if kind is not None:
            return kind
    return "other"
