"""``chevet annotate``: what people say is kept with its versions, in an archive or over Kafka."""

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy.cli import main
from deploy.local.kafka import KafkaBroker
from ingest.annotation import SubjectAnnotation
from ingest.frame import NS_PER_S
from ingest.kafka import create_topics
from ingest.settings import KafkaSettings
from ingest.wfdb_annotations import Annotation, encode_annotations
from processors.sinks.archive import (
    annotate,
    change_annotation,
    new_annotation,
    open_archive,
)
from processors.sinks.archive.importing import import_items
from processors.sinks.archive.writer import ArchiveWriter
from tests.archive.frames import frame
from tests.ingest import records

AT = "2027-01-15T08:00:00.00000025Z"
AT_NS = records.T0_NS + 250


def run(*words: str | Path, code: int = 0, **variables: str) -> str:
    done = CliRunner(env=variables).invoke(main, ["annotate", *map(str, words)])
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture
def kafka(kafka_broker: KafkaBroker) -> KafkaSettings:
    settings = KafkaSettings(bootstrap_servers=kafka_broker.bootstrap_servers)
    asyncio.run(create_topics(settings))
    return settings


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    with ArchiveWriter(tmp_path / "study") as writer:
        import_items(writer, [frame(0)])
    return tmp_path / "study"


def said(archive: Path) -> list[SubjectAnnotation]:
    return open_archive(archive).subject("p-1").annotations()


def test_what_is_added_changed_and_taken_back_is_kept_with_its_authors(archive: Path) -> None:
    where = ("--archive", archive, "--subject", "p-1")
    until = "2027-01-15T09:00:02+01:00"
    words = ("--text", "artefact", "--channel", "strap-1/ecg/II", "--until", until)
    (added,) = json.loads(
        run("add", *where, "--at", AT, *words, "--json", CHEVET_AUTHOR="Ada Lovelace")
    )
    assert (added["t_ns"], added["duration_ns"]) == (AT_NS, 2 * NS_PER_S - 250)
    assert (added["device_id"], added["channel"]) == ("strap-1", "ecg/II")
    begin = added["annotation_id"][:12]

    changed = run("change", begin, *where, "--text", "movement", "--author", "Bo")
    assert f"{AT} for 2 s  atr  movement (strap-1/ecg/II)  Bo  " in changed
    (now,) = said(archive)
    assert (now.version, now.author, now.text, now.t_ns) == (2, "Bo", "movement", AT_NS)
    assert run("list", *where) == changed
    assert run("list", *where, "--start", "2027-01-15T08:00:02Z") == ""

    run("retract", begin, *where, "--author", "Ada Lovelace")
    assert run("list", *where) == ""
    history = json.loads(run("list", *where, "--every-version", "--json"))
    assert [one["author"] for one in history] == ["Ada Lovelace", "Bo", "Ada Lovelace"]
    assert [one["retracted"] for one in history] == [False, False, True]


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("--text", "x"), 2, "Missing option '--author'"),
        (("--author", "A"), 2, "give --text, --symbol or both"),
        (("--author", " ", "--text", "x"), 2, "needs an author"),
        (("--author", "A", "--symbol", "X"), 2, "symbol 'X' is none of WFDB"),
        (("--author", "A", "--text", "x" * 4001), 2, "text of 4001 characters"),
        (("--author", "A", "--text", "x", "--annotator", "a-b"), 2, "annotator 'a-b'"),
        (("--author", "A", "--text", "x", "--until", "2027-01-15"), 2, "ends when it begins"),
        (("--author", "A", "--text", "x", "--until", "soon"), 2, "'soon' is no time"),
        (("--author", "A", "--text", "x", "--subject", "p-9"), 1, "nothing of subject 'p-9'"),
    ],
)
def test_what_is_no_annotation_is_refused_and_why(
    archive: Path, words: tuple[str, ...], code: int, why: str
) -> None:
    where = ("--archive", archive, "--subject", "p-1", "--at", AT)

    assert why in run("add", *where, *words, code=code)
    assert said(archive) == []


def test_an_id_must_be_one_and_somebody_may_be_writing(archive: Path) -> None:
    where = ("--archive", archive, "--subject", "p-1")
    annotate(archive, records.annotation(), records.annotation(annotation_id="5f0d"))

    assert "begin of 2 ids" in run("retract", "5f", *where, "--author", "A", code=1)
    assert "no annotation '6'" in run("retract", "6", *where, "--author", "A", code=1)
    assert "nothing to change" in run("change", "5f0c", *where, "--author", "A", code=2)
    assert "give --archive DIR, --kafka" in run("list", "--subject", "p-1", code=2)
    with ArchiveWriter(archive):
        busy = run("retract", "5f0c", *where, "--author", "A", code=1)
    assert "another process writes it" in busy


def test_the_same_from_python(archive: Path) -> None:
    made = new_annotation("p-1", AT_NS, AT_NS + 5, author="Ada", symbol="+", text="(AFIB")
    annotate(archive, made)
    changed = change_annotation(archive, "p-1", made.annotation_id, author="Bo", text="(AFL")

    assert said(archive) == [changed]
    assert (changed.version, changed.duration_ns, changed.symbol) == (2, 5, "+")


def test_the_page_tells_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Path(__file__).parents[2] / "docs" / "annotations.md"
    code = page.read_text("utf-8").partition("<!-- tested -->\n```python\n")[2].partition("```")[0]
    with ArchiveWriter(tmp_path / "study") as writer:
        import_items(writer, [frame(0, "icu-7")])
    monkeypatch.chdir(tmp_path)

    exec(compile(code, page, "exec"), {"print": lambda *_: None})  # noqa: S102

    (one,) = open_archive("study").subject("icu-7").annotations()
    assert (one.version, one.author, one.text) == (2, "Bo", "movement")
    assert one.duration_ns == 15 * NS_PER_S


def test_a_table_is_read_line_by_line(archive: Path, tmp_path: Path) -> None:
    table = tmp_path / "sleep.csv"
    table.write_text(f"time,duration,symbol,text\n0.5,30,,N2\n{AT},,V,\n", "utf-8")
    words = ("--archive", archive, "--subject", "p-1", "--start", str(AT_NS), "--author", "Ada")

    assert "2 annotations of p-1" in run("import", table, *words, "--annotator", "sleep")
    run("import", table, *words, "--annotator", "sleep")
    first, second = said(archive)
    assert (first.t_ns, first.symbol, first.annotator) == (AT_NS, "V", "sleep")
    assert (second.t_ns, second.duration_ns) == (AT_NS + NS_PER_S // 2, 30 * NS_PER_S)
    assert second.text == "N2"

    for content, why in (
        ("when,text\n1,a\n", "when: its first row names the columns"),
        ("text\na\n", "no column time"),
        ("time,text\nsoon,a\n", "line 2: 'soon' is no time"),
        ("time,text\n1\n", "line 2: it has more or fewer fields"),
        ("time,duration\n1,x\n", "line 2: duration 'x'"),
        ("time,duration\n1,-4\n", "at 1 s: duration_ns -4"),
        ("time,symbol\n1,XX\n", "symbol 'XX'"),
        ("time,text\n1,\xff\n".encode("latin-1"), "no table in CSV and UTF-8"),
    ):
        table.write_bytes(content.encode() if isinstance(content, str) else content)
        assert why in run("import", table, *words, code=2)


def test_a_file_of_wfdb_is_read_at_its_rate(archive: Path, tmp_path: Path) -> None:
    file = tmp_path / "101.rev"
    file.write_bytes(encode_annotations([Annotation(sample=361, symbol="V", chan=1, num=-2)]))
    words = ("--archive", archive, "--subject", "p-1", "--start", str(AT_NS), "--author", "Ada")

    assert "do not state how many samples" in run("import", file, *words, code=2)
    assert "--rate x" in run("import", file, *words, "--rate", "x", code=2)
    run("import", file, *words, "--rate", "360")
    (one,) = said(archive)
    assert (one.annotator, one.symbol, one.chan, one.num) == ("rev", "V", 1, -2)
    assert one.t_ns == AT_NS + 361 * NS_PER_S // 360


def test_over_kafka_it_is_the_same(kafka: KafkaSettings, unique_name: str, tmp_path: Path) -> None:
    where = ("--kafka", kafka.bootstrap_servers, "--subject", unique_name)
    (one,) = json.loads(run("add", *where, "--at", AT, "--text", "a", "--author", "Ada", "--json"))
    with ArchiveWriter(tmp_path) as writer:
        import_items(writer, [records.annotation(subject_id=unique_name, t_ns=AT_NS - 1)])
        run("change", one["annotation_id"], *where, "--symbol", "V", "--author", "Bo")
        (now,) = json.loads(run("list", *where, "--json"))
        both = json.loads(run("list", *where, "--archive", tmp_path, "--json"))

    assert (now["version"], now["symbol"], now["text"]) == (2, "V", "a")
    assert [each["text"] for each in both] == ["artefact", "a"]
