"""Annotations in the archive: every version is kept, and the one that holds is given."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.annotation import SubjectAnnotation
from ingest.frame import NS_PER_S
from processors.sinks.archive import Label, open_archive
from processors.sinks.archive.compaction import compact, forget_subject
from processors.sinks.archive.importing import import_items
from processors.sinks.archive.layout import Kind
from processors.sinks.archive.rows import Rows
from processors.sinks.archive.verify import verify
from processors.sinks.archive.writer import ArchiveWriter
from tests.archive.frames import frame
from tests.archive.test_round_trip import written
from tests.ingest import records

DAY_NS = 86_400 * NS_PER_S


def keep(folder: Path, *items: SubjectAnnotation) -> None:
    with ArchiveWriter(folder) as writer:
        import_items(writer, items)


@settings(max_examples=40)
@given(st.lists(records.annotations, min_size=1, max_size=5))
def test_any_annotations_come_out_as_they_went_in(annotations: list[SubjectAnnotation]) -> None:
    from processors.sinks.archive.frames import annotation_of

    rows = Rows(commit=1)
    for one in annotations:
        rows.add_annotation(one)

    found = [
        annotation_of(row)
        for one in written(rows).values()
        for row in one[Kind.ANNOTATIONS].to_pylist()
    ]

    assert sorted(map(repr, found)) == sorted(map(repr, annotations))


def test_a_version_that_moves_to_another_day_replaces_the_one_before(tmp_path: Path) -> None:
    first = records.annotation()
    moved = first.changed(author="Bo", created_ns=None, t_ns=first.t_ns + DAY_NS)
    other = records.annotation(annotation_id="b", annotator="sleep", duration_ns=NS_PER_S)
    keep(tmp_path, first, other)
    keep(tmp_path, moved)
    subject = open_archive(tmp_path).subject("p-1")

    assert subject.annotations() == [other, moved]
    assert subject.annotations(end=first.t_ns + 1) == [other]
    assert subject.annotations("atr") == [moved]
    assert subject.annotations(every_version=True) == [first, other, moved]
    assert subject.labels("sleep") == [Label("artefact", other.t_ns, other.t_ns + NS_PER_S)]


def test_what_is_taken_back_is_not_given_and_still_there(tmp_path: Path) -> None:
    first = records.annotation()
    gone = first.changed(author="Bo", created_ns=None, retracted=True)
    keep(tmp_path, first, gone)
    subject = open_archive(tmp_path).subject("p-1")

    assert subject.annotations() == []
    assert subject.annotations(every_version=True) == [first, gone]


def test_of_the_same_version_of_two_the_last_commit_holds(tmp_path: Path) -> None:
    one, other = records.annotation(text="a", created_ns=2), records.annotation(text="b")
    late = records.annotation(text="c", created_ns=1)
    keep(tmp_path, one, other)
    assert open_archive(tmp_path).subject("p-1").annotations() == [other]
    keep(tmp_path, late)
    assert open_archive(tmp_path).subject("p-1").annotations() == [late]
    keep(tmp_path, late)
    assert len(open_archive(tmp_path).subject("p-1").annotations(every_version=True)) == 3


def test_merged_verified_and_forgotten_like_everything_else(tmp_path: Path) -> None:
    made = [records.annotation(annotation_id=f"n{i}", t_ns=records.T0_NS + i) for i in range(3)]
    for one in made:
        keep(tmp_path, one)
    with ArchiveWriter(tmp_path) as writer:
        assert compact(writer, everything=True) == 3
    assert open_archive(tmp_path).subject("p-1").annotations() == made
    assert verify(tmp_path).findings == ()
    with ArchiveWriter(tmp_path) as writer:
        assert forget_subject(writer, "p-1") == 1
    assert open_archive(tmp_path).subjects() == []


def test_windows_have_the_labels_that_researchers_gave(tmp_path: Path) -> None:
    with ArchiveWriter(tmp_path) as writer:
        import_items(writer, [frame(i) for i in range(10)])
    keep(tmp_path, records.annotation(t_ns=records.T0_NS + NS_PER_S, duration_ns=NS_PER_S // 10))
    subject = open_archive(tmp_path).subject("p-1")

    windows = list(subject.windows(["ecg"], seconds=0.5, labels=subject.labels()))

    assert [[one.text for one in each.labels] for each in windows] == [[], [], ["artefact"], []]
