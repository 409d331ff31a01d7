"""What can go wrong at the edge.

EdgeError
├── LinkLostError           the link is gone: reconnect with back-off
├── DeviceRefusedError      the device says no for good: give up on it, keep the others
└── RadioUnavailableError   no adapter, or it is off: wait for it
"""


class EdgeError(Exception):
    """The root of the edge's errors."""


class LinkLostError(EdgeError):
    """The link to a peripheral is gone, or never came about."""


class DeviceRefusedError(EdgeError):
    """A device lacks what its catalogue row says, or refuses it."""


class RadioUnavailableError(EdgeError):
    """There is no Bluetooth adapter to use."""
