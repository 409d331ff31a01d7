"""What can go wrong between bytes and values.

    ValueError
    ├── DecodeError                     the payload is bad: drop it, count it, go on
    │   ├── TruncatedPayloadError       it ends inside a field
    │   ├── TrailingBytesError          it goes on after the last field
    │   ├── PayloadTooLongError         it is longer than an attribute value may be
    │   ├── InvalidFieldError           a field holds what its specification forbids
    │   │   └── ReservedValueError      a field holds what its specification has not defined
    │   └── UnsupportedFrameError       a stream frame of a layout that is not known here
    └── EncodeError                     a value does not fit the field it is meant for
    KeyError
    └── UnknownCharacteristicError      no decoder has this UUID: do not subscribe to it

Anything else that leaves a decoder is a bug.
"""


class DecodeError(ValueError):
    """A payload is not what its specification says."""


class TruncatedPayloadError(DecodeError):
    """A payload ends inside a field.

    Attributes
    ----------
    field : str
        The field that is missing or incomplete.
    needed, available : int
        Bytes that the field needs, and bytes that are left for it.
    """

    def __init__(self, *, field: str, needed: int, available: int) -> None:
        super().__init__(f"{field}: {needed} bytes needed, {available} available")
        self.field = field
        self.needed = needed
        self.available = available


class TrailingBytesError(DecodeError):
    """A payload goes on after its last field.

    Attributes
    ----------
    n_bytes : int
        Bytes that no field has claimed.
    """

    def __init__(self, *, n_bytes: int) -> None:
        super().__init__(f"{n_bytes} bytes after the last field")
        self.n_bytes = n_bytes


class PayloadTooLongError(DecodeError):
    """A payload is longer than an attribute value may be.

    Attributes
    ----------
    n_bytes, n_bytes_max : int
        Its length, and the limit.
    """

    def __init__(self, *, n_bytes: int, n_bytes_max: int) -> None:
        super().__init__(f"payload of {n_bytes} bytes, at most {n_bytes_max} are allowed")
        self.n_bytes = n_bytes
        self.n_bytes_max = n_bytes_max


class InvalidFieldError(DecodeError):
    """A field holds what its specification forbids.

    Attributes
    ----------
    field : str
        The field.
    value : object
        What it holds: an int, or bytes.
    why : str
        What the specification says.
    """

    def __init__(self, *, field: str, value: object, why: str) -> None:
        super().__init__(f"{field}: {value!r} {why}")
        self.field = field
        self.value = value
        self.why = why


class ReservedValueError(InvalidFieldError):
    """A field holds a value that its specification keeps for future use."""

    def __init__(self, *, field: str, value: object) -> None:
        super().__init__(field=field, value=value, why="is reserved for future use")


class UnsupportedFrameError(DecodeError):
    """A stream frame has a layout that is not known here.

    Attributes
    ----------
    measurement : int
        Measurement type of the frame's header.
    frame_type : int
        Frame type, without the compression bit.
    compressed : bool
        The compression bit.
    """

    def __init__(self, *, measurement: int, frame_type: int, compressed: bool) -> None:
        kind = "compressed" if compressed else "raw"
        super().__init__(f"{kind} frame type {frame_type} of measurement type {measurement}")
        self.measurement = measurement
        self.frame_type = frame_type
        self.compressed = compressed


class EncodeError(ValueError):
    """A value does not fit the field it is meant for.

    Attributes
    ----------
    field : str
        The field.
    value : object
        What was to be written.
    why : str
        Why it cannot be.
    """

    def __init__(self, *, field: str, value: object, why: str) -> None:
        super().__init__(f"{field}: {value!r} {why}")
        self.field = field
        self.value = value
        self.why = why


class UnknownCharacteristicError(KeyError):
    """No decoder is registered for a characteristic.

    Attributes
    ----------
    characteristic_uuid : str
        The UUID as it was asked for.
    """

    def __init__(self, characteristic_uuid: str) -> None:
        super().__init__(characteristic_uuid)
        self.characteristic_uuid = characteristic_uuid

    def __str__(self) -> str:
        return f"no decoder for characteristic {self.characteristic_uuid}"
