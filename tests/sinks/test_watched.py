from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.settings import SettingsError, load_settings
from processors.settings import SinkSettings
from processors.sinks import watched as watched_module
from processors.sinks.watched import WaveformChoice


@given(st.text(), st.lists(st.text()))
def test_all_is_everybody_and_none_is_nobody(subject_id: str, patterns: list[str]) -> None:
    assert WaveformChoice("all", patterns)(subject_id)
    assert not WaveformChoice("none", patterns)(subject_id)


@pytest.mark.parametrize(
    ("pattern", "is_watched"),
    [("p-1", True), ("p-?", True), ("p-*", True), ("*", True), ("p-[1-3]", True),
     ("P-1", False), ("p-", False), ("p-11", False), ("p-[!1]", False), ("", False)],
)  # fmt: skip
def test_who_is_watched_is_named_or_matches_a_pattern(pattern: str, *, is_watched: bool) -> None:
    choice = WaveformChoice("watched", ["nobody", pattern])

    assert choice("p-1") == is_watched
    assert choice("p-1") == is_watched


def test_only_so_many_subjects_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched_module, "SUBJECTS_MAX", 3)
    choice = WaveformChoice("watched", ["*5"])

    assert [i for i in range(30) if choice(str(i))] == [5, 15, 25]
    assert len(choice._known) <= 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('waveforms = "watched"', 'waveforms = "watched" and 0 in watched: name the subjects'),
        ('watched = ["p-1"]', 'waveforms = "all" and 1 in watched: name the subjects'),
        ('waveforms = "some"', r"waveforms: .*'all', 'watched' or 'none', not 'some'"),
        ('waveforms = "watched"\nwatched = [""]', r"watched\.0: .*at least 1 character"),
        ("[influx]\nurl = 'http://h'\ngzip_level = 10", r"influx\.gzip_level: .*not 10"),
        ("[influx]\nurl = 'http://h'\nn_parallel = 0", r"influx\.n_parallel: .*not 0"),
    ],
)
def test_a_setting_that_cannot_be_is_named(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "sink.toml"
    file.write_text(text, "utf-8")

    with pytest.raises(SettingsError, match=says):
        load_settings(SinkSettings, file)


def test_who_is_watched_can_be_said_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHEVET_WAVEFORMS", "watched")
    monkeypatch.setenv("CHEVET_WATCHED", '["p-1", "icu-*"]')

    settings = load_settings(SinkSettings, None)

    assert (settings.waveforms, settings.watched) == ("watched", ("p-1", "icu-*"))
