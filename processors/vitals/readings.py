"""What a device derived by itself."""

from typing import Final

from processors.vitals.derived import Algorithm

DEVICE_READING: Final = Algorithm(
    name="device_reading",
    version=1,
    method="The device's own figure, as it sent it.",
    source="The device's maker",
    delay_s=0.0,
    averaging="The maker's.",
    validity="Where the device says that it has no value, its reason; otherwise believed.",
)

DEVICE_RECORD: Final = Algorithm(
    name="device_record",
    version=1,
    method="The device's own figure, as it sent it, that came after newer ones: from the device's "
    "store, or in a Frame that was late. At the time of the measurement. No other figure rests on "
    "it, and it is not shown as current.",
    source="The device's maker",
    delay_s=0.0,
    averaging="The maker's.",
    validity="Where the device says that it has no value, its reason; otherwise believed.",
)
