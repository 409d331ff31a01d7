"""Real servers on this machine for tests and the demo, started and stopped from Python."""
