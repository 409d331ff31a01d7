"""What an archive has of a subject, in the formats of others."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import Final

from deploy.annotation_marks import BEATS
from deploy.export_strips import StripPlan, strips_in
from deploy.export_tables import write_tables
from deploy.extracting import Extract
from ingest.observation import Observation
from processors.exports.clinical import N_OBSERVATIONS_MAX, ClinicalRecord
from processors.exports.device_book import DeviceBook
from processors.exports.edf import encode_edf
from processors.exports.edf_header import EdfKind
from processors.exports.fhir import encode_bundle
from processors.exports.files import write_files
from processors.exports.oru import encode_oru
from processors.exports.strips import Strip
from processors.exports.wfdb import encode_wfdb
from processors.sinks.archive.importing import Item, import_items
from processors.sinks.archive.layout import subject_folder
from processors.sinks.archive.writer import ArchiveWriter


@dataclass(slots=True)
class Exported:
    """What was written of one subject."""

    files: list[Path] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """What the format does not hold, in words."""
    n_strips: int = 0


Writer = Callable[[Extract, Path, StripPlan], Exported]
"""Writes a subject into a folder, and strips, where the format has them."""


def _wfdb(found: Extract, folder: Path, _: StripPlan) -> Exported:
    done = Exported()
    for record in encode_wfdb(found.stem, found.tracks(), found.marks(), annotator=BEATS):
        done.files += write_files(folder, record.files)
        done.lost += [f"{record.name}: {words}" for words in record.lost]
    return done


def _edf(kind: EdfKind) -> Writer:
    def write(found: Extract, folder: Path, _: StripPlan) -> Exported:
        done = Exported()
        files = encode_edf(
            found.stem, found.tracks(), found.marks(), subject_id=found.subject_id, kind=kind
        )
        for one in files:
            done.files += write_files(folder, {one.name: one.content})
            done.lost += [f"{one.name}: {words}" for words in one.lost]
        return done

    return write


def _fhir(found: Extract, folder: Path, plan: StripPlan) -> Exported:
    return _clinical(found, folder, plan, "json", encode_bundle)


def _oru(found: Extract, folder: Path, plan: StripPlan) -> Exported:
    done = _clinical(found, folder, plan, "hl7", encode_oru)
    if found.alarms:
        done.lost.append("alarms: they have a transaction of their own")
    return done


def _clinical(
    found: Extract,
    folder: Path,
    plan: StripPlan,
    suffix: str,
    encode: Callable[[ClinicalRecord], bytes],
) -> Exported:
    strips = [] if plan.is_empty else strips_in(found, plan)
    lost = [f"{len(found.annotations)} annotations"] if found.annotations else []
    done = Exported(lost=lost, n_strips=len(strips))
    for number, record in enumerate(_records(found, strips), start=1):
        name = f"{found.stem}.{suffix}" if number == 1 else f"{found.stem}_{number}.{suffix}"
        done.files += write_files(folder, {name: encode(record)})
    return done


def _records(found: Extract, strips: Iterable[Strip]) -> Iterator[ClinicalRecord]:
    """Cut what is too much for one file.

    Alarms are in the first, strips with the observations of their time.
    """
    devices = DeviceBook.of(found.frames())
    n_at_once = N_OBSERVATIONS_MAX - len(found.alarms)
    if n_at_once <= 0:
        raise ValueError(f"{len(found.alarms)} alarms: cut the export by time")
    waiting = deque(strips)
    observations = found.observations()
    some = list(islice(observations, n_at_once))
    is_first = True
    while some or is_first:
        following: Observation | None = next(observations, None)
        told: list[Strip] = []
        while waiting and (following is None or waiting[0].block.t0_ns < following.t_ns):
            told.append(waiting.popleft())
        yield ClinicalRecord(
            subject_id=found.subject_id,
            observations=some,
            alarms=found.alarms if is_first else (),
            devices=devices,
            strips=told,
        )
        is_first = False
        if following is None:
            return
        some = list(islice(chain([following], observations), n_at_once))


def _parquet(found: Extract, folder: Path, _: StripPlan) -> Exported:
    """Write an archive of its own."""
    items: Iterator[Item] = chain(
        found.frames(), found.observations(), found.alarms, found.annotations
    )
    with ArchiveWriter(folder) as writer:
        import_items(writer, items)
    return Exported(sorted(folder.glob(f"*/*/{subject_folder(found.subject_id)}/*.parquet")))


def _csv(found: Extract, folder: Path, _: StripPlan) -> Exported:
    """Write a table of each kind, and one of each channel's samples."""
    lost = ["clock relations and the ledger of the agent"] if found.has_clocks() else []
    return Exported(write_tables(found, folder), lost)


FORMATS: Final[Mapping[str, Writer]] = MappingProxyType(
    {
        "wfdb": _wfdb,
        "edf": _edf("edf"),
        "bdf": _edf("bdf"),
        "parquet": _parquet,
        "csv": _csv,
        "fhir": _fhir,
        "oru": _oru,
    }
)
"""Who writes a subject into a folder, by the name of the format."""
