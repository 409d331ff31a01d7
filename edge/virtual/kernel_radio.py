"""The virtual air behind Linux's virtual Bluetooth controller: what BlueZ takes for an adapter."""

import asyncio
import logging
import os
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from bumble import core, hci
from bumble.transport.common import PacketParser

from edge.virtual.ether import CentralController, Ether

VHCI: Final = Path("/dev/vhci")
ADDRESS_DEFAULT: Final = "02:C4:E7:00:00:01"
"""Public address of the adapter, marked as locally administered."""

DUPLICATES_S_DEFAULT: Final = 1.0
"""How long a duplicate is held back where the kernel wants none. Adapters differ: their lists are
short, or last as long as the scan. With the latter a connect during a scan takes ten seconds, since
the kernel waits for an advertisement, and gets none before it begins the next scan."""

_VENDOR_PACKET: Final = 0xFF
_PRIMARY_CONTROLLER: Final = 0x00
_PACKET_BYTES_MAX: Final = 4096
_ENHANCED_CONNECTION_COMPLETE: Final = 1 << 9
"""Bit of the LE event mask; Core Specification, volume 4, part E, 7.8.1."""

_logger = logging.getLogger(__name__)


class KernelController(CentralController):
    """A controller as the kernel expects it.

    The kernel scans with a random address that it renews, and connects with its public one. The air
    knows a controller by one address alone: the public one.

    Parameters
    ----------
    ether, address, duplicates_s
        See ``KernelRadio``.
    """

    supported_commands = CentralController.supported_commands | {
        hci.HCI_LE_SET_EXTENDED_SCAN_PARAMETERS_COMMAND,
        hci.HCI_LE_SET_EXTENDED_SCAN_ENABLE_COMMAND,
        hci.HCI_LE_EXTENDED_CREATE_CONNECTION_COMMAND,
    }
    """bumble's controller obeys these, too, but does not say so; the kernel asks first."""

    def __init__(
        self, ether: Ether, address: str, *, duplicates_s: float = DUPLICATES_S_DEFAULT
    ) -> None:
        super().__init__("kernel", ether)
        self._duplicates_s = duplicates_s
        self.public_address = hci.Address(address, hci.AddressType.PUBLIC_DEVICE)
        self.random_address = self.public_address
        self._reported_at_s: dict[tuple[hci.Address, int, bytes], float] = {}

    def on_hci_le_set_extended_scan_enable_command(
        self, command: hci.HCI_LE_Set_Extended_Scan_Enable_Command
    ) -> hci.HCI_StatusReturnParameters:
        """Begin or end scanning; each scan reports everything anew."""
        self._reported_at_s.clear()
        return super().on_hci_le_set_extended_scan_enable_command(command)

    def _report(self, event_type: int, address: hci.Address, data: bytes) -> None:
        """Report an advertisement; seldom, if the kernel has asked for no duplicates."""
        what, now_s = (address, event_type, data), asyncio.get_running_loop().time()
        reported_at_s = self._reported_at_s.get(what)
        if (
            not self.filter_duplicates
            or reported_at_s is None
            or now_s - reported_at_s >= self._duplicates_s
        ):
            self._reported_at_s[what] = now_s
            super()._report(event_type, address, data)

    def on_hci_le_set_random_address_command(
        self, command: hci.HCI_LE_Set_Random_Address_Command
    ) -> hci.HCI_StatusReturnParameters:
        """Take note of nothing: scan requests with that address are not modelled."""
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def send_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """Send a packet to the host; a new connection in the form that the host has asked for."""
        wanted = self.le_event_mask & _ENHANCED_CONNECTION_COMPLETE
        if wanted and isinstance(packet, hci.HCI_LE_Connection_Complete_Event):
            packet = _enhanced(packet)
        super().send_hci_packet(packet)


class KernelRadio:
    """An adapter of this machine's kernel on the virtual air, for as long as the block lasts.

    Needs the module ``hci_vhci`` and the right to open its device. Leaving the block is as if the
    adapter were pulled out: the kernel forgets it, and its peers lose their links. It can be
    entered again, and is then the same adapter, put in again.

    Parameters
    ----------
    ether
        The air that the adapter shares with the sensors.
    address
        Its public address.
    duplicates_s
        How long it holds back an advertisement that repeats itself, if the kernel wants it so.
    """

    def __init__(
        self,
        ether: Ether,
        address: str = ADDRESS_DEFAULT,
        *,
        duplicates_s: float = DUPLICATES_S_DEFAULT,
    ) -> None:
        self._ether = ether
        self._address = address
        self._duplicates_s = duplicates_s
        self._parser = PacketParser()
        self._controller: KernelController | None = None
        self._file: int | None = None

    async def __aenter__(self) -> Self:
        self._file = os.open(VHCI, os.O_RDWR | os.O_NONBLOCK)
        self._controller = KernelController(
            self._ether, self._address, duplicates_s=self._duplicates_s
        )
        self._controller.set_packet_sink(self)
        self._parser.set_packet_sink(self._controller)
        asyncio.get_running_loop().add_reader(self._file, self._read)
        os.write(self._file, bytes([_VENDOR_PACKET, _PRIMARY_CONTROLLER]))
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        file, self._file = self._file, None
        if file is not None:
            asyncio.get_running_loop().remove_reader(file)
            os.close(file)
        if self._controller is not None:
            self._controller.close()

    def on_packet(self, packet: bytes) -> None:
        """Pass a packet of the controller to the kernel."""
        if self._file is not None:
            os.write(self._file, packet)

    def _read(self) -> None:
        if self._file is None:
            return
        packet = os.read(self._file, _PACKET_BYTES_MAX)
        if packet[:1] == bytes([_VENDOR_PACKET]):
            return  # the kernel's name for the new adapter
        try:
            self._parser.feed_data(packet)
        except core.InvalidPacketError as error:
            _logger.warning("the kernel's packet is not HCI, dropped: %s", error)


def _enhanced(
    complete: hci.HCI_LE_Connection_Complete_Event,
) -> hci.HCI_LE_Enhanced_Connection_Complete_Event:
    return hci.HCI_LE_Enhanced_Connection_Complete_Event(
        status=complete.status,
        connection_handle=complete.connection_handle,
        role=complete.role,
        peer_address_type=complete.peer_address_type,
        peer_address=complete.peer_address,
        local_resolvable_private_address=hci.Address.ANY,
        peer_resolvable_private_address=hci.Address.ANY,
        connection_interval=complete.connection_interval,
        peripheral_latency=complete.peripheral_latency,
        supervision_timeout=complete.supervision_timeout,
        central_clock_accuracy=complete.central_clock_accuracy,
    )
