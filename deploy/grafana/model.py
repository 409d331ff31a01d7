"""What Grafana's dashboard model is made of: places, colours, thresholds, words for values.

Source: ``Dashboard`` in the npm package @grafana/schema 13.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"
JsonObject: TypeAlias = dict[str, Json]

NO_VALUE: Final = "---"

# Okabe and Ito's palette: to be told apart with every kind of colour vision.
SKY: Final = "#56B4E9"
ORANGE: Final = "#E69F00"
VERMILLION: Final = "#D55E00"
GREEN: Final = "#009E73"
YELLOW: Final = "#F0E442"
PURPLE: Final = "#CC79A7"
BLUE: Final = "#0072B2"
GREY: Final = "#999999"

COLOURS: Final = frozenset({SKY, ORANGE, VERMILLION, GREEN, YELLOW, PURPLE, BLUE, GREY})

LINE_COLOURS: Final = (SKY, ORANGE, GREEN, YELLOW, PURPLE, VERMILLION, BLUE)
_ENDINGS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"

Step = tuple[float | None, str]
"""From this value on, this colour; None: from minus infinity."""

PLAIN: Final[tuple[Step, ...]] = ((None, GREY),)

Words = Mapping[str, tuple[str, str]]
"""By value: a text and its colour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a panel is on the grid of 24 columns; rows of 30 pixels."""

    x: int
    y: int
    w: int
    h: int

    @property
    def grid(self) -> JsonObject:
        """As Grafana writes it."""
        return {"x": self.x, "y": self.y, "w": self.w, "h": self.h}


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What every panel has.

    Attributes
    ----------
    unit
        Grafana's identifier of the unit; ``string`` for words.
    window
        Relative range of its own in place of the board's; an absolute range counts for all.
    interval
        Shortest ``$__interval``.
    """

    title: str
    description: str
    place: Place
    unit: str
    window: str | None = None
    interval: str | None = None


def thresholds(steps: Sequence[Step]) -> JsonObject:
    """Write colours by value, from the lowest on."""
    return {
        "mode": "absolute",
        "steps": [{"value": value, "color": colour} for value, colour in steps],
    }


def value_mapping(words: Words) -> JsonObject:
    """Write a text and a colour in the place of certain values."""
    return {
        "type": "value",
        "options": {
            value: {"index": index, "text": text, "color": colour}
            for index, (value, (text, colour)) in enumerate(words.items())
        },
    }


def no_value_mapping(text: str = NO_VALUE, colour: str = GREY) -> JsonObject:
    """Write dashes in grey where there is no value: by default it has the lowest step's colour."""
    return {
        "type": "special",
        "options": {
            "match": "null+nan",
            "result": {"index": 0, "text": text, "color": colour},
        },
    }


def colours_by_ending() -> list[JsonObject]:
    """Give each line a colour of the palette by the last letter or digit of its name.

    Grafana's own palettes for lines have red and green; with these a line keeps its colour, too,
    whoever else is there. More than seven lines share colours, as with any palette.
    """
    n_colours = len(LINE_COLOURS)
    return [
        {
            "matcher": {"id": "byRegexp", "options": f"/[{_ENDINGS[i::n_colours]}]$/i"},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
        }
        for i, colour in enumerate(LINE_COLOURS)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """How one column of a table, or one line of a graph, differs from the others.

    Attributes
    ----------
    name
        The field's name as the query gives it.
    title
        What people read; None: the name.
    link
        Where a click on the cell leads.
    width
        Pixels; None: as wide as there is room.
    """

    name: str
    title: str | None = None
    unit: str | None = None
    decimals: int | None = None
    steps: tuple[Step, ...] = ()
    words: Words | None = None
    colour: str | None = None
    link: str | None = None
    width: int | None = None
    custom: tuple[tuple[str, Json], ...] = ()
    """Further settings of the kind of panel, by name."""

    @property
    def override(self) -> JsonObject:
        """As Grafana writes it."""
        return {
            "matcher": {"id": "byName", "options": self.name},
            "properties": [{"id": name, "value": value} for name, value in self._properties()],
        }

    def _properties(self) -> list[tuple[str, Json]]:
        colour: JsonObject = {"mode": "fixed", "fixedColor": self.colour}
        link: JsonObject = {"title": f"Open {self.title}", "url": self.link, "targetBlank": False}
        shown: list[tuple[object, str, Json]] = [
            (self.title, "displayName", self.title),
            (self.unit, "unit", self.unit),
            (self.decimals is not None, "decimals", self.decimals),
            (self.steps, "thresholds", thresholds(self.steps)),
            (self.words, "mappings", [value_mapping(self.words or {}), no_value_mapping()]),
            (self.steps or self.words, "custom.cellOptions", {"type": "color-text"}),
            (self.colour, "color", colour),
            (self.link, "links", [link]),
            (self.width, "custom.width", self.width),
        ]
        return [(name, value) for is_set, name, value in shown if is_set] + [
            (f"custom.{name}", value) for name, value in self.custom
        ]
