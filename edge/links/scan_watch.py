"""What to do about an adapter that hears nothing. Pure: no clock.

    silent ──► restart the scanner ──still──► power-cycle the adapter ──still──► report, and again

An adapter that hangs does not say so: its scan goes on and no advertisement comes. Any
advertisement counts, of whomever. Each round waits twice as long as the last: in a shielded room,
or at night with every device on its charger, silence is the truth.
"""

from enum import StrEnum


class ScanStep(StrEnum):
    """What is due."""

    RESTART_SCANNER = "restart_scanner"
    POWER_CYCLE = "power_cycle"


class ScanWatch:
    """Watches one adapter.

    Parameters
    ----------
    silence_s
        How long may pass without an advertisement while devices are expected; above 0.
    silence_s_max
        The longest wait between two steps.
    now_s
        Of a clock that never goes back.
    """

    def __init__(self, *, silence_s: float, silence_s_max: float, now_s: float) -> None:
        if not 0 < silence_s <= silence_s_max:
            raise ValueError(f"no watch: {silence_s} to {silence_s_max} s")
        self._silence_s = silence_s
        self._silence_s_max = silence_s_max
        self._wait_s = silence_s
        self._quiet_since_s = now_s
        self._restarted = False

    def heard(self, now_s: float) -> None:
        """Note an advertisement."""
        self._quiet_since_s = now_s
        self._wait_s = self._silence_s
        self._restarted = False

    def due(self, now_s: float, *, expected: bool, carries_links: bool) -> ScanStep | None:
        """Tell what is due, once; the next step is due after another silence.

        Parameters
        ----------
        expected
            Whether a device that is not connected should be in the air: else silence proves
            nothing.
        carries_links
            Whether links stand on the adapter: it works then, and a power cycle would end them.
        """
        if not expected:
            self._quiet_since_s = now_s
            return None
        if now_s - self._quiet_since_s < self._wait_s:
            return None
        self._quiet_since_s = now_s
        if not self._restarted or carries_links:
            self._restarted = True
            return ScanStep.RESTART_SCANNER
        self._restarted = False
        self._wait_s = min(2 * self._wait_s, self._silence_s_max)
        return ScanStep.POWER_CYCLE
