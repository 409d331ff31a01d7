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

    async def restart(self, name: str) -> bool:
        """Stop and start a stream that has fallen silent, in the settings that it has.

        It is called while `attend` runs: neither may take an answer that the other waits for.

        Parameters
        ----------
        name
            As it was given to ``SampleStreams.begin``, which is not called again: the numbering
            goes on, and what is missing is a gap.

        Returns
        -------
        bool
            Whether the stream is one of this protocol; False, also where a protocol has no
            streams, leaves it to the others.

        Raises
        ------
        DeviceRefusedError
            The device never granted the stream, or does not grant it any more: it is not watched
            any longer.
        LinkLostError
        """
        ...

    async def close(self) -> None:
        """Stop what was started, on a link that still stands; also in the middle of `open`.

        Raises
        ------
        DeviceRefusedError, LinkLostError
        """
