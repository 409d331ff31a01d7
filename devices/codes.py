"""The one table of codes: what each quantity is called, here and in the standards.

An MDC code is 32 bits: the partition in the upper half, the term in the lower. Where the standard
has no term the row uses the range that it leaves to manufacturers (terms 0xF000 to 0xFFFF of a
partition) and says ``private``: such a code means something among Chevet systems only.

Source: ISO/IEEE 11073-10101 (nomenclature), 11073-10102 (annotated ECG), 11073-10406 (basic ECG),
11073-10404 (pulse oximeter), 11073-10407 (blood pressure), 11073-10415 (weighing scale),
11073-10420 (body composition), 11073-10441 (cardiovascular fitness); UCUM 2.1; LOINC 2.77.
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


def _glucose(sample: str, label: str, term: int, loinc: str | None = None) -> Quantity:
    return Quantity(
        name=f"glucose_{sample.lower()}" if sample else "glucose",
        label=f"Glucose{label}",
        mdc=_SCADA | term,
        mdc_reference_id=f"MDC_CONC_GLU_{sample.replace('_BLOOD', 'BLOOD') or 'GEN'}",
        ucum="mg/dL",
        loinc=loinc,
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
SKIN_TEMPERATURE: Final = Quantity(
    name="skin_temperature",
    label="Skin temperature",
    mdc=_SCADA | 19316,
    mdc_reference_id="MDC_TEMP_SKIN",
    ucum="Cel",
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
SYSTOLIC_PRESSURE: Final = Quantity(
    name="systolic_pressure",
    label="Systolic blood pressure",
    mdc=_SCADA | 18949,
    mdc_reference_id="MDC_PRESS_BLD_NONINV_SYS",
    ucum="mm[Hg]",
    loinc="8480-6",
)
DIASTOLIC_PRESSURE: Final = Quantity(
    name="diastolic_pressure",
    label="Diastolic blood pressure",
    mdc=_SCADA | 18950,
    mdc_reference_id="MDC_PRESS_BLD_NONINV_DIA",
    ucum="mm[Hg]",
    loinc="8462-4",
)
MEAN_ARTERIAL_PRESSURE: Final = Quantity(
    name="mean_arterial_pressure",
    label="Mean arterial pressure",
    mdc=_SCADA | 18951,
    mdc_reference_id="MDC_PRESS_BLD_NONINV_MEAN",
    ucum="mm[Hg]",
    loinc="8478-0",
)
CUFF_PRESSURE: Final = Quantity(
    name="cuff_pressure",
    label="Pressure in the cuff",
    mdc=_SCADA | 19228,
    mdc_reference_id="MDC_PRESS_CUFF",
    ucum="mm[Hg]",
)
CUFF_PULSE_RATE: Final = Quantity(
    name="cuff_pulse_rate",
    label="Pulse rate, by the cuff",
    mdc=_SCADA | 18474,
    mdc_reference_id="MDC_PULS_RATE_NON_INV",
    ucum="/min",
    loinc="8867-4",
)
BODY_MASS: Final = Quantity(
    name="body_mass",
    label="Body weight",
    mdc=_SCADA | 57664,
    mdc_reference_id="MDC_MASS_BODY_ACTUAL",
    ucum="kg",
    loinc="29463-7",
)
BODY_HEIGHT: Final = Quantity(
    name="body_height",
    label="Body height",
    mdc=_SCADA | 57668,
    mdc_reference_id="MDC_LEN_BODY_ACTUAL",
    ucum="m",
    loinc="8302-2",
)
BODY_FAT: Final = Quantity(
    name="body_fat",
    label="Body fat, share of mass",
    mdc=_SCADA | 57676,
    mdc_reference_id="MDC_BODY_FAT",
    ucum="%",
    loinc="41982-0",
)
BODY_MASS_INDEX: Final = Quantity(
    name="body_mass_index",
    label="Body mass index",
    mdc=_SCADA | 57680,
    mdc_reference_id="MDC_RATIO_MASS_BODY_LEN_SQ",
    ucum="kg/m2",
    loinc="39156-5",
)
FAT_FREE_MASS: Final = Quantity(
    name="fat_free_mass",
    label="Fat-free mass",
    mdc=_SCADA | 57684,
    mdc_reference_id="MDC_MASS_BODY_FAT_FREE",
    ucum="kg",
)
SOFT_LEAN_MASS: Final = Quantity(
    name="soft_lean_mass",
    label="Soft lean mass",
    mdc=_SCADA | 57688,
    mdc_reference_id="MDC_MASS_BODY_SOFT_LEAN",
    ucum="kg",
)
BODY_WATER_MASS: Final = Quantity(
    name="body_water_mass",
    label="Body water",
    mdc=_SCADA | 57692,
    mdc_reference_id="MDC_BODY_WATER",
    ucum="kg",
)
BASAL_METABOLISM: Final = Quantity(
    name="basal_metabolism",
    label="Basal metabolism",
    mdc=_SCADA | 57696,
    mdc_reference_id="MDC_BASAL_METABOLISM",
    ucum="kJ/d",
)
MUSCLE_SHARE: Final = Quantity(
    name="muscle_share",
    label="Muscle, share of mass",
    mdc=_SCADA | 57700,
    mdc_reference_id="MDC_BODY_MUSCLE",
    ucum="%",
)
MUSCLE_MASS: Final = Quantity(
    name="muscle_mass",
    label="Muscle mass",
    mdc=_SCADA | 57704,
    mdc_reference_id="MDC_MASS_BODY_MUSCLE",
    ucum="kg",
    loinc="73964-9",
)
BODY_IMPEDANCE: Final = Quantity(
    name="body_impedance",
    label="Electrical impedance of the body",
    mdc=_SCADA | 57708,
    mdc_reference_id="MDC_BODY_ELECTRICAL_IMPEDANCE",
    ucum="Ohm",
)
TOTAL_DISTANCE: Final = Quantity(
    name="total_distance",
    label="Distance covered",
    mdc=_FITNESS | 103,
    mdc_reference_id="MDC_HF_DISTANCE",
    ucum="m",
)
SPEED: Final = Quantity(
    name="speed",
    label="Speed",
    mdc=_FITNESS | 110,
    mdc_reference_id="MDC_HF_SPEED",
    ucum="m/s",
)
CADENCE: Final = Quantity(
    name="cadence",
    label="Cadence",
    mdc=_FITNESS | 111,
    mdc_reference_id="MDC_HF_CAD",
    ucum="/min",
)
STRIDE_LENGTH: Final = Quantity(
    name="stride_length",
    label="Stride length",
    mdc=_FITNESS | 117,
    mdc_reference_id="MDC_HF_STRIDE",
    ucum="m",
)

# ISO/IEEE 11073-10417: a quantity for each kind of sample.
GLUCOSE: Final = _glucose("", ", sample not stated", 28948)
GLUCOSE_CAPILLARY_WHOLE_BLOOD: Final = _glucose(
    "CAPILLARY_WHOLE_BLOOD", ", capillary whole blood", 29112, "32016-8"
)
GLUCOSE_CAPILLARY_PLASMA: Final = _glucose("CAPILLARY_PLASMA", ", capillary plasma", 29116)
GLUCOSE_VENOUS_WHOLE_BLOOD: Final = _glucose(
    "VENOUS_WHOLE_BLOOD", ", venous whole blood", 29120, "41652-9"
)
GLUCOSE_VENOUS_PLASMA: Final = _glucose("VENOUS_PLASMA", ", venous plasma", 29124)
GLUCOSE_ARTERIAL_WHOLE_BLOOD: Final = _glucose(
    "ARTERIAL_WHOLE_BLOOD", ", arterial whole blood", 29128, "41651-1"
)
GLUCOSE_ARTERIAL_PLASMA: Final = _glucose("ARTERIAL_PLASMA", ", arterial plasma", 29132)
GLUCOSE_UNDETERMINED_WHOLE_BLOOD: Final = _glucose(
    "UNDETERMINED_WHOLE_BLOOD", ", whole blood", 29292, "2339-0"
)
GLUCOSE_UNDETERMINED_PLASMA: Final = _glucose("UNDETERMINED_PLASMA", ", plasma", 29296, "2345-7")
GLUCOSE_INTERSTITIAL: Final = Quantity(
    name="glucose_interstitial",
    label="Glucose, interstitial fluid",
    mdc=_SCADA | 29140,
    mdc_reference_id="MDC_CONC_GLU_ISF",
    ucum="mg/dL",
    loinc="99504-3",
)
HBA1C: Final = Quantity(
    name="hba1c",
    label="Haemoglobin A1c",
    mdc=_SCADA | 29148,
    mdc_reference_id="MDC_CONC_HBA1C",
    ucum="%",
    loinc="4548-4",
)
GLUCOSE_TREND: Final = Quantity(
    name="glucose_trend",
    label="Glucose, rate of change",
    mdc=_PRIVATE + 0x60,
    mdc_reference_id="MDC_PRIVATE_CHEVET_GLUCOSE_TREND",
    ucum="mg/dL/min",
    private=True,
)
GLUCOSE_QUALITY: Final = Quantity(
    name="glucose_quality",
    label="Glucose, quality by the sensor",
    mdc=_PRIVATE + 0x61,
    mdc_reference_id="MDC_PRIVATE_CHEVET_GLUCOSE_QUALITY",
    ucum="%",
    private=True,
)

# Not in the nomenclature: its motion terms are those of fitness sessions, not of raw axes, and
# it has no term for a photodiode's counts before they are a plethysmogram.
ACC_X: Final = _private("acc_x", "Acceleration, x", term=0x00, ucum="[g]")
ACC_Y: Final = _private("acc_y", "Acceleration, y", term=0x01, ucum="[g]")
ACC_Z: Final = _private("acc_z", "Acceleration, z", term=0x02, ucum="[g]")
GYRO_X: Final = _private("gyro_x", "Angular velocity, x", term=0x03, ucum="deg/s")
GYRO_Y: Final = _private("gyro_y", "Angular velocity, y", term=0x04, ucum="deg/s")
GYRO_Z: Final = _private("gyro_z", "Angular velocity, z", term=0x05, ucum="deg/s")
MAG_X: Final = _private("mag_x", "Magnetic field, x", term=0x06, ucum="G")
MAG_Y: Final = _private("mag_y", "Magnetic field, y", term=0x07, ucum="G")
MAG_Z: Final = _private("mag_z", "Magnetic field, z", term=0x08, ucum="G")
DEVICE_TEMPERATURE: Final = _private(
    "device_temperature", "Temperature inside the device", term=0x09, ucum="Cel"
)
AMBIENT_PRESSURE: Final = _private("ambient_pressure", "Air pressure", term=0x0A, ucum="mbar")
PPG: Final = _private("ppg", "Photoplethysmogram, raw", term=0x10, ucum="1")
PPG_AMBIENT: Final = _private("ppg_ambient", "Ambient light, raw", term=0x11, ucum="1")
PPG_RED: Final = _private("ppg_red", "Photoplethysmogram, raw red light", term=0x13, ucum="1")
PPG_INFRARED: Final = _private(
    "ppg_infrared", "Photoplethysmogram, raw infrared light", term=0x14, ucum="1"
)
PP_INTERVAL: Final = _private("pp_interval", "Pulse-to-pulse interval", term=0x12, ucum="ms")
SIGNAL_QUALITY: Final = _private("signal_quality", "Signal quality", term=0x20, ucum="1")
SDNN: Final = _private(
    "sdnn", "Standard deviation of NN intervals", term=0x30, ucum="ms", loinc="80404-7"
)
RMSSD: Final = _private(
    "rmssd", "Root mean square of successive NN differences", term=0x31, ucum="ms"
)
PNN50: Final = _private("pnn50", "NN differences above 50 ms", term=0x32, ucum="%")

# Derived by Chevet. The nomenclature has terms for some of the events, none of them with the
# meaning "suspected"; heart rate variability has none.
BEAT_CLASS: Final = _private("beat_class", "Beat class, WFDB annotation code", term=0x21, ucum="1")
ASYSTOLE: Final = _private("asystole_suspected", "Asystole suspected", term=0x22, ucum="1")
BRADYCARDIA: Final = _private(
    "bradycardia_suspected", "Extreme bradycardia suspected", term=0x23, ucum="1"
)
TACHYCARDIA: Final = _private(
    "tachycardia_suspected", "Extreme tachycardia suspected", term=0x24, ucum="1"
)
VENTRICULAR_TACHYCARDIA: Final = _private(
    "ventricular_tachycardia_suspected", "Ventricular tachycardia suspected", term=0x25, ucum="1"
)
VENTRICULAR_FIBRILLATION: Final = _private(
    "ventricular_fibrillation_suspected", "Ventricular fibrillation suspected", term=0x26, ucum="1"
)
ATRIAL_FIBRILLATION: Final = _private(
    "atrial_fibrillation_suspected", "Atrial fibrillation suspected", term=0x27, ucum="1"
)
ECTOPIC_BURDEN: Final = _private(
    "ectopic_burden", "Share of ventricular beats", term=0x28, ucum="%"
)
APNOEA: Final = _private("apnoea_suspected", "Apnoea suspected", term=0x29, ucum="1")
FALL: Final = _private("fall_suspected", "Fall suspected", term=0x2A, ucum="1")
RATE_QUALITY: Final = _private("rate_quality", "Signal quality for a rate", term=0x2B, ucum="1")
INTERVAL_QUALITY: Final = _private(
    "interval_quality", "Signal quality for an interval", term=0x2C, ucum="1"
)
PULSE_QUALITY: Final = _private(
    "pulse_quality", "Quality of the plethysmogram", term=0x2D, ucum="1"
)
RESPIRATION_QUALITY: Final = _private(
    "respiration_quality", "Quality of the respiration signal", term=0x2E, ucum="1"
)

MEAN_NN: Final = _private("mean_nn", "Mean of NN intervals", term=0x33, ucum="ms")
SDSD: Final = _private("sdsd", "Standard deviation of NN differences", term=0x34, ucum="ms")
SDANN: Final = _private("sdann", "SD of 5-minute means of NN", term=0x35, ucum="ms")
SDNN_INDEX: Final = _private("sdnn_index", "Mean of 5-minute SDs of NN", term=0x36, ucum="ms")
PNN20: Final = _private("pnn20", "NN differences above 20 ms", term=0x37, ucum="%")
HRV_TRIANGULAR_INDEX: Final = _private(
    "hrv_triangular_index", "HRV triangular index", term=0x38, ucum="1"
)
ULF_POWER: Final = _private("ulf_power", "Power below 0.003 Hz", term=0x39, ucum="ms2")
VLF_POWER: Final = _private("vlf_power", "Power 0.003-0.04 Hz", term=0x3A, ucum="ms2")
LF_POWER: Final = _private("lf_power", "Power 0.04-0.15 Hz", term=0x3B, ucum="ms2")
HF_POWER: Final = _private("hf_power", "Power 0.15-0.4 Hz", term=0x3C, ucum="ms2")
LF_HF_RATIO: Final = _private("lf_hf_ratio", "LF/HF", term=0x3D, ucum="1")
TOTAL_POWER: Final = _private("total_power", "Power up to 0.4 Hz", term=0x3E, ucum="ms2")
SD1: Final = _private("sd1", "Poincaré SD1", term=0x3F, ucum="ms")
SD2: Final = _private("sd2", "Poincaré SD2", term=0x40, ucum="ms")
SAMPLE_ENTROPY: Final = _private("sample_entropy", "Sample entropy of NN", term=0x41, ucum="1")
DFA_ALPHA1: Final = _private("dfa_alpha1", "DFA, short-term exponent", term=0x42, ucum="1")
DFA_ALPHA2: Final = _private("dfa_alpha2", "DFA, long-term exponent", term=0x43, ucum="1")
NN_SHARE: Final = _private("nn_share", "Share of intervals that are NN", term=0x44, ucum="%")

MOTION_INTENSITY: Final = _private(
    "motion_intensity", "Acceleration beside gravity, RMS", term=0x50, ucum="[g]"
)
ACTIVITY_COUNTS: Final = _private(
    "activity_counts", "Activity counts per minute", term=0x51, ucum="/min"
)
STEP_COUNT: Final = _private("step_count", "Steps since the start", term=0x52, ucum="1")
STEP_RATE: Final = _private("step_rate", "Steps per minute", term=0x53, ucum="/min")
POSTURE: Final = _private("posture", "Posture", term=0x54, ucum="1")
STILL: Final = _private("still", "Still (1) or moving (0)", term=0x55, ucum="1")

# Of devices rather than of their wearers: the nomenclature has no such terms.
MOTION_INDEX: Final = _private(
    "motion_index", "Motion, the device's own measure", term=0x94, ucum="1"
)
BATTERY_VOLTAGE: Final = _private("battery_voltage", "Battery voltage", term=0x95, ucum="V")

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
    SKIN_TEMPERATURE,
    RESPIRATORY_RATE,
    BATTERY_LEVEL,
    ENERGY_EXPENDED,
    SYSTOLIC_PRESSURE,
    DIASTOLIC_PRESSURE,
    MEAN_ARTERIAL_PRESSURE,
    CUFF_PRESSURE,
    CUFF_PULSE_RATE,
    BODY_MASS,
    BODY_HEIGHT,
    BODY_FAT,
    BODY_MASS_INDEX,
    FAT_FREE_MASS,
    SOFT_LEAN_MASS,
    BODY_WATER_MASS,
    BASAL_METABOLISM,
    MUSCLE_SHARE,
    MUSCLE_MASS,
    BODY_IMPEDANCE,
    TOTAL_DISTANCE,
    SPEED,
    CADENCE,
    STRIDE_LENGTH,
    GLUCOSE,
    GLUCOSE_CAPILLARY_WHOLE_BLOOD,
    GLUCOSE_CAPILLARY_PLASMA,
    GLUCOSE_VENOUS_WHOLE_BLOOD,
    GLUCOSE_VENOUS_PLASMA,
    GLUCOSE_ARTERIAL_WHOLE_BLOOD,
    GLUCOSE_ARTERIAL_PLASMA,
    GLUCOSE_UNDETERMINED_WHOLE_BLOOD,
    GLUCOSE_UNDETERMINED_PLASMA,
    GLUCOSE_INTERSTITIAL,
    HBA1C,
    GLUCOSE_TREND,
    GLUCOSE_QUALITY,
    ACC_X,
    ACC_Y,
    ACC_Z,
    GYRO_X,
    GYRO_Y,
    GYRO_Z,
    MAG_X,
    MAG_Y,
    MAG_Z,
    DEVICE_TEMPERATURE,
    AMBIENT_PRESSURE,
    PPG,
    PPG_AMBIENT,
    PPG_RED,
    PPG_INFRARED,
    PP_INTERVAL,
    SIGNAL_QUALITY,
    SDNN,
    RMSSD,
    PNN50,
    BEAT_CLASS,
    ASYSTOLE,
    BRADYCARDIA,
    TACHYCARDIA,
    VENTRICULAR_TACHYCARDIA,
    VENTRICULAR_FIBRILLATION,
    ATRIAL_FIBRILLATION,
    ECTOPIC_BURDEN,
    APNOEA,
    FALL,
    RATE_QUALITY,
    INTERVAL_QUALITY,
    PULSE_QUALITY,
    RESPIRATION_QUALITY,
    MEAN_NN,
    SDSD,
    SDANN,
    SDNN_INDEX,
    PNN20,
    HRV_TRIANGULAR_INDEX,
    ULF_POWER,
    VLF_POWER,
    LF_POWER,
    HF_POWER,
    LF_HF_RATIO,
    TOTAL_POWER,
    SD1,
    SD2,
    SAMPLE_ENTROPY,
    DFA_ALPHA1,
    DFA_ALPHA2,
    NN_SHARE,
    MOTION_INTENSITY,
    ACTIVITY_COUNTS,
    STEP_COUNT,
    STEP_RATE,
    POSTURE,
    STILL,
    MOTION_INDEX,
    BATTERY_VOLTAGE,
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
