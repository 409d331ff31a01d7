"""Vital signs from beats and readings: pure, event time only, no value without a reason to believe it."""
