"""What a process may say of itself."""

import math

import pytest

from ingest.errors import MalformedRecordError
from ingest.role_status import N_GAUGES_MAX, agent_instance
from tests.ingest import records


def test_the_key_is_role_and_instance() -> None:
    assert records.role_status().key == "worker/ward-2-worker"
    assert agent_instance("p-7", "agent-1") == "p-7/agent-1"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"role": "Worker 1"}, "role 'Worker 1'"),
        ({"role": ""}, "role ''"),
        ({"instance": ""}, "without a name"),
        ({"t_ns": -1}, "t_ns"),
        ({"gauges": {"lag s": 1.0}}, "gauge 'lag s'"),
        ({"gauges": {"state": 1.0}}, "gauge 'state'"),
        ({"gauges": {"lag_s": math.nan}}, "lag_s of a worker: nan is not finite"),
        ({"gauges": {"lag_s": math.inf}}, "not finite"),
        ({"gauges": {f"g{i}": 0.0 for i in range(N_GAUGES_MAX + 1)}}, f"at most {N_GAUGES_MAX}"),
    ],
)
def test_what_no_store_could_keep_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(MalformedRecordError, match=words):
        records.role_status(**changes)
