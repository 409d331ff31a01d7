"""The Checkpoint: what a worker remembers of one subject, and the input behind which it stands."""

from dataclasses import dataclass, field
from typing import Final, Self

import cramjam

from ingest.errors import MalformedRecordError

STATE_BYTES_MAX: Final = 32_000_000
"""Longest state that is unpacked, a hundred times what a subject with everything on needs."""

_LEVEL: Final = 1
"""Of zstd: a third of the bytes for a third of a millisecond; more costs more than it saves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The state of one subject after a record of its input."""

    subject_id: str
    next_offset: int
    """In the partition of the Frames: what stands before it and is of this subject is in the state,
    and all that follows from it has been delivered."""
    record_ms: int
    """Kafka's time of the subject's last record, milliseconds since 1970."""
    newest_ns: int
    """Newest event time of the subject's Frames, nanoseconds since 1970."""
    program: str
    """The version of the program that wrote it, for whoever reads its log."""
    n_bytes: int
    """Length of the state, unpacked."""
    packed: bytes = field(repr=False)
    """The state, compressed with zstd."""

    @classmethod
    def of(cls, state: bytes, **fields: object) -> Self:
        """Pack a state."""
        packed = bytes(cramjam.zstd.compress(state, _LEVEL))
        return cls(n_bytes=len(state), packed=packed, **fields)  # type: ignore[arg-type]

    def state(self) -> bytes:
        """Unpack the state.

        Raises
        ------
        MalformedRecordError
            The bytes are not what they are said to be.
        """
        if not 0 <= self.n_bytes <= STATE_BYTES_MAX:
            raise MalformedRecordError(
                f"a state of {self.n_bytes} bytes; at most {STATE_BYTES_MAX} are unpacked"
            )
        # Into a buffer of its own: whatever the bytes say, no more room than that is made.
        state = bytearray(self.n_bytes)
        try:
            n_bytes = cramjam.zstd.decompress_into(self.packed, state)
        except cramjam.DecompressionError as error:
            raise MalformedRecordError(f"the state cannot be unpacked: {error}") from error
        if n_bytes != self.n_bytes:
            raise MalformedRecordError(f"a state of {n_bytes} bytes, not of {self.n_bytes}")
        return bytes(state)
