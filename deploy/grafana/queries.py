"""The InfluxQL of the boards.

Three rules of Grafana's InfluxQL data source shape it. It escapes a variable for a regular
expression unless told otherwise, which would spoil a number: each use says ``:regex`` or ``:raw``.
A variable takes the first series of its query only. And a table mixes up the columns of series with
several tags: the tags of a table are selected as columns instead.

A name with two parts is a retention policy and a measurement; on InfluxDB 2 the policy is the
bucket's name behind the slash.
"""

from collections.abc import Sequence
from typing import Final

from deploy.grafana.model import JsonObject
from deploy.grafana.numerals import BELIEVED_MIN, Numeral
from deploy.grafana.targets import variable

WAVEFORM: Final = '"waveforms"."waveform"'
"""Every sample; kept for hours."""
ENVELOPE_25HZ: Final = '"envelopes"."envelope_25hz"'
"""Least and greatest count of 40 ms; kept for days."""
ENVELOPE: Final = '"envelope"'
"""Least and greatest count of a second; kept for long."""

SAMPLES_MAX: Final = 120_000
"""Samples of a trace in one answer: a minute at 2 kHz, the fastest ECG that is processed. In a
longer range the first ones are drawn, and then nothing."""

ROLE_STALE_S: Final = 3
"""A process says each second that it lives; silent for longer, it is not counted."""

ECG_CHANNELS: Final = "/^ecg/"
"""The channels of straps (``ecg``) and of recordings (``ecg/MLII``)."""

PLETH_CHANNELS: Final = "/(?i)^(pleth|ppg)/"
AMBIENT_CHANNELS: Final = "/(?i)ambient/"

SUBJECT: Final = '"subject" =~ /^${subject:regex}$/'
AGENTS_OF_SUBJECT: Final = r'"instance" =~ /^${subject:regex}\/.+$/'
"""An agent's name among all begins with its subject."""
ECG: Final = '"device" =~ /^${ecg_device:regex}$/ AND "channel" =~ /^${ecg_channel:regex}$/'
PLETH: Final = '"device" =~ /^${pleth_device:regex}$/ AND "channel" =~ /^${pleth_channel:regex}$/'
_IS_ECG: Final = f'"channel" =~ {ECG_CHANNELS}'
_IS_PLETH: Final = f'"channel" =~ {PLETH_CHANNELS} AND "channel" !~ {AMBIENT_CHANNELS}'

_MV_PER_UNIT: Final = (("mV", "1"), ("uV", "0.001"), ("V", "1000"))
"""The units of an ECG that the pipeline takes, in millivolt."""

_MV: Final = "* (0${ecg_mv_per_count:raw}) + (0 + 0${ecg_mv_at_zero:raw})"
_HAS_MV: Final = "'${ecg_mv_per_count:raw}' != '' AND '${ecg_mv_at_zero:raw}' != ''"
# The zeros keep a query whole where a variable is empty, and then the comparisons hold for no
# sample: a scale of 0 must never draw a flat line.


def subject_variable() -> JsonObject:
    """Let people choose a subject."""
    return variable("subject", "Subject", 'SHOW TAG VALUES FROM "observation" WITH KEY = "subject"')


def ecg_variables(measurement: str, field: str) -> list[JsonObject]:
    """Let people choose a device and its lead, and find its scale.

    Parameters
    ----------
    measurement, field
        Where those are found that send in the range of the board.
    """
    return [
        variable("ecg_device", "ECG device", _sending(measurement, field, "device", _IS_ECG)),
        variable(
            "ecg_channel",
            "ECG channel",
            _sending(
                measurement,
                field,
                "channel",
                f'{_IS_ECG} AND "device" =~ /^${{ecg_device:regex}}$/',
            ),
        ),
        variable("ecg_mv_per_count", "mV per count", _millivolts("scale"), hidden=True),
        variable("ecg_mv_at_zero", "mV at count 0", _millivolts("offset"), hidden=True),
    ]


def pleth_variables() -> list[JsonObject]:
    """Let people choose a device and its plethysmogram."""
    return [
        variable("pleth_device", "Pleth device", _sending(WAVEFORM, "v", "device", _IS_PLETH)),
        variable(
            "pleth_channel",
            "Pleth channel",
            _sending(
                WAVEFORM,
                "v",
                "channel",
                f'{_IS_PLETH} AND "device" =~ /^${{pleth_device:regex}}$/',
            ),
        ),
    ]


def _sending(measurement: str, field: str, tag: str, condition: str) -> str:
    """Ask for the tag values of what sends now: ``SHOW TAG VALUES`` lists last week's strap too."""
    return (
        f'SELECT DISTINCT("{tag}") FROM (SELECT last("{field}"), "{tag}" FROM {measurement} '
        f'WHERE {SUBJECT} AND {condition} AND $timeFilter GROUP BY "{tag}")'
    )


def _millivolts(field: str) -> str:
    """Ask for a field of the ECG's newest ``waveform_meta`` in millivolt, whatever its unit.

    Without a time filter: it was written when the stream began. No row where the unit is none of
    a voltage: then there is no trace rather than a wrong one.
    """
    by_unit = ", ".join(
        f'(SELECT "{field}" * {factor} AS "mv" FROM "waveform_meta" '
        f"WHERE {SUBJECT} AND {ECG} AND \"unit\" = '{unit}')"
        for unit, factor in _MV_PER_UNIT
    )
    return f'SELECT last("mv") FROM {by_unit}'


def ecg_samples() -> str:
    """Ask for every sample of the ECG, in millivolt."""
    return (
        f'SELECT "v" {_MV} AS "ecg" FROM {WAVEFORM} WHERE {SUBJECT} AND {ECG} AND {_HAS_MV} AND '
        f"$timeFilter LIMIT {SAMPLES_MAX}"
    )


def ecg_bound(selector: str, measurement: str) -> str:
    """Ask for the least (``min``) or greatest (``max``) of the ECG by interval, in millivolt.

    A scale below zero turns the curve over, as it does with the samples.
    """
    return (
        f'SELECT {selector}("{selector}") {_MV} AS "{selector}" FROM {measurement} '
        f"WHERE {SUBJECT} AND {ECG} AND {_HAS_MV} AND $timeFilter "
        "GROUP BY time($__interval) fill(null)"
    )


def pleth_samples() -> str:
    """Ask for every sample of the plethysmogram, in counts."""
    return (
        f'SELECT "v" FROM {WAVEFORM} WHERE {SUBJECT} AND {PLETH} AND $timeFilter '
        f"LIMIT {SAMPLES_MAX}"
    )


def observed(
    selector: str, condition: str, *, tags: Sequence[str] = (), where: str = SUBJECT
) -> str:
    """Ask for observations by interval; an interval without one is empty, never filled up."""
    return by_time(selector, '"observation"', _both(where, condition), tags)


def trend(field: str, name: str, *, algorithm: str = "") -> str:
    """Ask for a field of a quantity's minutes, put together by interval."""
    selector = field if field in {"min", "max"} else "mean"
    whose = f" AND \"algorithm\" = '{algorithm}'" if algorithm else ""
    condition = f"{SUBJECT} AND \"name\" = '{name}'{whose}"
    return by_time(f'{selector}("{field}")', '"trend"', condition)


def by_time(selector: str, measurement: str, condition: str, tags: Sequence[str] = ()) -> str:
    """Ask for something by interval; an interval without a point is empty, never filled up."""
    groups = "".join(f', "{tag}"' for tag in tags)
    return (
        f"SELECT {selector} FROM {measurement} WHERE {condition} AND $timeFilter "
        f"GROUP BY time($__interval){groups} fill(null)"
    )


def newest(numeral: Numeral, *, where: str = SUBJECT, tags: Sequence[str] = ()) -> str:
    """Ask for the newest observation of a quantity, while it is not too old.

    Every observation has a quality: its last one is the newest observation, and where that has a
    reason instead of a value an older value must not come back.
    """
    groups = f" GROUP BY {_listed(tags)}" if tags else ""
    return (
        'SELECT last("quality") AS "quality", "value" FROM "observation" '
        f"WHERE {_both(where, numeral.condition)} AND time > now() - {numeral.stale_s}s{groups}"
    )


def believed(numeral: Numeral) -> str:
    """Ask for the subject's number, if there is one to believe."""
    return f'SELECT "value" FROM ({newest(numeral)}) WHERE "quality" >= {BELIEVED_MIN}'


def n_ready(role: str, *, where: str = "") -> str:
    """Ask how many processes of a role have just said that they are ready."""
    which = _both(where, f"\"role\" = '{role}'")
    return (
        'SELECT count("state") FROM (SELECT last("state") AS "state" FROM "role_status" WHERE '
        f'{which} AND time > now() - {ROLE_STALE_S}s GROUP BY "instance") '
        "WHERE \"state\" = 'ready'"
    )


def _both(where: str, condition: str) -> str:
    return f"{where} AND {condition}" if where else condition


def _listed(tags: Sequence[str]) -> str:
    return ", ".join(f'"{tag}"' for tag in tags)
