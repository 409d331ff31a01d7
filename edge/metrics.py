"""Prometheus metrics of the agent, and what it means when they move."""

from collections.abc import Iterable
from typing import Final

from prometheus_client import Counter, Gauge

from edge.ledger import ChannelTotals

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
FAULTS: Final = Counter(
    "chevet_edge_device_faults_total",
    "Errors of the agent itself while it dealt with one device, whose link is made anew. Not 0: a "
    "bug, to be reported with the lines device_fault of the journal.",
    ["device"],
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
RECORDS_TAKEN: Final = Counter(
    "chevet_edge_records_taken_total", "Stored records taken over from a device.", ["device"]
)
READINGS_DROPPED: Final = Counter(
    "chevet_edge_readings_dropped_total",
    "Readings left out on purpose, by cause: another user of the device, a waveform from its "
    "memory, a quantity that has no code here, or what came while its link was being ended: that "
    "is asked for again, or a gap.",
    ["device", "cause"],
)
SEGMENTS_LOST: Final = Counter(
    "chevet_edge_segments_lost_total",
    "Notifications that are missing from observations sent in several; a weak link.",
    ["device"],
)
QUESTIONS_FAILED: Final = Counter(
    "chevet_edge_questions_failed_total",
    "Questions to a device that only answers, which brought nothing, by cause. Growth: a weak "
    "link, or a firmware that does not know the question.",
    ["device", "cause"],
)
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
SPOOL_FRAMES_DROPPED: Final = Gauge(
    "chevet_edge_spool_frames_dropped",
    "Frames that gave way since the spool was made. Growth: spool_bytes_max is too small for the "
    "outage, or Frames are older than spool_age_s_max. Their samples are in gaps.",
)
SPOOL_READINGS_DROPPED: Final = Gauge(
    "chevet_edge_spool_readings_dropped", "Readings and device events in those Frames."
)
LEDGER: Final = Gauge(
    "chevet_edge_ledger_samples",
    "Totals since the spool was made. on_air flat: the device sends nothing. waiting grows: the "
    "broker is away or too slow. held grows: the disk is full.",
    ["device", "channel", "account"],
)
LEDGER_LOST: Final = Gauge(
    "chevet_edge_ledger_lost_samples",
    "Samples that will never come, since the spool was made: kind is dropped (decoded and given "
    "up) or in_gaps (never decoded).",
    ["device", "channel", "kind", "cause"],
)
UNACCOUNTED: Final = Gauge(
    "chevet_edge_ledger_unaccounted_samples",
    "Samples that were on the air and are nowhere. 0: anything else is a bug, to be reported.",
    ["device", "channel"],
)
READINGS_LOST: Final = Counter(
    "chevet_edge_readings_lost_total",
    "Readings and events that gave way to newer ones while no Frame could be stored.",
)
BROKER_FAILURES: Final = Counter(
    "chevet_edge_broker_failures_total", "Deliveries that the broker did not take."
)
HEALTH_UNSERVED: Final = Gauge(
    "chevet_edge_health_unserved",
    "Socket and port of the agent's status that could not be had. Not 0: another program has the "
    "health_port; the agent works all the same.",
)


def tell_ledger(totals: Iterable[ChannelTotals]) -> None:
    """Show the ledger."""
    for one in totals:
        place = (one.device_id, one.channel)
        for account in ("on_air", "spooled", "acknowledged", "waiting", "held"):
            LEDGER.labels(*place, account).set(getattr(one, account))
        for kind, by_cause in (("dropped", one.dropped), ("in_gaps", one.in_gaps)):
            for cause, n_samples in by_cause.items():
                LEDGER_LOST.labels(*place, kind, cause).set(n_samples)
        UNACCOUNTED.labels(*place).set(one.unaccounted)
