"""Where Frames and Observations go: InfluxDB and files."""
