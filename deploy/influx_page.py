"""The tables of buckets and measurements in docs/influx.md, from the code that writes them.

``python -m deploy.influx_page`` writes them; a test fails when they are old.
"""

from pathlib import Path
from typing import Final

from deploy.influx_setup import kept_text
from processors.sinks.measurements import KEPT, MEASUREMENTS, Bucket, Measurement, bucket_name

PAGE: Final = Path("docs/influx.md")
BEGIN: Final = "<!-- measurements: python -m deploy.influx_page -->\n"
END: Final = "<!-- measurements: end -->"

_HOURS_PER_DAY: Final = 24


def with_tables(page: str) -> str:
    """Give the page with the tables as they are now."""
    before, _, rest = page.partition(BEGIN)
    _, _, behind = rest.partition(END)
    return f"{before}{BEGIN}{tables()}{END}{behind}"


def tables() -> str:
    """Give what the buckets are, and what is in each."""
    parts = [_buckets()]
    for bucket in Bucket:
        rows = [_row(one) for one in MEASUREMENTS if one.bucket is bucket]
        head = [
            f"### In `{bucket_name('chevet', bucket)}`",
            "",
            "| measurement | tags | fields (type, unit) | time of a point | what for |",
            "|---|---|---|---|---|",
        ]
        parts.append("\n".join([*head, *rows]))
    return "\n\n".join(parts) + "\n"


def _buckets() -> str:
    rows = [
        "| bucket (2.x) | InfluxQL | kept unless told | may be | dropped by |",
        "|---|---|---|---|---|",
    ]
    for bucket, kept in KEPT.items():
        shortest, longest = (f"{_days(h)}" for h in (kept.retention_h_min, kept.retention_h_max))
        source = "default policy" if bucket is Bucket.LONG else f'`"{bucket}".` in front'
        endless = ", for ever" if kept.retention_h == 0 else ""
        told = kept_text(kept.retention_h, kept.shard_h).partition(",")[0].removeprefix("kept ")
        told = told if kept.retention_h == 0 else _days(kept.retention_h)
        rows.append(
            f"| `{bucket_name('chevet', bucket)}` | {source} | {told} | "
            f"{shortest} … {longest}{endless} | {_days(kept.shard_h)} |"
        )
    return "\n".join(rows)


def _days(hours: int) -> str:
    whole_days, rest = divmod(hours, _HOURS_PER_DAY)
    return f"{hours} h" if rest or whole_days <= 3 else f"{whole_days} d"  # noqa: PLR2004


def _row(one: Measurement) -> str:
    fields = [
        f"`{each.name}` ({', '.join(filter(None, (each.type, each.unit)))}"
        f"{'' if each.always else '; not always'})"
        for each in one.fields
    ]
    if one.more_floats:
        fields.append("and further floats")
    tags = ", ".join(f"`{tag}`" for tag in one.tags)
    return f"| `{one.name}` | {tags} | {', '.join(fields)} | {one.time} | {one.purpose} |"


def main() -> None:
    """Write the page."""
    PAGE.write_text(with_tables(PAGE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
