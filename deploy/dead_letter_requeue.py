"""Sending refused records once more: which can be, and how often that was done."""

from collections import Counter, OrderedDict
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from deploy.dead_letters import Place, Stored, Wanted, read_letters, stored
from ingest.codec import decode_alarm, decode_frame, decode_observations
from ingest.dead_letter import DeadLetter, LetterContent
from ingest.errors import RecordError
from ingest.history import TopicHistory
from ingest.kafka import Producer
from ingest.topics import ALARMS, ANNOTATIONS, FRAMES, OBSERVATIONS, Topic

TOPICS_BACK: Final[Mapping[str, Topic]] = MappingProxyType(
    {topic.name: topic for topic in (FRAMES, OBSERVATIONS, ALARMS, ANNOTATIONS)}
)
"""Where a record may be sent back to."""

N_REMEMBERED_MAX: Final = 100_000
"""Records of which it is remembered that they were sent; what was refused twice, by worker and
sink or before and after a crash, has two letters. Beyond it one may be sent twice, which does no
harm."""


def why_not(letter: DeadLetter) -> str | None:
    """Say why a letter's record cannot be sent again; None: it can."""
    if letter.content is LetterContent.LINES:
        return "holds lines that the store rejected, not a record: the record itself was read"
    if letter.n_bytes_cut:
        return "holds only a part of the record, which was too long"
    if letter.topic not in TOPICS_BACK:
        return f"is not from {', '.join(TOPICS_BACK)}"
    return None


def key_of(letter: DeadLetter) -> bytes | None:
    """Give the record's key; where the letter does not know it, the subject that is in the record.

    None: neither tells. Such a record may go to any partition.
    """
    if letter.key is not None:
        return letter.key
    try:
        match letter.topic:
            case FRAMES.name:
                return decode_frame(letter.payload).subject_id.encode()
            case OBSERVATIONS.name:
                return decode_observations(letter.payload)[0].subject_id.encode()
            case _:
                return decode_alarm(letter.payload).subject_id.encode()
    except (RecordError, IndexError):
        return None


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of the letters that were meant."""

    sent: Counter[str] = field(default_factory=Counter)
    """Records by topic."""
    refused: Counter[str] = field(default_factory=Counter)
    """Letters whose record cannot be sent, by why."""
    n_repeated: int = 0
    """Letters of a record of which there is another letter."""
    missing: list[Place] = field(default_factory=list)

    @property
    def n_sent(self) -> int:
        """Records on all topics."""
        return self.sent.total()

    @property
    def all_sent(self) -> bool:
        """Whether every letter's record was sent."""
        return not self.refused and not self.missing

    def as_json(self) -> dict[str, Any]:
        """Give plain values."""
        return {
            "n_records": self.n_sent,
            "by_topic": dict(self.sent),
            "n_repeated": self.n_repeated,
            "not_sent": dict(self.refused),
            "missing": [str(place) for place in self.missing],
        }


class Requeue:
    """Goes through the letters that are meant, as often as it is asked, and sends their records.

    The second time it meets no letter that came after the first: a record that is refused again
    becomes a new letter, which would be sent again for ever.
    """

    def __init__(
        self, history: TopicHistory, places: tuple[Place, ...], wanted: Wanted | None
    ) -> None:
        self._history = history
        self._places = places
        self._wanted = wanted

    async def run(self, producer: Producer | None, tally: Tally) -> None:
        """Send what can be sent, one after the other; without a producer only count it.

        Raises
        ------
        BrokerError, BrokerRefusedError, OversizedRecordError
            What the tally says was sent.
        """
        seen: OrderedDict[tuple[str, int, int], None] = OrderedDict()
        async with aclosing(self._letters(tally)) as letters:
            async for one in letters:
                letter = one.letter
                if (reason := why_not(letter)) is not None:
                    tally.refused[reason] += 1
                    continue
                record = (letter.topic, letter.partition, letter.offset)
                if record in seen:
                    tally.n_repeated += 1
                    continue
                if producer is not None:
                    topic = TOPICS_BACK[letter.topic]
                    await producer.send(topic, [(key_of(letter), letter.payload)])
                tally.sent[letter.topic] += 1
                seen[record] = None
                if len(seen) > N_REMEMBERED_MAX:
                    seen.popitem(last=False)

    async def _letters(self, tally: Tally) -> AsyncGenerator[Stored, None]:
        for place in self._places:
            record = await self._history.record(*place)
            if record is None:
                tally.missing.append(place)
            else:
                yield stored(record)
        if self._wanted is not None:
            async with aclosing(read_letters(self._history)) as letters:
                async for one in letters:
                    if one in self._wanted:
                        yield one
