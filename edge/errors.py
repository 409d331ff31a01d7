"""What can go wrong at the edge.

EdgeError
├── LinkLostError           the link is gone: reconnect with back-off
│   ├── DeviceNotFoundError     nobody answers: it may have gone since it was heard
│   ├── ConnectAbortedError     the connection broke while it was made: interference, or range
│   ├── OutOfSlotsError         the adapter holds no more links: not the device's fault
│   └── StaleServicesError      what is remembered of its services is not true: read them anew
├── DeviceRefusedError      the device says no for good: give up on it, keep the others
│   └── BondLostError           it has forgotten our key: an operator must consent to a new one
└── RadioUnavailableError   no adapter, or it is off: wait for it
"""


class EdgeError(Exception):
    """The root of the edge's errors."""


class LinkLostError(EdgeError):
    """The link to a peripheral is gone, or never came about."""


class DeviceNotFoundError(LinkLostError):
    """A peripheral did not answer in time."""


class ConnectAbortedError(LinkLostError):
    """A connection broke while it was being made."""


class OutOfSlotsError(LinkLostError):
    """The adapter can hold no further link."""


class StaleServicesError(LinkLostError):
    """The services that are remembered of a peripheral are not those that it has."""


class DeviceRefusedError(EdgeError):
    """A device lacks what its catalogue row says, or refuses it."""


class BondLostError(DeviceRefusedError):
    """A device does not have the key any more that it was paired with."""


class DeviceFaultError(EdgeError):
    """The agent itself has failed with what one device sends: its link is made anew."""


class RadioUnavailableError(EdgeError):
    """There is no Bluetooth adapter to use."""
