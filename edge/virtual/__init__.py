"""Sensors without a radio: recorded people behind a real Bluetooth LE host stack."""
