"""The spool of these settings, with its keys. A shell: it reads a file."""

from pathlib import Path
from typing import Final

from edge.settings import AgentSettings, EdgeSettings
from edge.spool.books import owner_of
from edge.spool.seal import SpoolKeyError, parse_keys
from edge.spool.spool import Spool, SpoolError

_FOR_OTHERS: Final = 0o077


def open_spool(settings: EdgeSettings) -> Spool:
    """Open the spool of an agent, and make it if it is not there.

    Raises
    ------
    SpoolError
    """
    return Spool(
        settings.spool_path,
        n_bytes_max=settings.spool_bytes_max,
        age_s_max=settings.spool_age_s_max,
        keys=load_keys(settings),
        owner=owner_of(settings.agent_id, settings.subject_id),
    )


def load_keys(settings: AgentSettings) -> tuple[bytes, ...]:
    """Give the keys, the newest first; none where the spool is not encrypted.

    Raises
    ------
    SpoolError
        There should be a key, and it cannot be read. Nothing is written in the clear instead.
    """
    try:
        if settings.spool_key is not None:
            return parse_keys(settings.spool_key.get_secret_value())
        if settings.spool_key_file is not None:
            return parse_keys(settings.spool_key_file.read_text("ascii"))
    except SpoolKeyError as error:
        raise SpoolError(str(error)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpoolError(f"spool_key_file {settings.spool_key_file}: {error!r}") from None
    return ()


def key_warnings(settings: AgentSettings) -> list[str]:
    """Say what is weak about how the spool is kept; for who installs the agent."""
    if settings.spool_key is None and settings.spool_key_file is None:
        return [
            "the spool is not encrypted: who finds the disk can read what waits in it; "
            "set spool_key_file"
        ]
    if settings.spool_key_file is None:
        return []
    return _file_warnings(settings.spool_key_file, settings.spool_path)


def _file_warnings(key_file: Path, spool_path: Path) -> list[str]:
    warnings = []
    if key_file.exists() and key_file.stat().st_mode & _FOR_OTHERS:
        warnings.append(f"{key_file} can be read by others: chmod 600 {key_file}")
    if key_file.resolve().parent == spool_path.resolve().parent:
        warnings.append(f"{key_file} lies beside the spool: who finds the one has the other")
    return warnings
