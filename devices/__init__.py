"""Payloads of health sensors: bytes to values and back, codes and units. Pure: no I/O, no clock."""
