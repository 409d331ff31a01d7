"""The air between virtual peripherals and centrals: bumble's local link with a radio's habits.

bumble's own link delivers everything at once and for ever. Here a PDU waits for the next
connection event, a silent peer is retransmitted to until the supervision timeout ends the link,
a scan response is what the peripheral put there, and each peer has its signal strength.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from bumble import core, hci, ll
from bumble.controller import AdvertisingSet, Connection, Controller
from bumble.link import LocalLink
from bumble.transport.common import Transport

LINK_PDUS_MAX: Final = 64
"""PDUs that a controller holds for one silent peer; H10-like firmware holds a few dozen. A further
notification is refused and counted by its peripheral."""

RSSI_DBM_DEFAULT: Final = -60
CONNECTION_INTERVAL_UNIT_S: Final = 0.00125
SUPERVISION_TIMEOUT_UNIT_S: Final = 0.01
ACL_PACKET_LENGTH_BYTES: Final = 251
"""The data length extension's maximum: one notification, one packet."""

_Report = hci.HCI_LE_Extended_Advertising_Report_Event
_ACL_PACKETS_IN_FLIGHT: Final = 255
_ACTIVE_SCANNING: Final = 1
_EVENT_PROPERTIES: Final = (
    _Report.EventType.CONNECTABLE_ADVERTISING
    | _Report.EventType.SCANNABLE_ADVERTISING
    | _Report.EventType.DIRECTED_ADVERTISING
    | _Report.EventType.LEGACY_ADVERTISING_PDU_USED
)
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class EtherSettings:
    """How the air behaves; None leaves a value to the central's connection request."""

    connection_interval_s: float | None = None
    jitter_s: float = 0.0
    """Greatest extra delay of a connection event, evenly drawn."""
    supervision_timeout_s: float | None = None
    seed: int = 0


@dataclass(slots=True)
class _Pdu:
    deliver: Callable[[], None]
    undelivered: Callable[[], None] | None


class _Link:
    """One connection: two ends, a queue in each direction, one timer for each purpose."""

    def __init__(self, central: Controller, peripheral: Controller, request: ll.ConnectInd) -> None:
        self.ends = (
            (central, request.advertiser_address),
            (peripheral, request.initiator_address),
        )
        self.queues: dict[hci.Address, deque[_Pdu]] = {
            request.initiator_address: deque(),
            request.advertiser_address: deque(),
        }
        self.interval_s = request.interval * CONNECTION_INTERVAL_UNIT_S
        self.supervision_timeout_s = request.timeout * SUPERVISION_TIMEOUT_UNIT_S
        self.event: asyncio.Handle | None = None
        self.supervision: asyncio.TimerHandle | None = None
        self.ended_by: hci.Address | None = None
        """The end that has hung up; nothing more is taken from the other."""

    @property
    def n_queued(self) -> int:
        return sum(len(queue) for queue in self.queues.values())

    def involves(self, controller: Controller) -> bool:
        return any(end is controller for end, _ in self.ends)

    def connection_at(self, controller: Controller) -> Connection | None:
        """Return the controller's side of this connection, None once it is gone."""
        peer = next(peer for end, peer in self.ends if end is controller)
        return controller.le_connections.get(peer)

    def stop_timers(self) -> None:
        for timer in (self.event, self.supervision):
            if timer is not None:
                timer.cancel()

    def give_up(self, sender: hci.Address) -> None:
        """Tell the senders of all queued PDUs that these will not arrive."""
        queue = self.queues[sender]
        while queue:
            undelivered = queue.popleft().undelivered
            if undelivered is not None:
                undelivered()


class CentralController(Controller):
    """A central's controller: real scan responses and signal strengths, attempts that end."""

    le_acl_data_packet_length = ACL_PACKET_LENGTH_BYTES
    total_num_le_acl_data_packets = _ACL_PACKETS_IN_FLIGHT

    def __init__(self, name: str, ether: "Ether", place: str = "") -> None:
        self.place = place
        self.deaf = False
        """Whether it hears nothing and does not say so, as one that hangs: only a loss of power
        mends that."""
        self._ether = ether
        self._scans_actively = False
        super().__init__(name, link=ether)

    def close(self) -> None:
        """Leave the air, as if the radio had lost power."""
        self._ether.remove_controller(self)
        if not self.terminated.done():
            self.terminated.set_result(None)

    @property
    def listens(self) -> bool:
        """Whether an advertisement is of any interest."""
        return not self.deaf and (self.le_scan_enable or self.pending_le_connection is not None)

    def on_hci_le_set_extended_scan_parameters_command(
        self, command: hci.HCI_LE_Set_Extended_Scan_Parameters_Command
    ) -> hci.HCI_StatusReturnParameters:
        """Remember also whether scan responses are wanted."""
        scan_types = command.scan_types  # pyright: ignore[reportAttributeAccessIssue]
        self._scans_actively = _ACTIVE_SCANNING in scan_types
        return super().on_hci_le_set_extended_scan_parameters_command(command)

    def on_hci_le_create_connection_cancel_command(
        self, _command: hci.HCI_LE_Create_Connection_Cancel_Command
    ) -> hci.HCI_StatusReturnParameters:
        """End the attempt and say so; bumble's controller would connect for ever after."""
        attempt, self.pending_le_connection = self.pending_le_connection, None
        if attempt is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        self.send_hci_packet(
            hci.HCI_LE_Connection_Complete_Event(
                status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
                connection_handle=0,
                role=hci.Role.CENTRAL,
                peer_address_type=attempt.peer_address_type,
                peer_address=attempt.peer_address,
                connection_interval=0,
                peripheral_latency=0,
                supervision_timeout=0,
                central_clock_accuracy=0,
            )
        )
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def on_advertising_pdu(self, pdu: ll.AdvInd | ll.AdvExtInd) -> None:
        """Report an advertisement and, if scanning actively, its scan response."""
        scanning, self.le_scan_enable = self.le_scan_enable, False
        try:
            # Connects if asked to; its own report would repeat the advertisement as scan response.
            super().on_advertising_pdu(pdu)
        finally:
            self.le_scan_enable = scanning
        if not scanning:
            return
        address = pdu.advertiser_address
        advertised = self._ether.advertised_as(address)
        if advertised is None or advertised.parameters is None:
            return
        # The bits of the advertising parameters and of the report are the same.
        properties = advertised.parameters.advertising_event_properties  # pyright: ignore[reportAttributeAccessIssue]
        event_type = properties & _EVENT_PROPERTIES
        self._report(event_type, address, pdu.data)
        if self._scans_actively and event_type & _Report.EventType.SCANNABLE_ADVERTISING:
            self._report(
                event_type | _Report.EventType.SCAN_RESPONSE,
                address,
                bytes(advertised.scan_response_data),
            )

    def _report(self, event_type: int, address: hci.Address, data: bytes) -> None:
        report = _Report.Report(
            event_type=event_type,
            address_type=address.address_type,
            address=address,
            primary_phy=hci.Phy.LE_1M,
            secondary_phy=0,
            advertising_sid=_Report.NO_ADI_FIELD_PROVIDED,
            tx_power=_Report.TX_POWER_INFORMATION_NOT_AVAILABLE,
            rssi=self._ether.rssi_dbm(address, self.place),
            periodic_advertising_interval=0,
            direct_address_type=0,
            direct_address=hci.Address.ANY,
            data=data,
        )
        self.send_hci_packet(_Report([report]))


class PeripheralController(Controller):
    """A peripheral's controller: tells its owner which notifications never arrived."""

    le_acl_data_packet_length = ACL_PACKET_LENGTH_BYTES
    total_num_le_acl_data_packets = _ACL_PACKETS_IN_FLIGHT

    def __init__(self, name: str, ether: "Ether") -> None:
        self._ether = ether
        self.undelivered: Callable[[], None] | None = None
        """Called for each PDU that is sent while this is set and does not reach the peer."""
        super().__init__(name, link=ether)

    def close(self) -> None:
        """Leave the air, as if the battery had been taken out."""
        for advertising_set in self.advertising_sets.values():
            advertising_set.stop()
        self._ether.remove_controller(self)

    @property
    def n_waiting(self) -> int:
        """PDUs that its links still hold."""
        return self._ether.n_waiting(self)

    @property
    def is_dark(self) -> bool:
        """Whether one of its links is retransmitting."""
        return self._ether.is_dark(self)

    def on_hci_acl_data_packet(self, packet: hci.HCI_AclDataPacket) -> None:
        """Send, or say that it is too late: the host learns of a lost link a moment later."""
        if self.find_connection_by_handle(packet.connection_handle) is not None:
            super().on_hci_acl_data_packet(packet)
        elif self.undelivered is not None:
            self.undelivered()

    def advertised_as(self, address: hci.Address) -> AdvertisingSet | None:
        """Return the running advertisement with this address."""
        for advertising_set in self.advertising_sets.values():
            if advertising_set.enabled and advertising_set.address == address:
                return advertising_set
        return None


class Ether(LocalLink):
    """The shared air. All times are the event loop's."""

    def __init__(self, settings: EtherSettings | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._settings = settings or EtherSettings()
        self._rng = Random(self._settings.seed)  # noqa: S311 - jitter, not a secret
        self._rssi_dbm: dict[tuple[str, str], int] = {}
        self._dark: set[str] = set()
        self._links: dict[tuple[hci.Address, hci.Address], _Link] = {}

    # Faults and conditions

    def set_rssi(self, address: str, rssi_dbm: int, place: str = "") -> None:
        """Set the signal strength at which the centrals of a place hear a peripheral."""
        self._rssi_dbm[address, place] = rssi_dbm

    def rssi_dbm(self, address: hci.Address, place: str = "") -> int:
        """Return the signal strength at which a peripheral is heard at a place."""
        return self._rssi_dbm.get((_text(address), place), RSSI_DBM_DEFAULT)

    def silence(self, address: str) -> None:
        """Let a device be heard by nobody and hear nobody, as behind a lead door.

        Its links retransmit, and end with the supervision timeout unless it is back before.
        """
        self._dark.add(address)
        for link in self._links_of(address):
            self._start_supervision(link)

    def restore(self, address: str) -> None:
        """Let a silenced device be heard again; what its links still hold is delivered."""
        self._dark.discard(address)
        for link in self._links_of(address):
            if link.supervision is not None and not self._is_dark(link):
                link.supervision.cancel()
                link.supervision = None
            self._schedule(link)

    def is_silent(self, address: str) -> bool:
        """Whether ``silence`` was called last."""
        return address in self._dark

    @property
    def n_links(self) -> int:
        """Connections in the air, those about to end included."""
        return len(set(self._links.values()))

    def n_waiting(self, controller: Controller) -> int:
        """PDUs that wait on the links of a controller."""
        links = {link for link in self._links.values() if link.involves(controller)}
        return sum(link.n_queued for link in links)

    def is_dark(self, controller: Controller) -> bool:
        """Whether an end of one of a controller's links is silent."""
        return any(
            self._is_dark(link) for link in self._links.values() if link.involves(controller)
        )

    # The interface that bumble's controllers call

    def remove_controller(self, controller: Controller) -> None:
        """Take a controller off the air; its peers lose their links at once."""
        for link in {link for link in self._links.values() if link.involves(controller)}:
            self._close(link, hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR, spare=controller)
        self.controllers.discard(controller)

    def advertised_as(self, address: hci.Address) -> AdvertisingSet | None:
        """Return the running advertisement with this address."""
        for controller in self.controllers:
            if isinstance(controller, PeripheralController):
                advertised = controller.advertised_as(address)
                if advertised is not None:
                    return advertised
        return None

    def send_advertising_pdu(
        self, sender_controller: Controller, packet: ll.AdvertisingPdu
    ) -> None:
        """Let the centrals that listen hear it; a connection request goes to the advertiser."""
        loop = asyncio.get_running_loop()
        if isinstance(packet, ll.ConnectInd):
            loop.call_soon(self._establish, sender_controller, packet)
            return
        if self.is_silent(_text(sender_controller.random_address)):
            return
        for controller in self.controllers:
            if isinstance(controller, CentralController) and controller.listens:
                loop.call_soon(controller.on_ll_advertising_pdu, packet)

    def send_acl_data(
        self,
        sender_controller: Controller,
        destination_address: hci.Address,
        transport: core.PhysicalTransport,
        data: bytes,
    ) -> None:
        """Queue data for the next connection event."""
        undelivered = None
        if isinstance(sender_controller, PeripheralController):
            undelivered = sender_controller.undelivered
        source = sender_controller.random_address
        link = self._links.get((source, destination_address))
        if link is None:
            if undelivered is not None:
                undelivered()
            return
        receiver = self._receiver(link, sender_controller)
        self._queue(
            link,
            source,
            _Pdu(lambda: _deliver_data(receiver, source, transport, data), undelivered),
        )

    def send_ll_control_pdu(
        self, sender_address: hci.Address, receiver_address: hci.Address, packet: ll.ControlPdu
    ) -> None:
        """Queue a control PDU behind the data; one to a peer that is gone is lost."""
        link = self._links.get((sender_address, receiver_address))
        if link is None:
            return
        receiver = next(end for end, peer in link.ends if peer == sender_address)
        if isinstance(packet, ll.TerminateInd):
            link.ended_by = sender_address
            link.give_up(receiver_address)
        self._queue(
            link,
            sender_address,
            _Pdu(lambda: self._deliver_control(link, receiver, sender_address, packet), None),
        )

    # Connections

    def _establish(self, central: Controller, request: ll.ConnectInd) -> None:
        if central not in self.controllers:
            # Its agent has died since: nobody would ever end this link.
            return
        peripheral = self._advertiser(request)
        if peripheral is not None:
            peripheral.on_le_connect_ind(request)
        if peripheral is None or request.initiator_address not in peripheral.le_connections:
            # Another central was first, or the advertiser fell silent.
            attempt = central.le_connections.get(request.advertiser_address)
            if attempt is not None:
                central.on_le_disconnected(
                    attempt, hci.HCI_ErrorCode.CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR
                )
            return
        link = _Link(central, peripheral, request)
        if self._settings.connection_interval_s is not None:
            link.interval_s = self._settings.connection_interval_s
        if self._settings.supervision_timeout_s is not None:
            link.supervision_timeout_s = self._settings.supervision_timeout_s
        self._links[request.initiator_address, request.advertiser_address] = link
        self._links[request.advertiser_address, request.initiator_address] = link

    def _advertiser(self, request: ll.ConnectInd) -> PeripheralController | None:
        ends = (request.advertiser_address, request.initiator_address)
        if any(self.is_silent(_text(end)) for end in ends):
            return None
        for controller in self.controllers:
            if isinstance(controller, PeripheralController) and controller.advertised_as(
                request.advertiser_address
            ):
                return controller
        return None

    def _links_of(self, address: str) -> set[_Link]:
        return {link for (one, _), link in self._links.items() if _text(one) == address}

    def _receiver(self, link: _Link, sender: Controller) -> Controller:
        return next(end for end, _ in link.ends if end is not sender)

    def _is_dark(self, link: _Link) -> bool:
        return any(_text(address) in self._dark for address in link.queues)

    def _queue(self, link: _Link, sender: hci.Address, pdu: _Pdu) -> None:
        queue = link.queues[sender]
        # Replies, unlike notifications, cannot be refused by a counting owner: they get more room.
        room = LINK_PDUS_MAX if pdu.undelivered is not None else 2 * LINK_PDUS_MAX
        if link.ended_by in (None, sender) and len(queue) < room:
            queue.append(pdu)
            self._schedule(link)
        elif pdu.undelivered is not None:
            pdu.undelivered()
        else:
            _logger.debug("PDU dropped: the peer has hung up, or is silent and %d wait", len(queue))

    def _schedule(self, link: _Link) -> None:
        if link.event is not None or link.n_queued == 0 or self._is_dark(link):
            return
        loop = asyncio.get_running_loop()
        if link.interval_s == 0:
            link.event = loop.call_soon(self._connection_event, link)
            return
        wait_s = link.interval_s - loop.time() % link.interval_s
        wait_s += self._rng.random() * self._settings.jitter_s
        link.event = loop.call_later(wait_s, self._connection_event, link)

    def _connection_event(self, link: _Link) -> None:
        link.event = None
        if self._is_dark(link):
            return
        for queue in link.queues.values():
            for _ in range(len(queue)):
                if queue:
                    queue.popleft().deliver()
        self._schedule(link)

    def _start_supervision(self, link: _Link) -> None:
        if link.supervision is None:
            link.supervision = asyncio.get_running_loop().call_later(
                link.supervision_timeout_s,
                self._close,
                link,
                hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR,
            )

    def _deliver_control(
        self, link: _Link, receiver: Controller, sender: hci.Address, packet: ll.ControlPdu
    ) -> None:
        if isinstance(packet, ll.TerminateInd):
            self._close(link, packet.error_code)
        elif link.connection_at(receiver) is not None:
            receiver.on_ll_control_pdu(sender, packet)

    def _close(self, link: _Link, reason: int, spare: Controller | None = None) -> None:
        """End a link and tell the hosts at both ends, except the ``spare`` one."""
        link.stop_timers()
        one, other = link.queues
        for key in ((one, other), (other, one)):
            self._links.pop(key, None)
        for end, _ in link.ends:
            connection = link.connection_at(end)
            if connection is not None and end is not spare:
                end.on_le_disconnected(connection, reason)
        for sender in link.queues:
            link.give_up(sender)


def _text(address: hci.Address) -> str:
    return address.to_string(with_type_qualifier=False)


def _deliver_data(
    receiver: Controller, source: hci.Address, transport: core.PhysicalTransport, data: bytes
) -> None:
    if source in receiver.le_connections:
        receiver.on_link_acl_data(source, transport, data)


async def open_local_transport(ether: Ether, name: str = "central") -> Transport:
    """Open a central's controller on this air for a host in the same process."""
    controller = CentralController(name, ether)
    return Transport(controller, controller)
