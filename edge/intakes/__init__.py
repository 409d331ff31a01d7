"""Payloads to values with a time, one for each kind of device: pure."""
