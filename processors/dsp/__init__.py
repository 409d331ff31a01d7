"""Streaming signal processing: pure, causal, the same output however the input is cut."""
