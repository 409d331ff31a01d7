"""Secrets from files: ``CHEVET_KAFKA__SASL_PASSWORD_FILE`` names where the password stands.

Containers and systemd hand secrets over as files: those have an owner and rights, while a process's
environment can be read by whoever may look at the process. Any variable of a secret takes the
suffix, unless the settings have a field of that name themselves.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar, Final

from pydantic_settings import EnvSettingsSource

SUFFIX: Final = "_FILE"
SECRET_BYTES_MAX: Final = 64 * 1024
"""A secret is a line. What is longer is another file, named by mistake."""


class SecretFileError(ValueError):
    """A file that should hold a secret cannot be used; the message never repeats what it holds."""


def file_variables(secrets: Iterable[str], fields: Iterable[str]) -> dict[str, str]:
    """Give the variable of each secret by the variable that may name its file."""
    known = set(fields)
    files = {f"{secret}{SUFFIX}": secret for secret in secrets}
    return {name: secret for name, secret in files.items() if name not in known}


def read_secret(variable: str, path: Path) -> str:
    """Read a secret: the text of a file without the end of its line.

    Raises
    ------
    SecretFileError
    """
    try:
        with path.open("rb") as file:
            held = file.read(SECRET_BYTES_MAX + 1)
    except OSError as error:
        raise SecretFileError(f"{variable}: {path} cannot be read: {error.strerror}") from error
    if len(held) > SECRET_BYTES_MAX:
        raise SecretFileError(f"{variable}: {path} is longer than a secret: is it another file?")
    try:
        secret = held.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise SecretFileError(f"{variable}: {path} is no text in UTF-8") from None
    if not secret:
        raise SecretFileError(f"{variable}: {path} is empty")
    return secret


class EnvironmentWithFiles(EnvSettingsSource):
    """The environment, with the secrets that it names files of.

    A secret that is given both ways is refused: one of them is the old one.
    """

    secret_variables: ClassVar[Mapping[str, str]] = {}
    """Variable of the file to variable of the secret, in capitals."""

    def _load_env_vars(self) -> Mapping[str, str | None]:
        found = dict(super()._load_env_vars())
        given = {name.upper(): name for name in os.environ}
        for file_variable, secret in self.secret_variables.items():
            if file_variable not in given:
                continue
            if secret in given:
                raise SecretFileError(f"{secret} and {file_variable}: one of them, not both")
            path = Path(os.environ[given[file_variable]])
            found.pop(file_variable.lower())  # or it would be taken for a field
            found[secret.lower()] = read_secret(file_variable, path)
        return found
