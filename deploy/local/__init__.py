"""Real servers on this machine for tests and the demo: brokers and InfluxDB, started and stopped from Python."""
