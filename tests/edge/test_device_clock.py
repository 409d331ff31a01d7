"""What a Frame says of a device's clock: enough to give any of its times in UTC."""

from dataclasses import replace

import pytest

from edge.clocks.device_clock import DeviceClock
from edge.clocks.host_clock import HostClock
from ingest.frame import NS_PER_S, ClockRelation
from tests.edge.radio_model import UTC_0_NS, Packet, Radio, constant, ramp

MS = 1_000_000


def relations(
    packets: list[Packet], step_ns: int = 0, step_at: int = -1
) -> list[tuple[int, ClockRelation]]:
    """UTC as mapped and the relation at each packet, the host being set at one of them."""
    host = HostClock(0, UTC_0_NS)
    clock = DeviceClock(host, None)
    found: list[tuple[int, ClockRelation]] = []
    for n, packet in enumerate(packets):
        wall_ns = UTC_0_NS + packet.arrival_ns + (step_ns if n >= step_at >= 0 else 0)
        now = host.read(packet.arrival_ns, wall_ns)
        stamp, _ = clock.map(packet.device_ns, now.told_ns, was_set=False, goes_on=False)
        relation = clock.relation("strap-1")
        assert relation is not None
        found.append((stamp.t_ns, relation))
    return found


@pytest.mark.parametrize("ppm", [20.0, -80.0])
def test_a_relation_is_exact_at_its_own_moment(ppm: float) -> None:
    packets = list(Radio(ppm=constant(ppm), hours=0.5).packets())

    for packet, (t_ns, relation) in zip(packets, relations(packets), strict=True):
        assert relation.device_ns == packet.device_ns
        assert relation.utc_ns(packet.device_ns) == t_ns


def test_relations_a_minute_apart_give_each_time_between_within_milliseconds() -> None:
    """A researcher who has one in a hundred of them needs no others."""
    packets = list(Radio(ppm=ramp(80, 90, at_s=1500, lasts_s=120), hours=1).packets())
    known = relations(packets)

    for n in range(1_200, len(packets)):
        nearest = known[n - n % 107][1]
        utc_ns = nearest.utc_ns(packets[n].device_ns)
        assert utc_ns == pytest.approx(UTC_0_NS + packets[n].true_ns, rel=0, abs=8 * MS)


def test_each_side_of_a_jump_of_the_device_has_its_own_relation() -> None:
    packets = list(Radio(ppm=constant(20), hours=0.5).packets())
    jump = len(packets) // 2
    fallen = [
        replace(one, device_ns=one.device_ns - (3_600 * NS_PER_S if n >= jump else 0))
        for n, one in enumerate(packets)
    ]
    known = relations(fallen)

    for n in (jump - 50, jump - 1, jump, jump + 50):
        utc_ns = known[n][1].utc_ns(fallen[n].device_ns)
        assert utc_ns == pytest.approx(UTC_0_NS + packets[n].true_ns, rel=0, abs=300 * MS)
    assert known[jump][1].offset_ns - known[jump - 1][1].offset_ns == pytest.approx(
        3_600 * NS_PER_S, rel=0, abs=300 * MS
    )


def test_a_host_that_was_set_is_in_the_offset_at_once() -> None:
    packets = list(Radio(ppm=constant(20), hours=0.5).packets())
    half = len(packets) // 2

    known = relations(packets, step_ns=5 * NS_PER_S, step_at=half)

    offsets_ns = [relation.offset_ns for _, relation in known[half - 1 : half + 1]]
    assert offsets_ns[1] - offsets_ns[0] == pytest.approx(5 * NS_PER_S, rel=0, abs=MS)
    assert known[half][1].drift_ppm == pytest.approx(known[half - 1][1].drift_ppm, abs=1.0)
