"""Prometheus metrics of the agent, and what it means when they move."""

from typing import Final

from prometheus_client import Counter, Gauge

PAYLOADS: Final = Counter(
    "chevet_edge_payloads_total",
    "Notifications received. Flat while a device is connected: it sends nothing.",
    ["device"],
)
UNDECODABLE: Final = Counter(
    "chevet_edge_payloads_undecodable_total",
    "Notifications that are not what their characteristic says. A firmware change, or noise.",
    ["device"],
)
OVERFLOWED: Final = Counter(
    "chevet_edge_payloads_overflowed_total",
    "Notifications dropped because the agent was too slow. Each is in a gap with its cause.",
    ["device"],
)
DUPLICATES: Final = Counter(
    "chevet_edge_payloads_duplicate_total",
    "Notifications that came again, or behind a later one; usual after a reconnect.",
    ["device"],
)
SAMPLES: Final = Counter(
    "chevet_edge_samples_total", "Waveform samples decoded and framed.", ["device", "channel"]
)
SAMPLES_MISSING: Final = Counter(
    "chevet_edge_samples_missing_total",
    "Samples that will never come, by cause.",
    ["device", "channel", "cause"],
)
CLOCK_JUMPS: Final = Counter(
    "chevet_edge_clock_jumps_total",
    "Times that a device's clock was set. More than one at a change of battery: a bad device.",
    ["device"],
)
HOST_CLOCK_STEPS: Final = Counter(
    "chevet_edge_host_clock_steps_total",
    "Times that this host's clock was set by more than 0.25 s. Is its time server reachable?",
)
STATES_UNREADABLE: Final = Counter(
    "chevet_edge_states_unreadable_total",
    "Clocks and numberings kept from an earlier run that were not understood, and began anew.",
)
CONNECTIONS: Final = Counter(
    "chevet_edge_connections_total", "Links made. Steady growth: a bad radio.", ["device"]
)
LINKS_LOST: Final = Counter("chevet_edge_links_lost_total", "Links lost.", ["device"])
CONNECTED: Final = Gauge("chevet_edge_connected", "1 while the device is connected.", ["device"])
FRAMES_SPOOLED: Final = Counter("chevet_edge_frames_spooled_total", "Frames written to disk.")
FRAMES_ACKNOWLEDGED: Final = Counter(
    "chevet_edge_frames_acknowledged_total", "Frames that the broker has stored."
)
SPOOL_FRAMES: Final = Gauge(
    "chevet_edge_spool_frames", "Frames that wait. Growth: the broker is away or too slow."
)
SPOOL_SAMPLES: Final = Gauge("chevet_edge_spool_samples", "Samples in those Frames.")
SPOOL_BYTES: Final = Gauge("chevet_edge_spool_bytes", "Bytes of those Frames.")
SPOOL_FAILURES: Final = Counter(
    "chevet_edge_spool_failures_total", "Frames not stored at once. Is the disk full?"
)
READINGS_LOST: Final = Counter(
    "chevet_edge_readings_lost_total",
    "Readings and events that gave way to newer ones while no Frame could be stored.",
)
BROKER_FAILURES: Final = Counter(
    "chevet_edge_broker_failures_total", "Deliveries that the broker did not take."
)
