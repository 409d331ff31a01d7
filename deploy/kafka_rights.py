"""Who may read and write which topic: the rights of each role, and the commands that give them.

``python -m deploy.kafka_rights`` prints Kafka's own commands for the users of all roles;
``--agent NAME``, once or more often, for agents, each of which has a user of its own. What is not
given is refused: the broker must run with an authorizer.
"""

import argparse
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ingest.topics import ALARMS, ANNOTATIONS, CHECKPOINTS, DEAD_LETTERS, FRAMES, OBSERVATIONS

STATUS_NAME: Final = "chevet.status"
ADMIN_FILE: Final = "admin.properties"
"""The log-in of somebody who may give rights; Kafka's tools read it."""

RESULTS: Final = (FRAMES.name, OBSERVATIONS.name, ALARMS.name)
ALL: Final = (*RESULTS, ANNOTATIONS.name, CHECKPOINTS.name, DEAD_LETTERS.name, STATUS_NAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What one kind of process does with Kafka."""

    name: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    """Consumer groups that it joins."""
    creates: tuple[str, ...] = ()

    @property
    def user(self) -> str:
        """The user that the commands give the rights to, unless told."""
        return f"chevet-{self.name}"


AGENT: Final = Role(name="agent", writes=(FRAMES.name, STATUS_NAME))

ROLES: Final = (
    AGENT,
    Role(
        name="worker",
        reads=(FRAMES.name, CHECKPOINTS.name),
        writes=(
            OBSERVATIONS.name,
            ALARMS.name,
            CHECKPOINTS.name,
            DEAD_LETTERS.name,
            STATUS_NAME,
        ),
        groups=("chevet-worker",),
    ),
    Role(
        name="sink",
        reads=(*RESULTS, STATUS_NAME),
        writes=(DEAD_LETTERS.name, STATUS_NAME),
        groups=("chevet-sink",),
    ),
    Role(
        name="recorder",
        reads=(*RESULTS, ANNOTATIONS.name),
        writes=(DEAD_LETTERS.name, STATUS_NAME),
        groups=("chevet-recorder",),
    ),
    # Pages read for themselves, without a group.
    Role(
        name="live",
        reads=(*RESULTS, STATUS_NAME),
        writes=(ANNOTATIONS.name, STATUS_NAME),
    ),
    Role(name="grafana-live", reads=(*RESULTS, STATUS_NAME), writes=(STATUS_NAME,)),
    # chevet annotate --kafka: a person.
    Role(name="annotator", reads=(ANNOTATIONS.name,), writes=(ANNOTATIONS.name,)),
    # chevet topics, chevet dead-letters: a person.
    Role(name="operator", reads=ALL, writes=(*RESULTS, ANNOTATIONS.name), creates=ALL),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """One entry of Kafka's access control."""

    kind: str
    """topic or group."""
    name: str
    operation: str
    """Read and Write let describe, too."""


def rights_of(role: Role) -> Iterator[Right]:
    """Give what a role needs, and nothing more."""
    for operation, topics in (("Read", role.reads), ("Write", role.writes)):
        for name in topics:
            yield Right(kind="topic", name=name, operation=operation)
    for name in role.creates:
        yield Right(kind="topic", name=name, operation="Create")
    for name in role.groups:
        yield Right(kind="group", name=name, operation="Read")


def commands(servers: str, role: Role, user: str) -> Iterator[str]:
    """Give the commands that give a user a role's rights, one for each kind of right."""
    rights = list(rights_of(role))
    for kind, operation in dict.fromkeys((right.kind, right.operation) for right in rights):
        words = ["kafka-acls.sh", "--bootstrap-server", servers, "--command-config", ADMIN_FILE]
        words += ["--add", "--allow-principal", f"User:{user}", "--operation", operation]
        for right in rights:
            if (right.kind, right.operation) == (kind, operation):
                words += [f"--{kind}", right.name]
        yield shlex.join(words)


def table() -> str:
    """Give the rights as a table in Markdown: a row for each topic, a column for each role."""
    rows = [f"| | {' | '.join(role.name for role in ROLES)} |", f"|---{'|---' * len(ROLES)}|"]
    rows += [f"| `{topic}` | {' | '.join(_cell(role, topic) for role in ROLES)} |" for topic in ALL]
    groups = (", ".join(f"`{name}`" for name in role.groups) or "–" for role in ROLES)
    return "\n".join([*rows, f"| consumer group | {' | '.join(groups)} |"]) + "\n"


def _cell(role: Role, topic: str) -> str:
    words = (("read", role.reads), ("write", role.writes), ("create", role.creates))
    return ", ".join(word for word, topics in words if topic in topics) or "–"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the commands."""
    parser = argparse.ArgumentParser(prog="python -m deploy.kafka_rights", description=__doc__)
    parser.add_argument("--bootstrap-server", default="kafka-1.example:9093", metavar="HOST:PORT")
    parser.add_argument("--agent", action="append", default=[], metavar="USER")
    asked = parser.parse_args(arguments)
    users = [(AGENT, user) for user in asked.agent] or [
        (role, role.user) for role in ROLES if role is not AGENT
    ]
    for role, user in users:
        for command in commands(asked.bootstrap_server, role, user):
            sys.stdout.write(f"{command}\n")


if __name__ == "__main__":
    main()
