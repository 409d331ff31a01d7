"""What all our boards have in common: the frame around the panels, and the strip at the top."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from deploy.grafana.model import SKY, VERMILLION, Head, JsonObject, Place
from deploy.grafana.panels import stat, text
from deploy.grafana.queries import ROLE_STALE_S, n_ready
from deploy.grafana.targets import influx

CLINICAL: Final = "clinical"
"""The tag of boards that show what was measured of people."""

STRIP_ROWS: Final = 3
"""Height of the strip."""

_WHAT_STANDS_STILL: Final = {
    "agent": "If there is none, nothing new comes from any sensor: look at the agents' hosts.",
    "worker": "If there is none, waveforms come and no number is computed.",
    "sink": "If there is none, nothing here grows: what is shown is what was stored before.",
    "live": "If there is none, the live page does not open.",
    "recorder": "If there is none, nothing is written to the archive; Kafka keeps it meanwhile.",
    "grafana-live": "If there is none, the live traces on Bedside stand still.",
}
"""By role, as in ``role_status``."""

_STRIP_ROLES: Final = ("agent", "worker", "sink")
"""Without these there are no current numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A dashboard.

    Attributes
    ----------
    uid
        Its name in addresses; ``chevet-`` stands before it.
    span
        How far back it looks unless told, in Grafana's words.
    refresh
        How often it asks.
    """

    uid: str
    title: str
    description: str
    panels: Sequence[JsonObject]
    variables: Sequence[JsonObject] = ()
    span: str
    refresh: str
    clinical: bool

    def build(self) -> JsonObject:
        """Write it in Grafana's model."""
        return {
            "uid": f"chevet-{self.uid}",
            "title": self.title,
            "description": self.description,
            "tags": ["chevet", CLINICAL] if self.clinical else ["chevet"],
            "schemaVersion": 41,
            "version": 1,
            "editable": False,
            "graphTooltip": 1,
            "timezone": "browser",
            "time": {"from": f"now-{self.span}", "to": "now"},
            "refresh": self.refresh,
            "timepicker": {"refresh_intervals": ["1s", "2s", "5s", "10s", "1m", "5m"]},
            "annotations": {"list": []},
            "links": [_to_the_others()],
            "templating": {"list": self.variables},
            "panels": _numbered(self.panels),
        }


def _to_the_others() -> JsonObject:
    return {
        "title": "Chevet",
        "type": "dashboards",
        "tags": ["chevet"],
        "asDropdown": True,
        "includeVars": True,
        "keepTime": False,
        "targetBlank": False,
        "icon": "external link",
        "tooltip": "The other boards",
        "url": "",
    }


def _numbered(panels: Iterable[JsonObject]) -> list[JsonObject]:
    return [{"id": number} | panel for number, panel in enumerate(panels, start=1)]


def strip(warning: str, *, agents: str = "") -> list[JsonObject]:
    """Build the top of a clinical board: what it is not, and which parts of the system live.

    Parameters
    ----------
    agents
        The agents that matter here; empty: all.
    """
    width = 3
    x = 24 - width * len(_STRIP_ROLES)
    return [
        text(
            "What this board is not.",
            Place(x=0, y=0, w=x, h=STRIP_ROWS),
            f"**Not a primary alarm. Not a medical device.** {warning}",
        ),
        *(
            n_living(
                role,
                Place(x=x + i * width, y=0, w=width, h=STRIP_ROWS),
                where=agents if role == "agent" else "",
            )
            for i, role in enumerate(_STRIP_ROLES)
        ),
    ]


def n_living(role: str, place: Place, *, where: str = "") -> JsonObject:
    """Build the number of processes of a role that are ready, and a word where there is none."""
    head = Head(
        title=f"{role.capitalize()}s",
        description=(
            f"Processes of the role {role} that said within {ROLE_STALE_S} s that they are ready. "
            f"{_WHAT_STANDS_STILL[role]} Where all are silent the broker or the sink is away."
        ),
        place=place,
        unit="suffix: ready",
    )
    return stat(
        head,
        influx(n_ready(role, where=where), alias=role),
        decimals=0,
        steps=((None, VERMILLION), (1, SKY)),
        absent=("silent", VERMILLION),
    )
