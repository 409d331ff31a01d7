"""``chevet dead-letters``: what nobody could use, and sending it once more."""

import asyncio
import base64
import json
import re
import sys
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from deploy.options import config_option, fail, kafka_option, kafka_settings
from deploy.process import EXIT_DONE, EXIT_FAILED, EXIT_USAGE

N_SHOWN: Final = 20
N_LISTED_MAX: Final = 10_000

MANY_RECORDS: Final = 10
"""So many are sent again without asking."""

PROGRESS_EVERY: Final = 20_000

_Result = TypeVar("_Result")
_AGO: Final = re.compile(r"([0-9]{1,6})([smhd])")
_UNIT_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class _Since(click.ParamType):
    """A time in UTC, or how long ago."""

    name = "time"

    def convert(
        self,
        value: Any,  # noqa: ANN401
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> int:
        """Give milliseconds since 1970."""
        if ago := _AGO.fullmatch(value):
            return time.time_ns() // 1_000_000 - int(ago[1]) * _UNIT_MS[ago[2]]
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is neither 90s, 30m, 2h or 7d nor 2026-01-31T08:00", param, ctx)
        return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)


class _PlaceType(click.ParamType):
    """The name of a letter."""

    name = "id"

    def convert(
        self,
        value: Any,  # noqa: ANN401
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:  # noqa: ANN401
        """Give the Place."""
        from deploy.dead_letters import Place

        try:
            return Place.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which letters are meant."""
    for option in (
        click.option("--since", type=_Since(), metavar="TIME", help="UTC, or 30m, 2h, 7d ago."),
        click.option("--reason", default="", metavar="TEXT", help="The reason has this in it."),
        click.option("--topic", metavar="NAME", help="Of the refused record: chevet.frames …"),
        click.option("--source", metavar="NAME", help="What refused it: worker, sink-influx …"),
    ):
        command = option(command)
    return command


@click.group("dead-letters")
def dead_letters() -> None:
    """Look at the records that nobody could use, and send them once more.

    What a worker or a sink cannot use stays on chevet.dead-letters for 90 days, with the reason,
    the record's place, key and bytes. A letter is called by its own place there: 3:17 is the
    partition and the offset.

    \b
    chevet dead-letters list --summary                 how many, of which kinds
    chevet dead-letters list --since 2h --source worker
    chevet dead-letters show 3:17
    chevet dead-letters requeue --all --reason "unknown schema"     after an update
    """


@dead_letters.command("list")
@config_option
@kafka_option
@_filters
@click.option(
    "--limit",
    type=click.IntRange(1, N_LISTED_MAX),
    default=N_SHOWN,
    show_default=True,
    help="How many, the newest first.",
)
@click.option("--summary", is_flag=True, help="Count them by reason, numbers in it aside.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_letters(
    config: Path | None,
    kafka: str | None,
    source: str | None,
    topic: str | None,
    reason: str,
    since: int | None,
    limit: int,
    summary: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    """Show the dead letters, the newest first.

    The columns: the letter's ID, when it was written, what refused the record, where the record
    stands, its length in bytes, and the reason. The whole topic is read, in bounded memory.
    """
    from deploy.dead_letters import Newest, Summary, Wanted, read_letters
    from ingest.history import TopicHistory, open_history
    from ingest.topics import DEAD_LETTERS

    settings = kafka_settings(config, kafka)
    wanted = Wanted(source=source, topic=topic, reason=reason, since_ms=since)
    found: Newest | Summary = Summary() if summary else Newest(limit)

    async def read(history: TopicHistory) -> int:
        n_read = 0
        async for one in read_letters(history):
            n_read += 1
            if n_read % PROGRESS_EVERY == 0:
                click.echo(f"{n_read} letters read …", err=True)
            if one in wanted:
                found.add(one)
        return n_read

    async def run() -> int:
        async with open_history(settings, DEAD_LETTERS) as history:
            return await read(history)

    n_read = _run(run())
    counts = {"n_matching": found.n_added, "n_read": n_read}
    if as_json:
        what = (
            {"kinds": found.as_json()}
            if isinstance(found, Summary)
            else {"letters": [row.as_json() for row in found.rows()]}
        )
        click.echo(json.dumps({**what, **counts}, indent=2))
        return
    click.echo(_summary_text(found) if isinstance(found, Summary) else _rows_text(found.rows()))
    n_shown = found.n_added if isinstance(found, Summary) else len(found.rows())
    click.echo(f"{n_shown} of {found.n_added} that match, of {n_read} dead letters", err=True)


def _rows_text(rows: list[Any]) -> str:
    from deploy.dead_letters import table, utc
    from deploy.record_bytes import printable

    return table(
        ("ID", "TIME", "SOURCE", "RECORD", "BYTES", "REASON"),
        [
            (
                str(row.place),
                utc(row.t_ms),
                row.source,
                f"{row.topic}[{row.partition}]@{row.offset}",
                f"{row.n_bytes}{f' + {row.n_bytes_cut} cut' if row.n_bytes_cut else ''}",
                printable(row.reason),
            )
            for row in rows
        ],
    )


def _summary_text(summary: Any) -> str:  # noqa: ANN401  # imported when it is needed
    from deploy.dead_letters import table, utc

    return table(
        ("NUMBER", "FIRST", "LAST", "NEWEST", "SOURCE", "TOPIC", "REASON"),
        [
            (
                str(count.n),
                utc(count.first_ms),
                utc(count.last_ms),
                str(count.newest),
                kind.source,
                kind.topic,
                kind.reason,
            )
            for kind, count in summary.kinds()
        ],
    )


@dead_letters.command("show")
@click.argument("place", type=_PlaceType(), metavar="ID")
@config_option
@kafka_option
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the original bytes here; a file that exists is left alone.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(
    place: Any,  # noqa: ANN401
    config: Path | None,
    kafka: str | None,
    out: Path | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Show one dead letter: all that is known of it, what its bytes are, and the bytes."""
    from deploy.dead_letters import stored
    from ingest.history import open_history
    from ingest.kafka import ConsumedRecord
    from ingest.topics import DEAD_LETTERS

    settings = kafka_settings(config, kafka)

    async def run() -> ConsumedRecord | None:
        async with open_history(settings, DEAD_LETTERS) as history:
            return await history.record(*place)

    record = _run(run())
    if record is None:
        fail(f"there is no dead letter {place}, or it is older than the topic keeps them")
    one = stored(record)
    if out is not None:
        try:
            with out.open("xb") as file:
                file.write(one.letter.payload)
        except OSError as error:
            fail(f"{out} cannot be written: {error.strerror}")
    click.echo(
        json.dumps(_letter_json(one, with_bytes=out is None), indent=2)
        if as_json
        else _letter_text(one, with_bytes=out is None)
    )


def _letter_json(one: Any, *, with_bytes: bool) -> dict[str, Any]:  # noqa: ANN401
    from deploy.dead_letter_requeue import why_not
    from deploy.dead_letters import Row
    from deploy.record_bytes import inspect

    found = inspect(one.letter.payload)
    said: dict[str, Any] = {
        **Row.of(one).as_json(),
        "timestamp_ms": one.letter.timestamp_ms,
        "key_base64": None if one.letter.key is None else _base64(one.letter.key),
        "schema": found.schema,
        "leading_fields": dict(found.leading),
        "trouble": found.trouble,
        "not_requeued_because": why_not(one.letter),
    }
    return {**said, "payload_base64": _base64(one.letter.payload)} if with_bytes else said


def _letter_text(one: Any, *, with_bytes: bool) -> str:  # noqa: ANN401
    from deploy.dead_letter_requeue import why_not
    from deploy.dead_letters import utc
    from deploy.record_bytes import hex_dump, inspect, printable
    from ingest.dead_letter import LetterContent

    letter = one.letter
    cut = f", and {letter.n_bytes_cut} that were cut off" if letter.n_bytes_cut else ""
    is_record = letter.content is LetterContent.RECORD
    lines = {
        "id": str(one.place),
        "time": utc(one.t_ms),
        "reason": printable(letter.reason),
        "source": printable(letter.source),
        "record": f"{printable(letter.topic)}[{letter.partition}]@{letter.offset}",
        "key": "not known, or none" if letter.key is None else printable(_key_text(letter.key)),
        "made": "not known" if letter.timestamp_ms is None else utc(letter.timestamp_ms),
        "bytes": f"{len(letter.payload)}{cut}",
        "content": inspect(letter.payload).as_text() if is_record else "lines of a store",
        "requeue": why_not(letter) or "can be sent again",
    }
    text = "\n".join(f"{name:<8} {value}" for name, value in lines.items())
    return f"{text}\n\n{hex_dump(letter.payload)}" if with_bytes and letter.payload else text


def _key_text(key: bytes) -> str:
    try:
        return key.decode()
    except UnicodeDecodeError:
        return key.hex()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


@dead_letters.command("requeue")
@click.argument("places", type=_PlaceType(), nargs=-1, metavar="[ID...]")
@config_option
@kafka_option
@click.option("--all", "all_matching", is_flag=True, help="All that match the options below.")
@_filters
@click.option("--dry-run", is_flag=True, help="Count what would be sent, and send nothing.")
@click.option("--yes", is_flag=True, help=f"Do not ask, even for more than {MANY_RECORDS}.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def requeue(
    places: tuple[Any, ...],
    config: Path | None,
    kafka: str | None,
    all_matching: bool,  # noqa: FBT001
    source: str | None,
    topic: str | None,
    reason: str,
    since: int | None,
    dry_run: bool,  # noqa: FBT001
    yes: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    """Send refused records back to the topic that they came from, with the key they had.

    For what can be read by now: after an update, say. A record that is refused again becomes a new
    letter; the old one stays. Nothing is lost or doubled by sending a record twice. Lines that a
    store rejected, and records that were too long to be kept whole, cannot be sent.

    Exit code 1: the broker failed in between, or a letter named by its ID could not be sent.
    """
    from deploy.dead_letter_requeue import Requeue, Tally
    from deploy.dead_letters import Wanted
    from ingest.history import open_history
    from ingest.kafka import open_producer
    from ingest.topics import DEAD_LETTERS

    wanted = Wanted(source=source, topic=topic, reason=reason, since_ms=since)
    if bool(places) == all_matching:
        fail("give the IDs of letters, or --all with what they have in common", EXIT_USAGE)
    if places and wanted != Wanted():
        fail("--source, --topic, --reason and --since go with --all, not with IDs", EXIT_USAGE)
    settings = kafka_settings(config, kafka)

    async def run() -> Tally:
        async with open_history(settings, DEAD_LETTERS) as history:
            requeue = Requeue(
                history, tuple(dict.fromkeys(places)), wanted if all_matching else None
            )
            planned = Tally()
            await requeue.run(None, planned)
            if dry_run or not planned.n_sent:
                return planned
            if planned.n_sent > MANY_RECORDS and not yes:
                where = ", ".join(planned.sent)
                click.confirm(f"Send {planned.n_sent} records to {where}?", abort=True, err=True)
            done = Tally()
            async with open_producer(settings) as producer:
                try:
                    await requeue.run(producer, done)
                except BaseException:
                    click.echo(f"{done.n_sent} of {planned.n_sent} records were sent", err=True)
                    raise
            return done

    tally = _run(run())
    verb = "would be sent" if dry_run else "sent"
    if as_json:
        click.echo(json.dumps({"dry_run": dry_run, **tally.as_json()}, indent=2))
    else:
        click.echo(_tally_text(tally, verb))
    sys.exit(EXIT_DONE if all_matching or tally.all_sent else EXIT_FAILED)


def _tally_text(tally: Any, verb: str) -> str:  # noqa: ANN401
    lines = [f"{n} records {verb} to {topic}" for topic, n in sorted(tally.sent.items())]
    if tally.n_repeated:
        lines.append(f"{tally.n_repeated} more letters are of the same records")
    lines += [f"{n} letters not sent: it {why}" for why, n in sorted(tally.refused.items())]
    lines += [f"there is no dead letter {place}" for place in tally.missing]
    return "\n".join(lines or [f"nothing {verb}: no dead letter matches"])


def _run(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run what needs the broker; its errors end the program."""
    from ingest.errors import IngestError

    try:
        return asyncio.run(work)
    except IngestError as error:
        fail(str(error))
