"""UUIDs of services and characteristics: 128 bits, lower case, as BLE libraries report them.

Source: Bluetooth SIG, Assigned Numbers, sections 3.4 (services) and 3.8 (characteristics);
Polar Electro, Polar Measurement Data Specification (PMD).
"""

from typing import Final

from devices.errors import InvalidFieldError

_SIG_BASE: Final = "0000{:04x}-0000-1000-8000-00805f9b34fb"
_N_HEX_DIGITS_128: Final = 32


def sig_uuid(assigned_number: int) -> str:
    """Write a 16-bit assigned number as a 128-bit UUID."""
    return _SIG_BASE.format(assigned_number)


def normalise_uuid(text: str) -> str:
    """Write any form of a UUID (``"180D"``, ``"0x180d"``, 128 bits) as this module does.

    Raises
    ------
    InvalidFieldError
    """
    digits = text.lower().removeprefix("0x").replace("-", "")
    if len(digits) not in (4, 8, _N_HEX_DIGITS_128) or set(digits) - set("0123456789abcdef"):
        raise InvalidFieldError(field="uuid", value=text, why="is not a UUID")
    if len(digits) < _N_HEX_DIGITS_128:
        digits = digits.zfill(8) + sig_uuid(0).replace("-", "")[8:]
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


CURRENT_TIME_SERVICE: Final = sig_uuid(0x1805)
GLUCOSE_SERVICE: Final = sig_uuid(0x1808)
HEALTH_THERMOMETER_SERVICE: Final = sig_uuid(0x1809)
DEVICE_INFORMATION_SERVICE: Final = sig_uuid(0x180A)
HEART_RATE_SERVICE: Final = sig_uuid(0x180D)
BATTERY_SERVICE: Final = sig_uuid(0x180F)
BLOOD_PRESSURE_SERVICE: Final = sig_uuid(0x1810)
RUNNING_SPEED_CADENCE_SERVICE: Final = sig_uuid(0x1814)
BODY_COMPOSITION_SERVICE: Final = sig_uuid(0x181B)
WEIGHT_SCALE_SERVICE: Final = sig_uuid(0x181D)
CGM_SERVICE: Final = sig_uuid(0x181F)
PULSE_OXIMETER_SERVICE: Final = sig_uuid(0x1822)
ELAPSED_TIME_SERVICE: Final = sig_uuid(0x183F)
GENERIC_HEALTH_SENSOR_SERVICE: Final = sig_uuid(0x1840)

DATE_TIME: Final = sig_uuid(0x2A08)
OBSERVATION_SCHEDULE_DESCRIPTOR: Final = sig_uuid(0x2910)
LOCAL_TIME_INFORMATION: Final = sig_uuid(0x2A0F)
REFERENCE_TIME_INFORMATION: Final = sig_uuid(0x2A14)
GLUCOSE_MEASUREMENT: Final = sig_uuid(0x2A18)
BATTERY_LEVEL: Final = sig_uuid(0x2A19)
TEMPERATURE_MEASUREMENT: Final = sig_uuid(0x2A1C)
SYSTEM_ID: Final = sig_uuid(0x2A23)
MODEL_NUMBER: Final = sig_uuid(0x2A24)
SERIAL_NUMBER: Final = sig_uuid(0x2A25)
FIRMWARE_REVISION: Final = sig_uuid(0x2A26)
HARDWARE_REVISION: Final = sig_uuid(0x2A27)
SOFTWARE_REVISION: Final = sig_uuid(0x2A28)
MANUFACTURER_NAME: Final = sig_uuid(0x2A29)
CURRENT_TIME: Final = sig_uuid(0x2A2B)
GLUCOSE_MEASUREMENT_CONTEXT: Final = sig_uuid(0x2A34)
BLOOD_PRESSURE_MEASUREMENT: Final = sig_uuid(0x2A35)
INTERMEDIATE_CUFF_PRESSURE: Final = sig_uuid(0x2A36)
HEART_RATE_MEASUREMENT: Final = sig_uuid(0x2A37)
BODY_SENSOR_LOCATION: Final = sig_uuid(0x2A38)
BLOOD_PRESSURE_FEATURE: Final = sig_uuid(0x2A49)
PNP_ID: Final = sig_uuid(0x2A50)
GLUCOSE_FEATURE: Final = sig_uuid(0x2A51)
RECORD_ACCESS_CONTROL_POINT: Final = sig_uuid(0x2A52)
RSC_MEASUREMENT: Final = sig_uuid(0x2A53)
RSC_FEATURE: Final = sig_uuid(0x2A54)
SC_CONTROL_POINT: Final = sig_uuid(0x2A55)
SENSOR_LOCATION: Final = sig_uuid(0x2A5D)
PLX_SPOT_CHECK: Final = sig_uuid(0x2A5E)
PLX_CONTINUOUS: Final = sig_uuid(0x2A5F)
PLX_FEATURES: Final = sig_uuid(0x2A60)
BODY_COMPOSITION_FEATURE: Final = sig_uuid(0x2A9B)
BODY_COMPOSITION_MEASUREMENT: Final = sig_uuid(0x2A9C)
WEIGHT_MEASUREMENT: Final = sig_uuid(0x2A9D)
WEIGHT_SCALE_FEATURE: Final = sig_uuid(0x2A9E)
CGM_MEASUREMENT: Final = sig_uuid(0x2AA7)
CGM_FEATURE: Final = sig_uuid(0x2AA8)
CGM_STATUS: Final = sig_uuid(0x2AA9)
CGM_SESSION_START_TIME: Final = sig_uuid(0x2AAA)
CGM_SESSION_RUN_TIME: Final = sig_uuid(0x2AAB)
CGM_SPECIFIC_OPS_CONTROL_POINT: Final = sig_uuid(0x2AAC)
LIVE_HEALTH_OBSERVATIONS: Final = sig_uuid(0x2B8B)
STORED_HEALTH_OBSERVATIONS: Final = sig_uuid(0x2BDD)
OBSERVATION_SCHEDULE_CHANGED: Final = sig_uuid(0x2BF1)
CURRENT_ELAPSED_TIME: Final = sig_uuid(0x2BF2)
HEALTH_SENSOR_FEATURES: Final = sig_uuid(0x2BF3)
GHS_CONTROL_POINT: Final = sig_uuid(0x2BF4)

PMD_SERVICE: Final = "fb005c80-02e7-f387-1cad-8acd2d8df0c8"
PMD_CONTROL_POINT: Final = "fb005c81-02e7-f387-1cad-8acd2d8df0c8"
PMD_DATA: Final = "fb005c82-02e7-f387-1cad-8acd2d8df0c8"

GSP_SERVICE: Final = "34802252-7185-4d5d-b431-630e7050e8f0"
GSP_COMMAND: Final = "34800001-7185-4d5d-b431-630e7050e8f0"
GSP_DATA: Final = "34800002-7185-4d5d-b431-630e7050e8f0"

NONIN_SERVICE: Final = "46a970e0-0d5f-11e2-8b5e-0002a5d5c51b"
NONIN_CONTINUOUS: Final = "0aad7ea0-0d60-11e2-8e3c-0002a5d5c51b"
NONIN_CONTROL_POINT: Final = "1447af80-0d60-11e2-88b6-0002a5d5c51b"

VIATOM_SERVICE: Final = "14839ac4-7d7e-415c-9a42-167340cf2339"
VIATOM_NOTIFY: Final = "0734594a-a8e7-4b1a-a6b1-cd5243059a57"
VIATOM_WRITE: Final = "8b00ace7-eb0b-49b0-bbe9-9aee0a26e1a3"
