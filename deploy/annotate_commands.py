"""``chevet annotate``: labels of people, into an archive or onto the topic."""

import functools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from deploy.options import config_option, fail, kafka_settings
from deploy.process import EXIT_FAILED, EXIT_USAGE

if TYPE_CHECKING:
    from deploy.annotation_places import Place
    from ingest.annotation import SubjectAnnotation

_NS_PER_S: Final = 1_000_000_000


class _Time(click.ParamType):
    """A time in UTC, to the nanosecond."""

    name = "time"

    def convert(
        self,
        value: Any,  # noqa: ANN401
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> int:
        """Give nanoseconds since 1970."""
        from deploy.annotation_files import time_ns

        try:
            return time_ns(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


TIME: Final = _Time()


@click.group()
def annotate() -> None:
    r"""Say something of a moment or an interval of a subject's data, change it, take it back.

    Written is into the archive where --archive is given, which nobody else may write then; or with
    --kafka onto the topic, from which a recorder brings it into its archive. With both it is sent,
    and what is in the archive already is known. Every version is kept, with its author.

    \b
    chevet annotate add --archive study --subject icu-7 --at 2026-11-22T08:00:10Z \
        --until 2026-11-22T08:00:25Z --text artefact --channel strap-1/ecg/II --author Ada
    chevet annotate list --archive study --subject icu-7
    chevet annotate change 5f0c --archive study --subject icu-7 --text movement --author Ada

    Exit codes: 0 done, 1 failed, 2 usage: what was said is no annotation.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Whose annotations, and where they are."""

    subject: str
    archive: Path | None
    kafka: str | None
    config: Path | None


def _where(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add where the annotations are, and whose."""

    @functools.wraps(command)
    def wrapped(**given: Any) -> Any:  # noqa: ANN401
        where = Where(**{one.name: given.pop(one.name) for one in fields(Where)})
        return command(where=where, **given)

    decorated: Callable[..., Any] = wrapped
    for option in (
        click.option("--subject", required=True, help="Pseudonym."),
        config_option,
        click.option(
            "--kafka", metavar="HOST:PORT", help="Kafka's bootstrap servers: onto the topic."
        ),
        click.option(
            "--archive",
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            help="Folder of the archive.",
        ),
    ):
        decorated = option(decorated)
    return decorated


def _who(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add who says so."""
    return click.option(
        "--author",
        envvar="CHEVET_AUTHOR",
        required=True,
        help="Who says so; or the variable CHEVET_AUTHOR.",
    )(command)


def _what(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what is said, and of what."""
    for option in (
        click.option("--channel", metavar="DEVICE/CHANNEL", help="Of which signal, if of one."),
        click.option("--annotator", metavar="SET", help="The set it belongs to; unless told atr."),
        click.option("--subtype", type=int, help="Of WFDB, -128 to 127."),
        click.option(
            "--symbol", help='Of WFDB: N a normal beat, + a rhythm; unless told ", a note.'
        ),
        click.option("--text", help="What it says."),
        click.option("--until", type=TIME, help="Where an interval ends."),
    ):
        command = option(command)
    return command


_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@annotate.command("add")
@_where
@click.option("--at", type=TIME, required=True, help="2026-11-22T08:00:10.5Z, or ns since 1970.")
@_what
@_who
@_json_option
def add(
    where: Where,
    author: str,
    as_json: bool,  # noqa: FBT001
    at: int,
    **said: Any,  # noqa: ANN401
) -> None:
    """Add an annotation: of a moment, or with --until of an interval."""
    from processors.sinks.archive.annotating import new_annotation

    if not said["text"] and not said["symbol"]:
        fail("an annotation says something: give --text, --symbol or both", EXIT_USAGE)

    def make(place: "Place") -> "list[SubjectAnnotation]":
        made = new_annotation(where.subject, at, author=author)
        made = replace(made, **_changes(made, {**said, "at": None}))
        place.add([made])
        return [made]

    _show(_done(where, make), as_json=as_json)


@annotate.command("change")
@click.argument("annotation", metavar="ID")
@_where
@click.option("--at", type=TIME, help="When it is, or begins.")
@_what
@_who
@_json_option
def change(
    annotation: str,
    where: Where,
    author: str,
    as_json: bool,  # noqa: FBT001
    **said: Any,  # noqa: ANN401
) -> None:
    """Write the next version of an annotation; what is not said stays. ID may be its begin."""
    if all(value is None for value in said.values()):
        fail("nothing to change: give at least one of what is to be another", EXIT_USAGE)
    _next_version(annotation, where, author, said, as_json=as_json)


@annotate.command("retract")
@click.argument("annotation", metavar="ID")
@_where
@_who
@_json_option
def retract(
    annotation: str,
    where: Where,
    author: str,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Take an annotation back: it holds no more, and what it said stays on record."""
    said = {"retracted": True}
    _next_version(annotation, where, author, said, as_json=as_json)


def _next_version(
    annotation: str,
    where: Where,
    author: str,
    said: dict[str, Any],
    *,
    as_json: bool,
) -> None:
    from processors.sinks.archive.annotating import last_version

    def make(place: "Place") -> "list[SubjectAnnotation]":
        last = last_version(place.known(where.subject), annotation)
        made = last.changed(
            author=author, created_ns=time.time_ns(), **{"retracted": False, **_changes(last, said)}
        )
        place.add([made])
        return [made]

    _show(_done(where, make), as_json=as_json)


def _changes(one: "SubjectAnnotation", said: dict[str, Any]) -> dict[str, Any]:
    """Give the fields that another version has otherwise."""
    changes = {
        name: said[name]
        for name in ("text", "symbol", "subtype", "annotator", "retracted")
        if said.get(name) is not None
    }
    at_ns = one.t_ns if said.get("at") is None else said["at"]
    if said.get("until") is not None:
        changes["duration_ns"] = said["until"] - at_ns
    channel = said.get("channel")
    if channel is not None:
        device_id, _, name = channel.partition("/")
        changes |= {"device_id": device_id or None, "channel": name or None}
    return {**changes, "t_ns": at_ns}


@annotate.command("list")
@_where
@click.option("--annotator", metavar="SET", help="Of this set only.")
@click.option("--start", type=TIME, help="From this time on.")
@click.option("--end", type=TIME, help="Before this time.")
@click.option("--every-version", is_flag=True, help="Also what was replaced or taken back.")
@_json_option
def list_annotations(
    where: Where,
    annotator: str | None,
    start: int | None,
    end: int | None,
    every_version: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    """Show a subject's annotations, in order of time: when, set, what, by whom, id and version."""
    from ingest.annotation import in_order, newest

    def find(place: "Place") -> "list[SubjectAnnotation]":
        known = place.known(where.subject)
        return [
            one
            for one in (in_order(known) if every_version else newest(known))
            if annotator in {None, one.annotator} and one.meets(start, end)
        ]

    _show(_done(where, find), as_json=as_json)


@annotate.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_where
@click.option("--start", type=TIME, required=True, help="When what it counts from was.")
@click.option(
    "--rate", metavar="HZ", help="Samples per second that a WFDB file counts: 360, 1000/3."
)
@click.option("--annotator", metavar="SET", help="The set; unless told the file's suffix, or atr.")
@_who
@_json_option
def import_file(
    file: Path,
    where: Where,
    start: int,
    rate: str | None,
    annotator: str | None,
    author: str,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Read a WFDB annotation file, or a table in CSV.

    The first row of a table names its columns: time (seconds since --start, or a time as here),
    and any of duration (seconds), text, symbol and subtype. The same file read again is the same.
    """
    from deploy.annotation_files import read_file
    from ingest.annotation import SubjectAnnotation
    from ingest.recorded_annotations import annotations_at

    hz = _rate(rate)

    def read(place: "Place") -> "list[SubjectAnnotation]":
        placed = read_file(file, annotator, start, hz)
        template = SubjectAnnotation(
            subject_id=where.subject,
            annotation_id="0",
            t_ns=start,
            author=author,
            created_ns=time.time_ns(),
        )
        made = annotations_at(placed, template, name=file.name)
        place.add(made)
        return made

    made = _done(where, read)
    if as_json:
        _show(made, as_json=True)
    else:
        click.echo(f"{len(made)} annotations of {where.subject} from {file}")


def _rate(text: str | None) -> Fraction | None:
    try:
        rate = None if text is None else Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if rate is not None and rate <= 0:
        fail(f"--rate {text} is no number of samples per second", EXIT_USAGE)
    return rate


def _done(
    where: Where,
    do: "Callable[[Place], list[SubjectAnnotation]]",
) -> "list[SubjectAnnotation]":
    """Do something where the annotations are; what goes wrong ends the program."""
    if where.archive is None and where.kafka is None:
        fail("where? give --archive DIR, --kafka HOST:PORT or both", EXIT_USAGE)
    try:
        from deploy.annotation_places import ArchivePlace, TopicPlace
        from processors.sinks.archive import ArchiveError
    except ImportError:
        fail("annotations need the package pyarrow: pip install 'chevet[archive]'")
    from ingest.errors import IngestError, MalformedRecordError, RecordingError

    kept = None if where.archive is None else ArchivePlace(where.archive)
    place: Place = (
        kept
        if kept is not None and where.kafka is None
        else TopicPlace(kafka_settings(where.config, where.kafka), kept)
    )
    try:
        return do(place)
    except (MalformedRecordError, RecordingError) as error:
        _refuse(str(error))
    except (ArchiveError, IngestError, OSError) as error:
        fail(str(error), EXIT_FAILED)


def _refuse(message: str) -> NoReturn:
    fail(message, EXIT_USAGE)


def _show(annotations: "list[SubjectAnnotation]", *, as_json: bool) -> None:
    if as_json:
        said = [{name: getattr(one, name) for name in one.__slots__} for one in annotations]
        click.echo(json.dumps(said, indent=2, ensure_ascii=False))
        return
    for one in annotations:
        click.echo(_line(one))


def _line(one: "SubjectAnnotation") -> str:
    lasts = f" for {one.duration_ns / _NS_PER_S:g} s" if one.duration_ns else ""
    of = f" ({one.device_id}/{one.channel or '*'})" if one.device_id else ""
    state = " retracted" if one.retracted else ""
    at = f"{_utc(one.t_ns)}{lasts}"
    return (
        f"{at}  {one.annotator}  {one.words}{of}  {one.author}  "
        f"{one.annotation_id} v{one.version}{state}"
    )


def _utc(t_ns: int) -> str:
    seconds, ns = divmod(t_ns, _NS_PER_S)
    fraction = f".{ns:09d}".rstrip("0") if ns else ""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{fraction}Z"
