"""The table of codes, the UUIDs and the catalogue."""

import pytest

from devices import codes, uuids
from devices.catalogue import CATALOGUE, Channel, DeviceModel, Quirk, find_model
from devices.codes import QUANTITIES, Quantity, by_mdc, by_name
from devices.errors import InvalidFieldError
from devices.notifications import DECODABLE
from devices.polar_frames import find_layout
from devices.polar_pmd import PmdMeasurement

STREAMS = [
    pytest.param(model, stream, id=f"{model.name} {stream.measurement.name}")
    for model in CATALOGUE
    for stream in model.pmd_streams
]


def _constants() -> list[Quantity]:
    return [value for value in vars(codes).values() if isinstance(value, Quantity)]


def _channel(model: DeviceModel, name: str) -> Channel:
    columns = (column for stream in model.pmd_streams for column in stream.channels)
    return next(column for column in columns if column is not None and column.name == name)


def test_every_constant_is_a_row_and_every_row_a_constant() -> None:
    assert {row.name for row in _constants()} == set(QUANTITIES)
    assert len(_constants()) == len(QUANTITIES)


@pytest.mark.parametrize("attribute", ["name", "label", "mdc", "mdc_reference_id"])
def test_no_two_quantities_share_a_name_or_a_code(attribute: str) -> None:
    values = [getattr(row, attribute) for row in _constants()]

    assert len(set(values)) == len(values)


def test_lookups_find_every_row() -> None:
    for row in QUANTITIES.values():
        assert by_name(row.name) is row
        assert by_mdc(row.mdc) is row


def test_an_unknown_quantity_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        by_name("charm")
    with pytest.raises(KeyError):
        by_mdc(0)


def test_private_codes_are_those_of_the_private_range() -> None:
    for row in QUANTITIES.values():
        assert row.private == (row.mdc & 0xFFFF >= 0xF000)
        assert row.private == row.mdc_reference_id.startswith("MDC_PRIVATE_CHEVET_")


@pytest.mark.parametrize(
    ("quantity", "mdc", "ucum", "loinc"),
    [
        (codes.ECG, 131328, "mV", None),
        (codes.ECG_I, 131329, "mV", None),
        (codes.ECG_II, 131330, "mV", None),
        (codes.ECG_III, 131389, "mV", None),
        (codes.ECG_V1, 131331, "mV", None),
        (codes.ECG_V6, 131336, "mV", None),
        (codes.PLETH, 150452, "1", None),
        (codes.RESPIRATION_IMPEDANCE, 151780, "Ohm", None),
        (codes.HEART_RATE, 147842, "/min", "8867-4"),
        (codes.RR_INTERVAL, 147240, "ms", "8637-1"),
        (codes.SPO2, 150456, "%", "59408-5"),
        (codes.PULSE_RATE, 149530, "/min", "8889-8"),
        (codes.PERFUSION_INDEX, 150488, "%", "61006-3"),
        (codes.BODY_TEMPERATURE, 150364, "Cel", "8310-5"),
        (codes.RESPIRATORY_RATE, 151562, "/min", "9279-1"),
        (codes.BATTERY_LEVEL, 67996, "%", None),
        (codes.ENERGY_EXPENDED, 8454263, "kJ", None),
        (codes.SYSTOLIC_PRESSURE, 150021, "mm[Hg]", "8480-6"),
        (codes.DIASTOLIC_PRESSURE, 150022, "mm[Hg]", "8462-4"),
        (codes.MEAN_ARTERIAL_PRESSURE, 150023, "mm[Hg]", "8478-0"),
        (codes.CUFF_PRESSURE, 150300, "mm[Hg]", None),
        (codes.CUFF_PULSE_RATE, 149546, "/min", "8867-4"),
        (codes.BODY_MASS, 188736, "kg", "29463-7"),
        (codes.BODY_HEIGHT, 188740, "m", "8302-2"),
        (codes.BODY_FAT, 188748, "%", "41982-0"),
        (codes.BODY_MASS_INDEX, 188752, "kg/m2", "39156-5"),
        (codes.SPEED, 8454254, "m/s", None),
    ],
    ids=lambda value: value.name if isinstance(value, Quantity) else "",
)
def test_codes_are_those_of_the_standards(
    quantity: Quantity, mdc: int, ucum: str, loinc: str | None
) -> None:
    assert (quantity.mdc, quantity.ucum, quantity.loinc) == (mdc, ucum, loinc)
    assert not quantity.private


@pytest.mark.parametrize("text", ["180D", "0x180d", "0000180D", uuids.HEART_RATE_SERVICE.upper()])
def test_every_form_of_a_uuid_becomes_one(text: str) -> None:
    assert uuids.normalise_uuid(text) == "0000180d-0000-1000-8000-00805f9b34fb"


@pytest.mark.parametrize("text", ["", "180", "180g", "0000180d-0000-1000-8000-00805f9b34fb00"])
def test_what_is_not_a_uuid_is_refused(text: str) -> None:
    with pytest.raises(InvalidFieldError):
        uuids.normalise_uuid(text)


def test_uuids_are_normal_and_distinct() -> None:
    values = [value for name, value in vars(uuids).items() if name.isupper() and name[0] != "_"]

    assert len(set(values)) == len(values)
    assert all(uuids.normalise_uuid(value) == value for value in values)


@pytest.mark.parametrize(("model", "stream"), STREAMS)
def test_a_stream_states_every_column_of_the_frames_that_it_may_send(
    model: DeviceModel, stream: object
) -> None:
    row = model.pmd_stream(getattr(stream, "measurement", -1))
    assert row is not None
    assert row.frames
    for frame_type, compressed in row.frames:
        layout = find_layout(row.measurement, frame_type, compressed=compressed)
        assert layout.waveform
        assert not layout.float_bits
        assert len(row.channels) == len(layout.columns)
        for channel, column in zip(row.channels, layout.columns, strict=True):
            assert channel is None or column.measured


@pytest.mark.parametrize(("model", "stream"), STREAMS)
def test_a_stream_is_started_with_one_value_of_each_setting(
    model: DeviceModel, stream: object
) -> None:
    row = model.pmd_stream(getattr(stream, "measurement", -1))
    assert row is not None

    assert {len(values) for values in row.settings.by_type().values()} <= {0, 1}
    assert row.fs_hz == row.true_rate_hz(row.settings.sample_rates_hz[0])


@pytest.mark.parametrize("model", CATALOGUE, ids=lambda model: model.name)
def test_a_row_can_be_acted_upon(model: DeviceModel) -> None:
    names = [
        column.name
        for stream in model.pmd_streams
        for column in stream.channels
        if column is not None
    ]

    assert len(set(names)) == len(names)
    assert set(model.characteristics) <= DECODABLE
    assert (uuids.PMD_SERVICE in model.services) == bool(model.pmd_streams)
    assert (model.manufacturer is None) == (not model.name_prefixes)


@pytest.mark.parametrize("model", CATALOGUE, ids=lambda model: model.name)
def test_a_channel_is_scaled_to_the_unit_of_its_quantity(model: DeviceModel) -> None:
    for stream in model.pmd_streams:
        for channel in stream.channels:
            if channel is not None:
                assert channel.ucum == channel.quantity.ucum
                assert channel.scale > 0


def test_a_microvolt_is_a_thousandth_of_a_millivolt() -> None:
    model = find_model(
        local_name="Polar H10 12345678", manufacturer=None, model_number=None, service_uuids=()
    )

    assert model is not None
    assert _channel(model, "ecg").scale == 1e-3
    assert Quirk.STOP_STREAMS_BEFORE_LEAVING in model.quirks
    assert model.pmd_stream(PmdMeasurement.PPI) is None


def test_the_virtual_oximeter_wires_its_first_column_only() -> None:
    model = find_model(
        local_name="Chevet Virtual Oximeter 3",
        manufacturer="Chevet",
        model_number=None,
        service_uuids=[],
    )

    assert model is not None
    stream = model.pmd_stream(PmdMeasurement.PPG)
    assert stream is not None
    assert [column and column.name for column in stream.channels] == ["pleth", None, None, None]
    assert Quirk.DEMONSTRATION in model.quirks


@pytest.mark.parametrize(
    ("local_name", "manufacturer", "model_number", "services", "expected"),
    [
        ("Polar H10 12345678", None, None, ["180d"], "Polar H10"),
        ("polar h10 12345678", None, None, [], "Polar H10"),
        (None, "Polar Electro Oy", "H10", [], "Polar H10"),
        (None, None, "H10", [], "Polar H10"),
        (None, "Somebody", "H10", ["180d"], "Heart-rate sensor"),
        ("Polar Sense 1234", None, None, [], "Polar Verity Sense"),
        ("Polar OH1 1234", None, None, [], "Polar OH1"),
        (None, "Polar Electro Oy", "INW4J", [], "Polar Verity Sense"),
        ("Polar H9 1234", None, None, ["180d"], "Polar H9"),
        ("Polar 360 1234", None, None, [], "Polar 360"),
        ("Polar Loop 1234", None, None, [], "Polar 360"),
        ("Polar Ignite 3 1234", None, None, [], "Polar Ignite 3"),
        ("Chevet Virtual Armband 0001", None, None, [], "Chevet Virtual Armband"),
        ("Polar H10 12345678", "Polar Electro Oy", "OH1", [], "Polar OH1"),
        ("Chevet Virtual Strap 1", None, None, [], "Chevet Virtual Strap"),
        ("Chevet Virtual Thermometer", None, None, ["1809"], "Chevet Virtual Thermometer"),
        ("HRM-Dual", None, None, ["180d", "180f"], "Heart-rate sensor"),
        ("Polar H7 1234", "Polar Electro Oy", "H7", ["180D"], "Heart-rate sensor"),
        (None, None, None, ["1822"], "Pulse oximeter"),
        ("Thermo", "Acme", "T1", [uuids.HEALTH_THERMOMETER_SERVICE], "Thermometer"),
        ("Cuff", "Acme", "C1", ["1810"], "Blood pressure cuff"),
        ("Scale", "Acme", "S1", ["181d"], "Weighing scale"),
        ("Scale", "Acme", "S1", ["181b"], "Body composition scale"),
        ("Pod", "Acme", "P1", ["1814"], "Running sensor"),
        ("Chevet Virtual Cuff 0001", None, None, [], "Chevet Virtual Cuff"),
        ("Chevet Virtual Scale 0001", None, None, [], "Chevet Virtual Scale"),
        ("Kettle", "Acme", "K1", ["180a"], None),
        (None, None, None, [], None),
    ],
)
def test_a_device_is_known_by_model_then_name_then_services(
    local_name: str | None,
    manufacturer: str | None,
    model_number: str | None,
    services: list[str],
    expected: str | None,
) -> None:
    model = find_model(
        local_name=local_name,
        manufacturer=manufacturer,
        model_number=model_number,
        service_uuids=services,
    )

    assert (model.name if model else None) == expected
