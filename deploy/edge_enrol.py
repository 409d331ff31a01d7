"""``chevet edge enrol`` and ``release``: which devices belong to which subject.

The settings file is what binds a device to a subject; nothing else is written. The patient's
identifier becomes a pseudonym here and is not kept.
"""

import asyncio
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakError
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT

from devices.catalogue import DeviceModel, Quirk, find_model
from edge.errors import RadioUnavailableError
from edge.links.radio import listening
from edge.settings import AgentSettings, DeviceSettings


class EnrolError(Exception):
    """A device cannot be enrolled; the message says what to do."""


class UnfinishedSettings(AgentSettings):
    """Settings of an agent that has no subject, or no device, yet."""

    subject_id: str | None = None
    devices: tuple[DeviceSettings, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A device that advertises and that the catalogue knows.

    Attributes
    ----------
    model
        Of the catalogue, as far as its advertisement tells.
    needs_bond
        Whether it has to be paired with.
    """

    name: str
    model: str
    rssi_dbm: int
    needs_bond: bool = False


def find_row(name: str, service_uuids: Sequence[str]) -> DeviceModel | None:
    """Find a device's row of the catalogue by what it advertises."""
    return find_model(
        local_name=name, manufacturer=None, model_number=None, service_uuids=list(service_uuids)
    )


async def find_candidates(settings: AgentSettings, listen_s: float) -> list[Candidate]:
    """Listen for devices of the catalogue for so many seconds; the nearest first.

    Raises
    ------
    EnrolError
        There is no radio.
    """
    found: dict[str, Candidate] = {}

    def take(device: BLEDevice, advertisement: AdvertisementData) -> None:
        name = advertisement.local_name or device.name
        if not name:
            return
        model = find_row(name, advertisement.service_uuids)
        if model is not None:
            before = found[name].rssi_dbm if name in found else -999
            found[name] = Candidate(
                name=name,
                model=model.name,
                rssi_dbm=max(before, advertisement.rssi),
                needs_bond=Quirk.BONDING_NEEDED in model.quirks,
            )

    try:
        async with listening(settings, take):
            await asyncio.sleep(listen_s)
    except (RadioUnavailableError, BleakError, OSError, EOFError) as error:
        raise EnrolError(f"no scan: {error}; chevet edge check says what to do") from error
    return sorted(found.values(), key=lambda one: (-one.rssi_dbm, one.name))


# The settings file


def enrol(path: Path, names: Sequence[str], subject_id: str | None) -> list[str]:
    """Write devices, and the subject if one is given, into a settings file.

    Parameters
    ----------
    path
        TOML; made if it is not there. What it holds, its comments too, stays.
    names
        Advertised names of devices; those that are listed already stay as they are.
    subject_id
        A pseudonym; None: the one that the file has.

    Returns
    -------
    list of str
        What has changed; empty: it was so already.

    Raises
    ------
    EnrolError
        The file belongs to another subject, or is no TOML, or cannot be written.
    """
    document = _read(path)
    changes: list[str] = []
    held = _held_subject(path, document, subject_id)
    if held is None:
        # In front: behind a table it would be that table's.
        document = _with_subject(document, str(subject_id))
        changes.append(f"subject {subject_id}")
    devices: Any = _devices(document)
    for name in names:
        if name not in {str(one.get("name")) for one in devices}:
            row = tomlkit.table()
            row.add("name", name)
            devices.append(row)
            changes.append(f"device {name}")
    if changes:
        _write(path, tomlkit.dumps(document))
    return changes


def check_enrol(path: Path, subject_id: str | None) -> None:
    """Check that `enrol` would write into a settings file, before anything else is done.

    Raises
    ------
    EnrolError
        As `enrol`.
    """
    document = _read(path)
    _held_subject(path, document, subject_id)
    _devices(document)


def _held_subject(path: Path, document: tomlkit.TOMLDocument, subject_id: str | None) -> str | None:
    held = document.get("subject_id")
    if subject_id is not None and held is not None and held != subject_id:
        raise EnrolError(
            f"{path} belongs to subject {held}: release its devices and empty its spool first, or "
            "use another file"
        )
    if subject_id is None and held is None:
        raise EnrolError(f"{path} names no subject yet: give --patient-id or --subject")
    return None if held is None else str(held)


def release(path: Path, name: str) -> None:
    """Take a device out of a settings file.

    Raises
    ------
    EnrolError
        It is not listed there.
    """
    document = _read(path)
    devices = _devices(document)
    place = next((i for i, one in enumerate(devices) if one.get("name") == name), None)
    if place is None:
        listed = ", ".join(str(one.get("name")) for one in devices) or "none"
        raise EnrolError(f"{name} is not in {path}; listed are: {listed}")
    del devices[place]
    if not devices:
        del document["devices"]
    _write(path, tomlkit.dumps(document))


def _with_subject(document: tomlkit.TOMLDocument, subject_id: str) -> tomlkit.TOMLDocument:
    return tomlkit.parse(f'subject_id = "{subject_id}"\n{tomlkit.dumps(document)}')


def _devices(document: tomlkit.TOMLDocument) -> AoT:
    if not document.get("devices", ()):
        # None, or an empty list: a table of its own goes behind what there is.
        document.pop("devices", None)
        document["devices"] = tomlkit.aot()
    devices = document["devices"]
    if not isinstance(devices, AoT):
        raise EnrolError("devices is no list of tables: write each under [[devices]]")
    return devices


def _read(path: Path) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(path.read_text("utf-8")) if path.exists() else tomlkit.document()
    except (OSError, UnicodeError, TOMLKitError) as error:
        raise EnrolError(f"{path}: {error}") from error


def _write(path: Path, text: str) -> None:
    """Put a whole new file in the place of the old one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(file.name, mode)  # noqa: PTH101
        os.replace(file.name, path)  # noqa: PTH105
    except OSError as error:
        raise EnrolError(f"{path}: {error}") from error


def choose(candidates: Sequence[Candidate], ask: Callable[[str], str]) -> list[str]:
    """Let somebody choose from the candidates by their numbers.

    Parameters
    ----------
    ask
        Shows a text and gives the answer, such as ``1 3``.

    Raises
    ------
    EnrolError
        There is nothing to choose, or the answer is no choice.
    """
    if not candidates:
        raise EnrolError(
            "no device of the catalogue was heard: switch it on or wear it, and end its link to "
            "any phone (a device that is connected does not advertise)"
        )
    lines = [
        f"{i:>3}  {one.name}  ({one.model}, {one.rssi_dbm} dBm)"
        for i, one in enumerate(candidates, 1)
    ]
    answer = ask("\n".join([*lines, "Which ones? Numbers, with spaces between"]))
    try:
        numbers = [int(word) for word in answer.replace(",", " ").split()]
    except ValueError:
        numbers = []
    if not numbers or any(not 1 <= number <= len(candidates) for number in numbers):
        raise EnrolError(f"{answer!r} is no choice from 1 to {len(candidates)}")
    return [candidates[number - 1].name for number in numbers]
