"""One number for a set of observations: equal where every observation is, to the bit. Pure."""

from hashlib import blake2b, sha256

from ingest.observation import Observation
from ingest.observation_avro import observations_bytes

_BYTES = 16


class ObservationDigest:
    """Takes observations of one subject in any order; one that comes again changes nothing.

    What the subject is called is left out: the same signals under another pseudonym have the same
    digest. Everything else of an observation counts, times and the names of its channels included.
    Sixteen bytes of each observation are kept in memory.
    """

    def __init__(self) -> None:
        self._seen: set[bytes] = set()

    def add(self, observation: Observation) -> None:
        """Take the next one.

        Raises
        ------
        OverflowError, UnicodeEncodeError
            It cannot be written as Avro.
        """
        said = observations_bytes("", (observation,))
        self._seen.add(blake2b(said, digest_size=_BYTES).digest())

    @property
    def n_observations(self) -> int:
        """Different observations so far."""
        return len(self._seen)

    def hexdigest(self) -> str:
        """Give the SHA-256 of what was taken, 64 hexadecimal digits."""
        return sha256(b"".join(sorted(self._seen))).hexdigest()
