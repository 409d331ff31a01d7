"""What the virtual peripherals that play a recording have in common."""

from edge.virtual.ether import Ether
from edge.virtual.peripheral import ADVERTISING_INTERVAL_MS_DEFAULT, Identity, Peripheral
from edge.virtual.player import Body, Clock


class RecordedPeripheral(Peripheral):
    """A peripheral that somebody of a recording wears.

    Parameters
    ----------
    ether, identity, clock, advertising_interval_ms
        See ``Peripheral``.
    body
        Who wears it.
    """

    def __init__(
        self,
        ether: Ether,
        identity: Identity,
        clock: Clock,
        body: Body,
        *,
        advertising_interval_ms: float = ADVERTISING_INTERVAL_MS_DEFAULT,
    ) -> None:
        super().__init__(ether, identity, clock, advertising_interval_ms=advertising_interval_ms)
        self._body = body
        self._beats = body.beats()

    @property
    def record_name(self) -> str:
        """Name of the recording."""
        return self._body.recording.name

    @property
    def recording_start_ns(self) -> int:
        """When sample 0 of the recording was taken, UTC, nanoseconds since 1970."""
        return self._body.start_ns
