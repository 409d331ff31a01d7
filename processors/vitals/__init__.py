"""Vital signs from beats and readings: pure, event time only, no value without its quality."""
