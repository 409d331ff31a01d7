"""The one table of codes: what each quantity is called, here and in the standards.

An MDC code is 32 bits: the partition in the upper half, the term in the lower. Where the standard
has no term the row uses the range that it leaves to manufacturers (terms 0xF000 to 0xFFFF of a
partition) and says ``private``: such a code means something among Chevet systems only.

Source: ISO/IEEE 11073-10101 (nomenclature), 11073-10102 (annotated ECG), 11073-10406 (basic ECG),
11073-10404 (pulse oximeter), 11073-10441 (cardiovascular fitness); UCUM 2.1; LOINC 2.77.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

_OBJECT: Final = 1 << 16
"""Partition MDC_PART_OBJ, object infrastructure."""
_SCADA: Final = 2 << 16
"""Partition MDC_PART_SCADA, physiological measurements."""
_FITNESS: Final = 129 << 16
"""Partition MDC_PART_PHD_HF, health and fitness."""
_PRIVATE: Final = _SCADA | 0xF000
"""First private term of the measurement partition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """Something that is measured.

    Attributes
    ----------
    name
        Ours, in records, tags and files: lower case, digits and underscores.
    label
        For people.
    mdc
        ISO/IEEE 11073-10101 code, 32 bits.
    mdc_reference_id
        Its reference identifier; of our own making if `private`.
    ucum
        The unit in which a value of this quantity is given.
    loinc
        The LOINC code, or None where none says the same.
    private
        True if `mdc` is from the range that the standard leaves to manufacturers.
    """

    name: str
    label: str
    mdc: int
    mdc_reference_id: str
    ucum: str
    loinc: str | None = None
    private: bool = False


def _ecg(lead: str, term: int) -> Quantity:
    return Quantity(
        name=f"ecg_{lead.lower()}",
        label=f"ECG lead {lead}",
        mdc=_SCADA | term,
        mdc_reference_id=f"MDC_ECG_ELEC_POTL_{lead.upper()}",
        ucum="mV",
    )


def _private(name: str, label: str, *, term: int, ucum: str, loinc: str | None = None) -> Quantity:
    return Quantity(
        name=name,
        label=label,
        mdc=_PRIVATE + term,
        mdc_reference_id=f"MDC_PRIVATE_CHEVET_{name.upper()}",
        ucum=ucum,
        loinc=loinc,
        private=True,
    )


ECG: Final = Quantity(
    name="ecg",
    label="ECG, lead not stated",
    mdc=_SCADA | 256,
    mdc_reference_id="MDC_ECG_ELEC_POTL",
    ucum="mV",
)
ECG_I: Final = _ecg("I", 257)
ECG_II: Final = _ecg("II", 258)
"""Also for the modified lead II (MLII) of Holter recordings, which has no term of its own."""
ECG_III: Final = _ecg("III", 317)
ECG_AVR: Final = _ecg("aVR", 318)
ECG_AVL: Final = _ecg("aVL", 319)
ECG_AVF: Final = _ecg("aVF", 320)
ECG_V1: Final = _ecg("V1", 259)
ECG_V2: Final = _ecg("V2", 260)
ECG_V3: Final = _ecg("V3", 261)
ECG_V4: Final = _ecg("V4", 262)
ECG_V5: Final = _ecg("V5", 263)
ECG_V6: Final = _ecg("V6", 264)

PLETH: Final = Quantity(
    name="pleth",
    label="Plethysmogram",
    mdc=_SCADA | 19380,
    mdc_reference_id="MDC_PULS_OXIM_PLETH",
    ucum="1",
)
RESPIRATION_IMPEDANCE: Final = Quantity(
    name="respiration_impedance",
    label="Respiration, thoracic impedance",
    mdc=_SCADA | 20708,
    mdc_reference_id="MDC_IMPED_TTHOR",
    ucum="Ohm",
)

HEART_RATE: Final = Quantity(
    name="heart_rate",
    label="Heart rate",
    mdc=_SCADA | 16770,
    mdc_reference_id="MDC_ECG_HEART_RATE",
    ucum="/min",
    loinc="8867-4",
)
RR_INTERVAL: Final = Quantity(
    name="rr_interval",
    label="RR interval",
    mdc=_SCADA | 16168,
    mdc_reference_id="MDC_ECG_TIME_PD_RR_GL",
    ucum="ms",
    loinc="8637-1",
)
SPO2: Final = Quantity(
    name="spo2",
    label="Oxygen saturation",
    mdc=_SCADA | 19384,
    mdc_reference_id="MDC_PULS_OXIM_SAT_O2",
    ucum="%",
    loinc="59408-5",
)
PULSE_RATE: Final = Quantity(
    name="pulse_rate",
    label="Pulse rate",
    mdc=_SCADA | 18458,
    mdc_reference_id="MDC_PULS_OXIM_PULS_RATE",
    ucum="/min",
    loinc="8889-8",
)
PERFUSION_INDEX: Final = Quantity(
    name="perfusion_index",
    label="Perfusion index",
    mdc=_SCADA | 19416,
    mdc_reference_id="MDC_BLD_PERF_INDEX",
    ucum="%",
    loinc="61006-3",
)
BODY_TEMPERATURE: Final = Quantity(
    name="body_temperature",
    label="Body temperature",
    mdc=_SCADA | 19292,
    mdc_reference_id="MDC_TEMP_BODY",
    ucum="Cel",
    loinc="8310-5",
)
RESPIRATORY_RATE: Final = Quantity(
    name="respiratory_rate",
    label="Respiratory rate",
    mdc=_SCADA | 20490,
    mdc_reference_id="MDC_RESP_RATE",
    ucum="/min",
    loinc="9279-1",
)
BATTERY_LEVEL: Final = Quantity(
    name="battery_level",
    label="Battery level",
    mdc=_OBJECT | 2460,
    mdc_reference_id="MDC_ATTR_VAL_BATT_CHARGE",
    ucum="%",
)
ENERGY_EXPENDED: Final = Quantity(
    name="energy_expended",
    label="Energy expended",
    mdc=_FITNESS | 119,
    mdc_reference_id="MDC_HF_ENERGY",
    ucum="kJ",
)

# Not in the nomenclature: its motion terms are those of fitness sessions, not of raw axes, and
# it has no term for a photodiode's counts before they are a plethysmogram.
ACC_X: Final = _private("acc_x", "Acceleration, x", term=0x00, ucum="[g]")
ACC_Y: Final = _private("acc_y", "Acceleration, y", term=0x01, ucum="[g]")
ACC_Z: Final = _private("acc_z", "Acceleration, z", term=0x02, ucum="[g]")
GYRO_X: Final = _private("gyro_x", "Angular velocity, x", term=0x03, ucum="deg/s")
GYRO_Y: Final = _private("gyro_y", "Angular velocity, y", term=0x04, ucum="deg/s")
GYRO_Z: Final = _private("gyro_z", "Angular velocity, z", term=0x05, ucum="deg/s")
PPG: Final = _private("ppg", "Photoplethysmogram, raw", term=0x10, ucum="1")
PPG_AMBIENT: Final = _private("ppg_ambient", "Ambient light, raw", term=0x11, ucum="1")
PP_INTERVAL: Final = _private("pp_interval", "Pulse-to-pulse interval", term=0x12, ucum="ms")
SIGNAL_QUALITY: Final = _private("signal_quality", "Signal quality", term=0x20, ucum="1")
SDNN: Final = _private(
    "sdnn", "Standard deviation of NN intervals", term=0x30, ucum="ms", loinc="80404-7"
)
RMSSD: Final = _private(
    "rmssd", "Root mean square of successive NN differences", term=0x31, ucum="ms"
)
PNN50: Final = _private("pnn50", "NN differences above 50 ms", term=0x32, ucum="%")

_ROWS: Final = (
    ECG,
    ECG_I,
    ECG_II,
    ECG_III,
    ECG_AVR,
    ECG_AVL,
    ECG_AVF,
    ECG_V1,
    ECG_V2,
    ECG_V3,
    ECG_V4,
    ECG_V5,
    ECG_V6,
    PLETH,
    RESPIRATION_IMPEDANCE,
    HEART_RATE,
    RR_INTERVAL,
    SPO2,
    PULSE_RATE,
    PERFUSION_INDEX,
    BODY_TEMPERATURE,
    RESPIRATORY_RATE,
    BATTERY_LEVEL,
    ENERGY_EXPENDED,
    ACC_X,
    ACC_Y,
    ACC_Z,
    GYRO_X,
    GYRO_Y,
    GYRO_Z,
    PPG,
    PPG_AMBIENT,
    PP_INTERVAL,
    SIGNAL_QUALITY,
    SDNN,
    RMSSD,
    PNN50,
)

QUANTITIES: Final[Mapping[str, Quantity]] = MappingProxyType({row.name: row for row in _ROWS})
"""Every quantity by its name."""
_BY_MDC: Final = {row.mdc: row for row in _ROWS}


def by_name(name: str) -> Quantity:
    """Find a quantity by our name for it.

    Raises
    ------
    KeyError
    """
    return QUANTITIES[name]


def by_mdc(mdc: int) -> Quantity:
    """Find a quantity by its 32-bit MDC code.

    Raises
    ------
    KeyError
    """
    return _BY_MDC[mdc]


def quantity_name(mdc: int) -> str:
    """Name a quantity by its MDC code; ``mdc_NNN`` where the table does not have it."""
    row = _BY_MDC.get(mdc)
    return f"mdc_{mdc}" if row is None else row.name
