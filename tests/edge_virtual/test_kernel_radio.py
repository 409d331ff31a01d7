"""The controller that Linux takes for an adapter, asked as Linux asks.

What the kernel and BlueZ make of it is seen where both run: tests/bluez.
"""

import pytest
from bumble import hci

from edge.virtual.ether import Ether
from edge.virtual.kernel_radio import ADDRESS_DEFAULT, KernelController
from edge.virtual.peripheral import Peripheral
from tests.edge_virtual.conftest import World, let_run
from tests.waiting import until

ENHANCED_COMPLETE = 1 << 9
MTU_REQUEST = bytes.fromhex("0300 0400 02 f700")
"""L2CAP length and channel, ATT opcode, 247 bytes."""
RANDOM_ADDRESS = hci.Address("3A:00:00:00:00:01")

Report = hci.HCI_LE_Extended_Advertising_Report_Event


class Kernel:
    """A host that keeps all packets, and knows nothing more."""

    def __init__(self, ether: Ether, duplicates_s: float = 3600.0) -> None:
        self.packets: list[hci.HCI_Packet] = []
        self.controller = KernelController(ether, ADDRESS_DEFAULT, duplicates_s=duplicates_s)
        self.controller.set_packet_sink(self)

    def on_packet(self, packet: bytes) -> None:
        self.packets.append(hci.HCI_Packet.from_bytes(packet))

    def send(self, command: hci.HCI_Command) -> None:
        self.controller.on_packet(bytes(command))

    def scan(self, *, filter_duplicates: bool) -> None:
        self.send(
            hci.HCI_LE_Set_Extended_Scan_Parameters_Command(
                own_address_type=hci.OwnAddressType.RANDOM,
                scanning_filter_policy=0,
                scanning_phys=1,
                scan_types=[1],
                scan_intervals=[16],
                scan_windows=[16],
            )
        )
        self.send(
            hci.HCI_LE_Set_Extended_Scan_Enable_Command(
                enable=1, filter_duplicates=int(filter_duplicates), duration=0, period=0
            )
        )

    def connect(self, peripheral: Peripheral) -> None:
        self.send(
            hci.HCI_LE_Extended_Create_Connection_Command(
                initiator_filter_policy=0,
                own_address_type=hci.OwnAddressType.PUBLIC,
                peer_address_type=hci.AddressType.RANDOM_DEVICE,
                peer_address=hci.Address(peripheral.identity.address),
                initiating_phys=1,
                scan_intervals=[16],
                scan_windows=[16],
                connection_interval_mins=[24],
                connection_interval_maxs=[40],
                max_latencies=[0],
                supervision_timeouts=[42],
                min_ce_lengths=[0],
                max_ce_lengths=[0],
            )
        )

    def seen(self, kind: type[hci.HCI_Packet]) -> list[hci.HCI_Packet]:
        return [packet for packet in self.packets if isinstance(packet, kind)]

    def reports(self) -> list[tuple[int, bytes]]:
        events = [packet for packet in self.packets if isinstance(packet, Report)]
        return [(one.event_type, one.data) for event in events for one in event.reports]


@pytest.mark.parametrize("enhanced", [True, False])
async def test_a_new_link_is_told_in_the_form_that_was_asked_for(
    tcp_world: World, *, enhanced: bool
) -> None:
    strap = await tcp_world.strap()
    kernel = Kernel(tcp_world.ether)
    mask = ENHANCED_COMPLETE if enhanced else 0x1F
    kernel.send(hci.HCI_LE_Set_Event_Mask_Command(le_event_mask=mask.to_bytes(8, "little")))

    kernel.connect(strap)
    await until(lambda: strap.connected)
    await let_run()

    assert len(kernel.seen(hci.HCI_LE_Enhanced_Connection_Complete_Event)) == int(enhanced)
    assert len(kernel.seen(hci.HCI_LE_Connection_Complete_Event)) == int(not enhanced)
    kernel.controller.close()
    await until(lambda: not strap.connected)


async def test_a_random_address_for_scanning_does_not_cut_the_links(tcp_world: World) -> None:
    strap = await tcp_world.strap()
    kernel = Kernel(tcp_world.ether)
    kernel.connect(strap)
    await until(lambda: strap.connected)

    kernel.send(hci.HCI_LE_Set_Random_Address_Command(random_address=RANDOM_ADDRESS))
    kernel.scan(filter_duplicates=True)

    (connection,) = kernel.controller.le_connections.values()
    pdu = MTU_REQUEST
    kernel.controller.on_packet(
        bytes(hci.HCI_AclDataPacket(connection.handle, 0, 0, len(pdu), pdu))
    )
    await until(lambda: len(kernel.seen(hci.HCI_AclDataPacket)) == 1)
    kernel.send(hci.HCI_Disconnect_Command(connection_handle=connection.handle, reason=0x13))
    await until(lambda: not strap.connected)
    assert tcp_world.ether.n_links == 0
    kernel.controller.close()


async def test_duplicates_are_held_back_if_so_asked(tcp_world: World) -> None:
    strap = await tcp_world.strap()
    picky, curious = Kernel(tcp_world.ether), Kernel(tcp_world.ether)
    forgetful = Kernel(tcp_world.ether, duplicates_s=0.1)

    picky.scan(filter_duplicates=True)
    forgetful.scan(filter_duplicates=True)
    curious.scan(filter_duplicates=False)
    await until(lambda: len(curious.reports()) >= 10)
    await until(lambda: len(forgetful.reports()) >= 4)

    # The advertisement, and the scan response with the name.
    assert len(picky.reports()) == 2
    assert strap.identity.name.encode() in picky.reports()[1][1]
    picky.scan(filter_duplicates=True)
    await until(lambda: len(picky.reports()) == 4)
    picky.controller.close()
    curious.controller.close()
    forgetful.controller.close()
