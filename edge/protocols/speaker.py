"""What every protocol has in common. A shell."""

from typing import Protocol


class Speaker(Protocol):
    """Speaks one protocol with one device for as long as one link lasts."""

    async def open(self) -> None:
        """Subscribe and start what the device's row says; the intake hears it from then on.

        Raises
        ------
        DeviceRefusedError
            The device says no for good.
        LinkLostError
        """

    async def attend(self) -> None:
        """Say what has to be said while the link lasts; return when there is no more to say.

        It is cancelled when the link ends.

        Raises
        ------
        DeviceRefusedError, LinkLostError
            What cannot be had costs the other protocols nothing.
        """

    async def close(self) -> None:
        """Stop what was started, on a link that still stands.

        Raises
        ------
        DeviceRefusedError, LinkLostError
        """
