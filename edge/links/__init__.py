"""Radio: adapters, scans, connects, and who keeps each device."""
