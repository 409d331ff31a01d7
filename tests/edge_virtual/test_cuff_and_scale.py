"""A cuff and a scale, seen from a central: what they measure arrives, and all is counted."""

import pytest

from devices import uuids
from devices.blood_pressure import (
    BloodPressureMeasurement,
    PressureFeature,
    decode_blood_pressure,
    decode_blood_pressure_feature,
    decode_cuff_pressure,
)
from devices.body_composition import (
    BodyCompositionFeature,
    decode_body_composition,
    decode_body_composition_feature,
)
from devices.body_measures import HeightResolution, MassResolution
from devices.body_readings import (
    blood_pressure_readings,
    body_composition_readings,
    weight_readings,
)
from devices.weight_scale import (
    WeightScaleFeature,
    decode_weight,
    decode_weight_scale_feature,
)
from edge.virtual.cuff import DEFLATION_S, Cuff, cuff_pressure_mmhg
from edge.virtual.cuff import MODEL as CUFF_MODEL
from edge.virtual.peripheral import Identity
from edge.virtual.player import NS_PER_S
from edge.virtual.scale import MODEL as SCALE_MODEL
from edge.virtual.scale import Scale
from tests.edge_virtual.conftest import ADVERTISING_INTERVAL_MS, START_NS, Inbox, World, let_run
from tests.waiting import until

CUFF = Identity(model=CUFF_MODEL, serial="0001", address="C4:E7:41:00:00:01")
SCALE = Identity(model=SCALE_MODEL, serial="0001", address="C4:E7:42:00:00:01")


async def a_cuff(world: World, period_s: int = 60) -> Cuff:
    cuff = Cuff(
        world.ether,
        CUFF,
        world.clock,
        period_s=period_s,
        advertising_interval_ms=ADVERTISING_INTERVAL_MS,
    )
    return await world._stack.enter_async_context(cuff.running())


async def a_scale(world: World) -> Scale:
    scale = Scale(world.ether, SCALE, world.clock, advertising_interval_ms=ADVERTISING_INTERVAL_MS)
    return await world._stack.enter_async_context(scale.running())


async def test_cuff_tells_its_pressure_while_it_measures_and_then_the_result(world: World) -> None:
    cuff = await a_cuff(world)
    client = await (await world.agent()).connect(cuff)
    pressures = Inbox(decode_cuff_pressure)
    results = Inbox(decode_blood_pressure)
    await client.start_notify(uuids.INTERMEDIATE_CUFF_PRESSURE, pressures)
    await client.start_notify(uuids.BLOOD_PRESSURE_MEASUREMENT, results)

    await world.clock.advance(59.0)  # the first pressure was told before anybody listened
    told = await pressures.count(DEFLATION_S - 1)
    (result,) = await results.count(1)

    assert [one.cuff_pressure for one in told] == [
        cuff_pressure_mmhg(k) for k in range(1, DEFLATION_S)
    ]
    assert result == cuff.blood_pressure(START_NS + DEFLATION_S * NS_PER_S)
    assert {reading.reason for reading in blood_pressure_readings(result)} == {None}


async def test_cuff_measures_again_and_again(world: World) -> None:
    cuff = await a_cuff(world, period_s=30)
    client = await (await world.agent()).connect(cuff)
    results = Inbox(decode_blood_pressure)
    await client.start_notify(uuids.BLOOD_PRESSURE_MEASUREMENT, results)
    counters = cuff.readings["blood_pressure"]

    measured: list[BloodPressureMeasurement] = []
    for n_results in (1, 2, 3):
        await world.clock.advance(30.0)
        measured = await results.count(n_results)
        await until(lambda: counters.sent == len(results.items))

    assert measured == [
        cuff.blood_pressure(START_NS + (DEFLATION_S + 30 * k) * NS_PER_S) for k in range(3)
    ]
    assert len({one.measured_at for one in measured}) == 3


async def test_result_that_nobody_confirms_is_unsent(world: World) -> None:
    cuff = await a_cuff(world, period_s=30)
    client = await (await world.agent()).connect(cuff)
    await client.start_notify(uuids.BLOOD_PRESSURE_MEASUREMENT, lambda *_: None)

    world.ether.silence(cuff.identity.address)
    await world.clock.advance(90.0)
    await until(lambda: not cuff.connected)
    await let_run()

    for kind, n_produced in (("blood_pressure", 3), ("cuff_pressure", 3 * DEFLATION_S + 1)):
        counters = cuff.readings[kind]
        assert counters.sent == 0
        assert counters.produced == counters.unsent == n_produced


async def test_cuff_says_what_it_can(world: World) -> None:
    cuff = await a_cuff(world)
    client = await (await world.agent()).connect(cuff)

    features = decode_blood_pressure_feature(
        bytes(await client.read_gatt_char(uuids.BLOOD_PRESSURE_FEATURE))
    )
    model = bytes(await client.read_gatt_char(uuids.MODEL_NUMBER))

    assert features == (
        PressureFeature.BODY_MOVEMENT_DETECTION | PressureFeature.CUFF_FIT_DETECTION
    )
    assert model == b"Virtual Cuff"


async def test_cuff_cannot_measure_faster_than_it_lets_out_air(world: World) -> None:
    with pytest.raises(ValueError, match="takes 20 s"):
        Cuff(world.ether, CUFF, world.clock, period_s=DEFLATION_S)


async def test_scale_indicates_weight_and_body_composition_of_one_time(world: World) -> None:
    scale = await a_scale(world)
    client = await (await world.agent()).connect(scale)
    weights = Inbox(decode_weight)
    compositions = Inbox(decode_body_composition)
    await client.start_notify(uuids.WEIGHT_MEASUREMENT, weights)
    await client.start_notify(uuids.BODY_COMPOSITION_MEASUREMENT, compositions)
    counters = scale.readings["body_composition"]

    for n_weighings in (1, 2):
        await world.clock.advance(60.0)
        await weights.count(n_weighings)
        await compositions.count(n_weighings)
        await until(lambda: counters.sent == len(compositions.items))

    times_ns = [START_NS + k * 60 * NS_PER_S for k in (1, 2)]
    assert weights.items == [scale.weight(t_ns) for t_ns in times_ns]
    assert compositions.items == [scale.body_composition(t_ns) for t_ns in times_ns]
    for weight, composition in zip(weights.items, compositions.items, strict=True):
        assert weight.measured_at == composition.measured_at
        readings = (*weight_readings(weight), *body_composition_readings(composition))
        assert {reading.reason for reading in readings} == {None}


async def test_weighing_that_nobody_confirms_is_unsent(world: World) -> None:
    scale = await a_scale(world)
    client = await (await world.agent()).connect(scale)
    await client.start_notify(uuids.WEIGHT_MEASUREMENT, lambda *_: None)

    world.ether.silence(scale.identity.address)
    await world.clock.advance(180.0)
    await until(lambda: not scale.connected)
    await let_run()

    for kind in ("weight", "body_composition"):
        counters = scale.readings[kind]
        assert counters.sent == 0
        assert counters.produced == counters.unsent == 4  # the first before anybody was there


async def test_scale_says_what_it_can(world: World) -> None:
    scale = await a_scale(world)
    client = await (await world.agent()).connect(scale)

    weighing = decode_weight_scale_feature(
        bytes(await client.read_gatt_char(uuids.WEIGHT_SCALE_FEATURE))
    )
    composition = decode_body_composition_feature(
        bytes(await client.read_gatt_char(uuids.BODY_COMPOSITION_FEATURE))
    )

    assert WeightScaleFeature.BMI in weighing.features
    assert weighing.resolutions.mass == MassResolution.KG_0_05_OR_LB_0_1
    assert weighing.resolutions.height == HeightResolution.M_0_01_OR_IN_1
    assert BodyCompositionFeature.IMPEDANCE in composition.features
    assert BodyCompositionFeature.WEIGHT not in composition.features
