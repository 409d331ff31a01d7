"""What is known of Polar's models agrees with the catalogue, the layouts and the captures."""

import json
from pathlib import Path

import numpy as np
import pytest

from devices.catalogue import CATALOGUE
from devices.polar_layouts import LAYOUTS
from devices.polar_models import (
    ATT_MTU_FULL_FRAME,
    DEFAULT_TIME_NS,
    POLAR_MODELS,
    PolarModel,
)
from devices.polar_pmd import PmdMeasurement, PmdSettings
from devices.polar_settings import decode_settings, encode_settings

GOLDEN = Path(__file__).parents[1] / "golden"
MODELS = [pytest.param(model, id=model.name) for model in POLAR_MODELS.values()]


@pytest.mark.parametrize("model", MODELS)
def test_what_the_catalogue_starts_is_offered(model: PolarModel) -> None:
    rows = [row for row in CATALOGUE if row.name == model.name]
    for row in rows:
        for stream in row.pmd_streams:
            offered = model.streams[stream.measurement]
            without_channels = PmdSettings(
                sample_rates_hz=stream.settings.sample_rates_hz,
                resolutions_bits=stream.settings.resolutions_bits,
                ranges=stream.settings.ranges,
            )
            assert without_channels.are_offered_by(offered)


@pytest.mark.parametrize("model", MODELS)
def test_every_stream_has_a_layout_and_settings_that_can_be_sent(model: PolarModel) -> None:
    known = {measurement for measurement, _, _ in LAYOUTS}
    for streams in (model.streams, model.sdk_streams):
        assert set(streams) <= known
        for settings in streams.values():
            assert decode_settings(encode_settings(settings)) == settings


@pytest.mark.parametrize("model", MODELS)
def test_sdk_mode_has_no_intervals_and_is_not_narrower(model: PolarModel) -> None:
    assert PmdMeasurement.PPI not in model.sdk_streams
    for measurement, settings in model.sdk_streams.items():
        assert model.streams[measurement].are_offered_by(settings)


def test_a_rate_that_is_misstated_is_put_right() -> None:
    oh1, verity = POLAR_MODELS["Polar OH1"], POLAR_MODELS["Polar Verity Sense"]

    assert oh1.true_rate_hz(PmdMeasurement.PPG, 130) == 135
    assert oh1.true_rate_hz(PmdMeasurement.ACC, 50) == 50
    assert verity.true_rate_hz(PmdMeasurement.PPG, 135) == 55
    assert verity.true_rate_hz(PmdMeasurement.PPG, 55) == 55


def test_captured_settings_are_those_of_the_model() -> None:
    rows = json.loads((GOLDEN / "polar_pmd" / "vectors.json").read_text("utf-8"))
    (ppg,) = (row for row in rows if row["source"] == "capture Verity Sense, PPG")

    decoded = decode_settings(bytes.fromhex(ppg["payload"]))

    assert decoded == POLAR_MODELS["Polar Verity Sense"].streams[PmdMeasurement.PPG]


def test_captured_frames_need_the_stated_mtu() -> None:
    rows = json.loads((GOLDEN / "polar_frames" / "vectors.json").read_text("utf-8"))
    lengths = [len(bytes.fromhex(row["payload"])) for row in rows if "capture" in row["source"]]

    assert max(lengths) + 3 == ATT_MTU_FULL_FRAME


def test_the_default_time_is_the_start_of_2019() -> None:
    epoch = np.datetime64("2000-01-01", "ns")

    assert epoch + np.timedelta64(DEFAULT_TIME_NS, "ns") == np.datetime64("2019-01-01")
