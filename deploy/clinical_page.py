"""The tables of codes in docs/exports-clinical.md, from the code that writes the exports.

``python -m deploy.clinical_page`` writes them; a test fails when they are old.
"""

from pathlib import Path
from typing import Final

from devices import codes
from processors.exports.codings import (
    CHEVET,
    LOINC,
    MDC,
    PRESSURE_PANEL,
    PRESSURES,
    VITAL_SIGNS,
    Coding,
    codings_of,
    mdc_unit,
)
from processors.exports.fhir_parts import DEVICES, SUBJECTS
from processors.exports.no_value import REASONS

PAGE: Final = Path("docs/exports-clinical.md")
BEGIN: Final = "<!-- codes: python -m deploy.clinical_page -->\n"
END: Final = "<!-- codes: end -->"


def with_tables(page: str) -> str:
    """Give the page with the tables as they are now."""
    before, _, rest = page.partition(BEGIN)
    _, _, behind = rest.partition(END)
    return f"{before}{BEGIN}{tables()}{END}{behind}"


def tables() -> str:
    """Give our systems of names, the codes of each quantity, and the reasons."""
    return "\n\n".join([_systems(), _quantities(), _reasons()]) + "\n"


def _systems() -> str:
    rows = [
        "| what | `system` in FHIR |",
        "|---|---|",
        f"| our names of quantities, algorithms, alarms and kinds | `{CHEVET}` |",
        f"| pseudonyms of subjects | `{SUBJECTS}` |",
        f"| pseudonyms of devices and agents, names of algorithms | `{DEVICES}` |",
    ]
    return "\n".join(rows)


def _quantities() -> str:
    rows = [
        "| name | LOINC | MDC | unit in FHIR | unit in HL7 v2 | profile of FHIR |",
        "|---|---|---|---|---|---|",
        f"| the pressures of one inflation | {_codes(PRESSURE_PANEL, LOINC)} | "
        f"{_codes(PRESSURE_PANEL, MDC)} | – | – | bp |",
    ]
    return "\n".join([*rows, *map(_quantity, codes.QUANTITIES.values())])


def _quantity(row: codes.Quantity) -> str:
    codings = codings_of(row.name, row.mdc)
    sign = VITAL_SIGNS.get(row.name)
    ucum = row.ucum if sign is None else sign.ucum
    unit = mdc_unit(row.name, row.ucum)
    profile = "–" if sign is None or sign.profile is None else sign.profile
    profile = "within bp" if row.name in PRESSURES else profile
    cells = [
        f"`{row.name}`",
        _codes(codings, LOINC) or "–",
        _codes(codings, MDC) + (", private" if row.private else ""),
        f"`{ucum}`",
        f"`{row.ucum}`" if unit is None else f"{unit.code} {unit.display}",
        profile,
    ]
    return f"| {' | '.join(cells)} |"


def _codes(codings: tuple[Coding, ...], system: str) -> str:
    found = [one for one in codings if one.system == system]
    if system == LOINC:
        return ", ".join(one.code for one in found)
    return ", ".join(f"{one.code} {one.display}" for one in found)


def _reasons() -> str:
    rows = ["| our reason | data-absent-reason | OBX-8 |", "|---|---|---|"]
    rows += [f"| `{ours}` | {said.absent} | {said.flag} |" for ours, said in REASONS.items()]
    return "\n".join(rows)


def main() -> None:
    """Write the page."""
    PAGE.write_text(with_tables(PAGE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
