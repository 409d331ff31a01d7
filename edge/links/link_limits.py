"""What every link carries at least."""

from typing import Final

NOTIFICATION_BYTES_MIN: Final = 20
"""The longest notification where the ATT MTU was never raised from 23: a longer one is cut there,
by the device or on the way."""
