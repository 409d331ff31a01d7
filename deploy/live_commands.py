"""``chevet live token`` and ``chevet live access-log``: who may watch, and who has watched."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from deploy.options import config_option, fail, read_settings
from deploy.process import EXIT_USAGE

if TYPE_CHECKING:
    from processors.access_settings import AccessSettings
    from processors.sinks.live.access_users import TokenUser

_IN_DAYS: Final = re.compile(r"([0-9]{1,5})d")


class _Expiry(click.ParamType):
    """A time in UTC, or in how many days."""

    name = "time"

    def convert(
        self,
        value: Any,  # noqa: ANN401
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> datetime:
        """Give the time."""
        now = datetime.now(UTC)
        if days := _IN_DAYS.fullmatch(value):
            return now + timedelta(days=int(days[1]))
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is neither 90d nor 2027-01-31T08:00", param, ctx)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


def _access(config: Path | None) -> "AccessSettings":
    from processors.settings import LiveSettings

    return read_settings(LiveSettings, config).access


@click.group()
def token() -> None:
    """Say who may watch whom, where access.mode is "tokens".

    The file of users (access.users_file) holds the hash of each token. The page reads it again when
    it changes: who is revoked loses open pages within seconds.

    \b
    chevet live token add anna --subject 'icu-*' --expires 90d
    chevet live token list
    chevet live token revoke anna
    """


@token.command("add")
@config_option
@click.argument("name")
@click.option(
    "--subject",
    "subjects",
    multiple=True,
    required=True,
    metavar="PATTERN",
    help="Subject, or a pattern: icu-*. May be given several times.",
)
@click.option("--expires", type=_Expiry(), metavar="TIME", help="UTC, or 90d: in 90 days.")
def token_add(
    config: Path | None, name: str, subjects: tuple[str, ...], expires: datetime | None
) -> None:
    """Make a token for NAME and print it, this once.

    Hand it over on a safe way: whoever has it is NAME. It cannot be shown again.
    """
    from processors.sinks.live.access_users import TokenUser, UsersError, new_token, sha256_of
    from processors.sinks.live.access_users_file import change_users

    secret = new_token()

    def add(users: tuple[TokenUser, ...]) -> tuple[TokenUser, ...]:
        if any(user.name == name for user in users):
            raise UsersError(f"{name} has a token already; revoke it first")
        user = TokenUser(
            name=name,
            token_sha256=sha256_of(secret),
            subjects=tuple(dict.fromkeys(subjects)),
            created=datetime.now(UTC).replace(microsecond=0),
            expires=expires,
        )
        return (*users, user)

    try:
        change_users(_access(config).users_file, add)
    except (UsersError, OSError) as error:
        fail(str(error))
    click.echo(secret)


@token.command("list")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def token_list(config: Path | None, as_json: bool) -> None:  # noqa: FBT001
    """List the users, whom they may watch, and until when.

    Tokens are not shown: only their hashes are kept.
    """
    from processors.sinks.live.access_users import UsersError
    from processors.sinks.live.access_users_file import read_users

    try:
        users = read_users(_access(config).users_file)
    except UsersError as error:
        fail(str(error))
    rows = [_row(user) for user in users]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        state = f"until {row['expires']}" if row["expires"] else "without end"
        state = "EXPIRED" if row["expired"] else state
        click.echo(f"{row['name']}  {' '.join(row['subjects'])}  {state}")


def _row(user: "TokenUser") -> dict[str, Any]:
    return {
        "name": user.name,
        "subjects": list(user.subjects),
        "created": user.created.isoformat(),
        "expires": None if user.expires is None else user.expires.isoformat(),
        "expired": user.has_expired(datetime.now(UTC)),
    }


@token.command("revoke")
@config_option
@click.argument("name")
def token_revoke(config: Path | None, name: str) -> None:
    """Take NAME's token away.

    Pages that are open with it are closed within seconds.
    """
    from processors.sinks.live.access_users import TokenUser, UsersError
    from processors.sinks.live.access_users_file import change_users, read_users

    def drop(users: tuple[TokenUser, ...]) -> tuple[TokenUser, ...]:
        left = tuple(user for user in users if user.name != name)
        if len(left) == len(users):
            raise UsersError(f"no user {name}; see chevet live token list")
        return left

    path = _access(config).users_file
    try:
        read_users(path)
        change_users(path, drop)
    except (UsersError, OSError) as error:
        fail(str(error))


@click.command("access-log")
@config_option
@click.option("--subject", metavar="ID", help="Only of this subject.")
@click.option("--user", metavar="NAME", help="Only of this user.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.argument("files", nargs=-1, type=click.Path(dir_okay=False, path_type=Path))
def access_log(
    config: Path | None,
    subject: str | None,
    user: str | None,
    as_json: bool,  # noqa: FBT001
    files: tuple[Path, ...],
) -> None:
    """Show who watched whom, from when to when, and what was refused.

    Reads the access log of the settings (access.log_file), or FILES, the oldest first: those that
    were moved away.
    """
    from deploy.access_report import as_text, read_entries, select

    lines: list[str] = []
    for file in files or (_access(config).log_file,):
        try:
            lines += file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as error:
            fail(f"access log {file}: {error.strerror}", EXIT_USAGE)
    found = select(read_entries(lines), subject=subject, user=user)
    if as_json:
        for entry in found:
            click.echo(json.dumps(entry.as_json()))
    else:
        click.echo(as_text(found))
