"""What can go wrong between an agent and a processor.

    IngestError
    ├── RecordError                 this record is bad: dead-letter it, go on
    │   ├── UnknownSchemaError      bytes of a schema that this program does not know
    │   ├── MalformedRecordError    bytes that are no record, or a record that breaks the contract
    │   └── OversizedRecordError    longer than the contract allows
    ├── BrokerError                 the broker is unwell: keep the record, back off
    │   ├── BrokerUnavailableError  nobody answers
    │   └── ProduceTimeoutError     no acknowledgement in time
    ├── BrokerRefusedError          the broker said no for good: credentials, rights, settings
    └── RecordingError              a recording cannot be read or played

Anything else is a bug and ends the process.
"""


class IngestError(Exception):
    """The root of this package's errors."""


class RecordError(IngestError):
    """One record is bad; others are not."""


class UnknownSchemaError(RecordError):
    """The fingerprint in the header is that of no known schema."""

    def __init__(self, fingerprint: bytes) -> None:
        super().__init__(
            f"unknown schema {fingerprint.hex()}; the sender may be newer than this program"
        )
        self.fingerprint = fingerprint


class MalformedRecordError(RecordError):
    """The bytes are no record, or the record breaks the contract."""


class OversizedRecordError(RecordError):
    """The record is longer than the contract allows."""


class BrokerError(IngestError):
    """The broker is unwell; the same call may succeed later."""


class BrokerUnavailableError(BrokerError):
    """No broker answers at the given addresses."""


class ProduceTimeoutError(BrokerError):
    """The broker did not acknowledge a record in time."""


class BrokerRefusedError(IngestError):
    """The broker refused for good: wrong credentials, missing rights, bad settings."""


class RecordingError(IngestError):
    """A recording cannot be read or played."""
