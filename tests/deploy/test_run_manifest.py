"""The manifest beside the results: what it says, and that it never says what is not so."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.analysis_options import AnalyzeOptions
from deploy.analyze import analyze
from deploy.run_manifest import ManifestError, RunManifest, portable, read_manifest
from deploy.run_software import PACKAGES, differences, software
from ingest.errors import RecordingError
from ingest.recording import open_recording
from tests.deploy.analyzed import chevet, contents, flip_a_bit, write_ecg


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_manifest_names_every_file_the_settings_and_the_software(tmp_path: Path) -> None:
    record = write_ecg(tmp_path / "records", "a")
    out = tmp_path / "out"

    said = chevet(
        "analyze", f"{record}.hea", "--observations", out, "--annotations", out, "--leads", "II",
        "--device-model", "Polar H10", "--channel", "0", "--json",
    )  # fmt: skip

    assert said.exit_code == 0, said.output
    (summary,) = json.loads(said.stdout)
    text = (out / "a.run.json").read_text()
    manifest = read_manifest(out / "a.run.json")
    assert manifest.input.spec == "../records/a"
    assert {one.path: one.sha256 for one in manifest.input.files} == {
        name: sha256(tmp_path / "records" / name) for name in ("a.hea", "a.dat")
    }
    assert {one.path: (one.bytes, one.sha256) for one in manifest.outputs} == {
        name: ((out / name).stat().st_size, sha256(out / name)) for name in ("a.parquet", "a.qrs")
    }
    assert manifest.digest == summary["observations_digest"]
    assert manifest.counts == {"by_name": summary["observations"], "events": summary["events"]}
    assert manifest.n_observations == sum(summary["observations"].values())
    assert " ".join(manifest.command) == (
        "chevet analyze ../records/a --annotations . --observations . --format parquet "
        "--channel 0 --leads II --device-model Polar H10"
    )
    assert manifest.software == software()
    assert manifest.software["algorithms"]["ecg_r_peaks"] >= 1
    # Nothing of where on this computer it was made.
    assert str(tmp_path) not in text
    assert str(Path.home()) not in text


def test_the_command_of_a_manifest_makes_the_same_files_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ecg(tmp_path / "records", "a")
    out = tmp_path / "out"
    arguments = ("--leads", "II", "--observations", out, "--format", "csv")
    assert chevet("analyze", tmp_path / "records" / "a", *arguments).exit_code == 0
    before = contents(out)
    monkeypatch.chdir(out)

    said = chevet(*read_manifest(out / "a.run.json").command[1:])

    assert said.exit_code == 0, said.output
    assert contents(out) == before
    assert set(before) == {"a.csv", "a.run.json"}


def test_each_folder_has_a_manifest_of_its_own_files(tmp_path: Path) -> None:
    record = write_ecg(tmp_path, "a")
    beats, values = tmp_path / "beats", tmp_path / "values"

    chevet("analyze", record, "--annotations", beats, "--observations", values)

    for folder, output in ((beats, "a.qrs"), (values, "a.parquet")):
        manifest = read_manifest(folder / "a.run.json")
        assert [one.path for one in manifest.outputs] == [output]


def test_no_manifest_stays_that_claims_what_a_later_run_has_begun_to_replace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, out = write_ecg(tmp_path, "a"), tmp_path / "out"
    chevet("analyze", record, "--annotations", out)
    before = contents(out)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("deploy.analysis_results.write_annotations", full)
    said = chevet("analyze", record, "--annotations", out)

    assert said.exit_code == 1
    assert set(before) == {"a.qrs", "a.run.json"}
    assert set(contents(out)) == {"a.qrs"}


def test_an_input_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = write_ecg(tmp_path / "records", "a")

    def and_changed(*arguments: object, **options: object) -> object:
        recording = open_recording(*arguments, **options)  # type: ignore[arg-type]
        (tmp_path / "records" / "a.dat").write_bytes(b"")
        return recording

    monkeypatch.setattr("deploy.analyze.open_recording", and_changed)

    with pytest.raises(RecordingError, match=r"a\.dat was changed while it was read"):
        analyze(str(record), AnalyzeOptions(annotations=tmp_path / "out"))

    assert contents(tmp_path / "out") == {}


def test_a_recording_of_a_package_is_named_without_where_it_is_installed(tmp_path: Path) -> None:
    chevet("analyze", "heartpy", "--annotations", tmp_path)

    manifest = read_manifest(tmp_path / "heartpy.run.json")
    assert manifest.input.spec == "heartpy"
    assert [one.path for one in manifest.input.files] == ["heartpy/data/data2.csv"]


def test_a_path_does_not_say_whose_computer_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home" / "jane"
    monkeypatch.setenv("HOME", str(home))

    assert portable(home / "study" / "x", home / "out") == "../study/x"
    assert portable(home / "x", Path("/")) == "~/x"
    assert portable(Path("/x"), home) == "/x"


def test_a_link_to_a_folder_leads_to_the_same_file(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "er")
    (tmp_path / "x").write_text("")

    path = portable(tmp_path / "x", tmp_path / "link")

    assert (tmp_path / "link" / path).is_file()


def test_software_is_the_same_until_it_changes() -> None:
    now = software()
    then = json.loads(json.dumps(now))
    assert list(differences(then, now)) == []
    assert set(now["chevet"]["code_sha256"]) == set(PACKAGES)

    then["packages"]["numpy"] = "1.26.0"
    then["algorithms"]["older"] = 4
    then["platform"]["simd"] = []

    assert list(differences(then, now)) == [
        "algorithms.older: 4 then, none now",
        f"packages.numpy: 1.26.0 then, {now['packages']['numpy']} now",
        f"platform.simd: 0 entries then, {len(now['platform']['simd'])} entries now",
    ]


def test_a_flipped_bit_in_the_code_is_other_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deploy import run_software as module

    package = tmp_path / "made_up_package"
    package.mkdir()
    (package / "__init__.py").write_text("x = 1\n" * 500)
    monkeypatch.syspath_prepend(tmp_path)
    before = module._code_sha256("made_up_package")

    flip_a_bit(package / "__init__.py")

    assert module._code_sha256("made_up_package") != before


@settings(max_examples=30)
@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["schema", "record", "input", "outputs"]), inner)
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_bytes_are_a_manifest_or_an_error(content: bytes) -> None:
    with pytest.raises(ManifestError):
        RunManifest.decode(content)


def test_what_is_written_is_read_again_and_nothing_beyond_its_folder(tmp_path: Path) -> None:
    chevet("analyze", write_ecg(tmp_path, "a"), "--annotations", tmp_path)
    content = (tmp_path / "a.run.json").read_bytes()
    assert RunManifest.decode(content).encode() == content

    for old, new, message in (
        (b'"path": "a.qrs"', b'"path": "../a.qrs"', "beside the manifest"),
        (b"chevet-run/1", b"chevet-run/9", "chevet-run/1 is the one"),
        (b'"record": "a"', b'"record": 7', "no text"),
    ):
        assert old in content
        with pytest.raises(ManifestError, match=message):
            RunManifest.decode(content.replace(old, new))
