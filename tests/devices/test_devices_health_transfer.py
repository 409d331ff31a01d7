"""Taking over the store of a health sensor: each record once, whatever cuts the transfer."""

from hypothesis import given
from hypothesis import strategies as st

from devices import codes
from devices.elapsed_time import ElapsedTime, TimeKind, TimeResolution
from devices.ghs_header import ObservationHeader
from devices.ghs_observation import HealthObservation, StoredObservation
from devices.ghs_record_access import (
    RecordAnswer,
    RecordAnswerCode,
    RecordCount,
    RecordOpCode,
    RecordOperator,
    RecordRequest,
)
from devices.ghs_values import NumericValue
from devices.health_transfer import HealthTransfer, TakenObservations
from devices.transfer_report import MeterMemory, TransferEnd


class Sensor:
    """A store that is asked, and may lose what it sends."""

    def __init__(self) -> None:
        self.records: dict[int, int] = {}
        self.next_number = 1
        self.n_measured = 0
        self.on_timeline = True

    def measure(self, n_records: int = 1) -> None:
        for _ in range(n_records):
            self.records[self.next_number] = self.n_measured
            self.next_number += 1
            self.n_measured += 1

    def reset(self) -> None:
        self.records.clear()
        self.next_number = 1

    def stored(self, number: int) -> StoredObservation:
        value = self.records[number]
        time = ElapsedTime(
            count=value,
            resolution=TimeResolution.SECOND,
            kind=TimeKind.TICKS,
            on_current_timeline=self.on_timeline,
        )
        header = ObservationHeader(observation_type=codes.HEART_RATE.mdc, time=time)
        observation = HealthObservation(
            header=header, value=NumericValue(unit=2720, value=float(value % 200))
        )
        return StoredObservation(record_number=number, observation=observation)

    def chosen(self, request: RecordRequest) -> list[int]:
        least = request.record_numbers[0] if request.record_numbers else 0
        return [number for number in self.records if number >= least]


class Collector:
    """What has been taken, and what is kept from one transfer to the next."""

    def __init__(self, sensor: Sensor) -> None:
        self.sensor = sensor
        self.taken: list[int] = []
        self.kept = TakenObservations().to_text()

    def collect(self, lost: frozenset[int] = frozenset(), cut_after: int = 10**9) -> HealthTransfer:
        """Run a transfer; records of these places are lost, and the link after so many."""
        transfer = HealthTransfer(TakenObservations.from_text(self.kept))
        request: RecordRequest | None = transfer.begin()
        n_sent = 0
        while request is not None:
            numbers = self.sensor.chosen(request)
            for number in numbers:
                if n_sent == cut_after:
                    transfer.link_lost()
                    return transfer
                n_sent += 1
                if n_sent in lost:
                    continue
                if transfer.record(self.sensor.stored(number)):
                    self.taken.append(self.sensor.records[number])
                self.kept = transfer.taken.to_text()
            request = transfer.answer(
                RecordCount(op_code=RecordOpCode.REPORT_ANSWER, n_records=len(numbers))
                if numbers
                else RecordAnswer(
                    request=RecordOpCode.REPORT, code=RecordAnswerCode.NO_RECORDS_FOUND
                )
            )
        self.kept = transfer.taken.to_text()
        return transfer


@given(
    rounds=st.lists(
        st.tuples(
            st.integers(0, 8), st.frozensets(st.integers(1, 12), max_size=4), st.integers(0, 20)
        ),
        max_size=6,
    )
)
def test_every_record_is_taken_once_whatever_is_lost(
    rounds: list[tuple[int, frozenset[int], int]],
) -> None:
    sensor = Sensor()
    collector = Collector(sensor)
    for n_records, lost, cut_after in rounds:
        sensor.measure(n_records)
        collector.collect(lost, cut_after)
        sensor.on_timeline = not sensor.on_timeline  # its clock is set: no other record for that

    end = collector.collect().end

    assert end is (TransferEnd.COMPLETE if sensor.records else TransferEnd.NO_RECORDS)
    assert sorted(collector.taken) == list(range(sensor.n_measured))


def test_a_store_that_began_again_is_taken_wholly() -> None:
    sensor = Sensor()
    collector = Collector(sensor)
    sensor.measure(5)
    collector.collect()

    sensor.reset()
    sensor.measure(7)
    longer = collector.collect()
    sensor.reset()
    sensor.measure(2)
    shorter = collector.collect()

    assert longer.memory is shorter.memory is MeterMemory.RESET
    assert sorted(collector.taken) == list(range(14))


def test_numbers_that_are_gone_are_counted() -> None:
    sensor = Sensor()
    collector = Collector(sensor)
    sensor.measure(4)
    collector.collect()
    sensor.measure(10)
    for number in range(1, 9):
        del sensor.records[number]

    transfer = collector.collect()

    assert transfer.memory is MeterMemory.OVERWRITTEN
    assert transfer.counts.n_overwritten == 4
    assert transfer.counts.n_taken == 6


def test_a_missing_record_is_missed_aloud() -> None:
    sensor = Sensor()
    collector = Collector(sensor)
    sensor.measure(4)

    transfer = collector.collect(frozenset({2}))

    assert transfer.end is TransferEnd.INCOMPLETE
    assert transfer.counts.n_missing == 1


def test_a_sensor_that_knows_no_numbers_is_asked_for_all() -> None:
    kept = TakenObservations(anchor=(3, "00"))
    transfer = HealthTransfer(kept)

    assert transfer.begin().record_numbers == (3,)
    again = transfer.answer(
        RecordAnswer(request=RecordOpCode.REPORT, code=RecordAnswerCode.OPERATOR_NOT_SUPPORTED)
    )

    assert again is not None
    assert again.operator is RecordOperator.ALL
    busy = RecordAnswer(request=RecordOpCode.REPORT, code=RecordAnswerCode.SERVER_BUSY)
    assert transfer.answer(busy) is None
    assert transfer.end is TransferEnd.REFUSED
    assert transfer.answer_code == RecordAnswerCode.SERVER_BUSY
    assert transfer.answer(busy) is None
    assert transfer.counts.n_unexpected == 1
