"""Alarm events: pure rules over observations and gaps. Never a primary alarm."""
