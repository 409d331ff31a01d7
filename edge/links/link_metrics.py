"""Prometheus metrics of the links, and what it means when they move."""

from typing import Final

from prometheus_client import Counter, Gauge

CONNECT_FAILURES: Final = Counter(
    "chevet_edge_connect_failures_total",
    "Connections that did not come about, by cause. not_found: it advertises and does not answer. "
    "out_of_slots: add an adapter. aborted: interference or range. radio: see the adapter. "
    "fault: a bug of the agent.",
    ["cause"],
)
WAITING: Final = Gauge(
    "chevet_edge_devices_waiting",
    "Devices on the air that wait to be connected. Never 0: more devices than slots.",
)
GAVE_WAY: Final = Counter(
    "chevet_edge_links_gave_way_total",
    "Links ended for a device that matters more, or whose turn it was. Add an adapter.",
)
ADAPTERS: Final = Gauge(
    "chevet_edge_adapters",
    "Adapters in use, those that are away included. 0: none was ever there, or BlueZ does not run.",
)
ADAPTER_LINKS: Final = Gauge("chevet_edge_adapter_links", "Links of an adapter.", ["adapter"])
ADAPTER_USABLE: Final = Gauge(
    "chevet_edge_adapter_usable",
    "1 while the adapter scans. 0: unplugged, off, or hung.",
    ["adapter"],
)
ADAPTER_STEPS: Final = Counter(
    "chevet_edge_adapter_recoveries_total",
    "What was done because an adapter heard nothing, by step and outcome.",
    ["adapter", "step", "outcome"],
)
STALLS: Final = Counter(
    "chevet_edge_stream_stalls_total",
    "Streams that fell silent on a link that stands, by what was done. A firmware at fault.",
    ["device", "step"],
)
BREAKER_OPENINGS: Final = Counter(
    "chevet_edge_devices_left_alone_total",
    "Times that a device was left alone after failures in a row. A battery, or range.",
)
REFUSED: Final = Counter(
    "chevet_edge_devices_refused_total",
    "Devices not taken: not in the catalogue, another serial number, no service, no bond.",
)
SERVICES_STALE: Final = Counter(
    "chevet_edge_services_stale_total",
    "Services read anew because what was remembered of them was not true. A firmware update.",
)
PROBED: Final = Counter(
    "chevet_edge_strangers_probed_total",
    "Devices without a name asked for their serial number, and left when it was not one of ours.",
)
LINK_MTU: Final = Gauge("chevet_edge_link_mtu_bytes", "ATT MTU of the last link.", ["device"])
