from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tvm_mutate.errors import UsageError
from tvm_mutate.oracle import ORACLES, Finding, Oracle, is_noticed, parse_oracle
from tvm_mutate.oracle.oracles import examine_all
from tvm_mutate.samples import Sample, as_samples

NAN, INF = float("nan"), float("inf")
OUTPUTS = hnp.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 8)))
DISTANCE = st.floats(0, allow_nan=False, allow_infinity=False)
SOME_ORACLE = st.one_of(
    st.sampled_from(["bitwise", "top-1"]).map(lambda name: ORACLES[name]()),
    st.builds(ORACLES["tolerance"], rtol=DISTANCE, atol=DISTANCE),
    st.builds(ORACLES["top-k"], k=st.integers(1)),
    st.builds(ORACLES["rank-correlation"], threshold=st.floats(-1, 1)),
)


@dataclass(frozen=True)
class Anything(Oracle):
    name: ClassVar[str] = "anything"

    def examine(self, golden: Sample, mutant: Sample) -> Finding:
        return Finding(True, 1.0)


def noticed_samples(oracle: Oracle, golden: np.ndarray, mutant: np.ndarray) -> tuple[int, ...]:
    return examine_all(oracle, as_samples(golden), as_samples(mutant)).noticed


@pytest.mark.parametrize(
    ("text", "golden", "mutant", "noticed"),
    [
        ("bitwise", [1.0, 2.0], [1.0, np.nextafter(np.float32(2), np.float32(3))], True),
        ("bitwise", [0.0, 2.0], [-0.0, 2.0], True),
        ("tolerance", [0.0, 2.0], [-0.0, 2.0], False),
        ("tolerance{rtol=0.1,atol=0}", [10.0], [10.9], False),
        ("tolerance{rtol=0.1,atol=0}", [10.0], [11.1], True),
        ("tolerance{rtol=0.1,atol=0}", [10.0], [8.9], True),
        ("tolerance{rtol=0.1,atol=0}", [9.0], [10.0], True),  # relative to golden, not to the mutant
        ("tolerance{rtol=0,atol=0.5}", [0.0], [0.4], False),
        ("tolerance{rtol=0,atol=0.5}", [0.0], [0.6], True),
        ("tolerance{rtol=9}", [1.0, 1.0], [1.0, NAN], True),
        ("tolerance{rtol=9}", [1.0, NAN], [1.0, 1.0], True),
        ("tolerance", [1.0, NAN], [1.0 + 1e-6, NAN], False),
        ("tolerance{rtol=9}", [INF], [-INF], True),
        ("tolerance{rtol=9}", [3.0], [INF], True),
        ("tolerance", [1.0, INF], [1.0 + 1e-6, INF], False),
        ("top-1", [1.0, 2.0], [0.0, 9.0], False),
        ("top-1", [1.0, 2.0], [2.0, 1.0], True),
        ("top-1", [2.0, 1.0], [NAN, NAN], True),
        ("top-1", [2.0, 1.0], [NAN, 0.0], True),
        ("top-k{k=2}", [3.0, 2.0, 1.0], [2.0, 3.0, 1.0], False),
        ("top-k{k=2}", [3.0, 2.0, 1.0], [3.0, 1.0, 2.0], True),
        ("top-k", [3.0, 2.0, 1.0], [NAN, NAN, NAN], True),
        ("rank-correlation", [3.0, 2.0, 1.0], [9.0, 5.0, 4.0], False),
        ("rank-correlation", [3.0, 2.0, 1.0], [3.0, 1.0, 2.0], True),
        ("rank-correlation{threshold=0.3}", [3.0, 2.0, 1.0], [3.0, 1.0, 2.0], False),
        ("rank-correlation{threshold=0.8}", [5, 4, 3, 2, 1], [5, 4, 3, 1, 2], False),  # exactly 0.8
        ("rank-correlation", [3.0, 2.0, 1.0], [NAN, NAN, NAN], True),
    ],
)
def test_each_oracle_notices_the_differences_of_its_definition(
    text: str, golden: list[float], mutant: list[float], noticed: bool
):
    row, mutant_row = np.array(golden, np.float32), np.array(mutant, np.float32)
    assert parse_oracle(text).examine((row,), (mutant_row,)).is_noticed is noticed
    assert is_noticed(parse_oracle(text), (row,), (mutant_row,)) is noticed


def test_the_inputs_noticed_are_named_by_index():
    golden = np.eye(3, dtype=np.float32)
    mutant = golden.copy()
    mutant[[0, 2]] = mutant[[2, 0]]
    assert noticed_samples(parse_oracle("top-1"), golden, mutant) == (0, 2)


@pytest.mark.parametrize("kind", [*ORACLES.values(), Anything])
@settings(deadline=None)
@given(outputs=OUTPUTS)
def test_no_oracle_notices_the_golden_bits(kind: type[Oracle], outputs: np.ndarray):
    assert noticed_samples(kind(), outputs, outputs.copy()) == ()


@pytest.mark.parametrize("name", ORACLES)
@settings(deadline=None)
@given(outputs=OUTPUTS)
def test_no_oracle_would_notice_the_rows_that_are_skipped(name: str, outputs: np.ndarray):
    assert not any(ORACLES[name]().examine((row,), (row.copy(),)).is_noticed for row in outputs)


@settings(deadline=None)
@given(OUTPUTS.flatmap(lambda a: st.tuples(st.just(a), hnp.arrays(np.float32, a.shape))))
def test_bitwise_notices_whatever_another_oracle_notices(pair: tuple[np.ndarray, np.ndarray]):
    everything = set(noticed_samples(parse_oracle("bitwise"), *pair))
    for name in ORACLES:
        assert everything.issuperset(noticed_samples(parse_oracle(name), *pair))


@settings(deadline=None)
@given(SOME_ORACLE)
def test_the_text_of_an_oracle_round_trips(oracle: Oracle):
    assert parse_oracle(str(oracle)) == oracle
    assert str(parse_oracle(str(oracle))) == str(oracle)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("bitwise", "bitwise"),
        ("bitwise{}", "bitwise"),
        ("tolerance", "tolerance{rtol=1e-05,atol=1e-06}"),
        (" tolerance{ atol = 1 , rtol=1e-3 } ", "tolerance{rtol=0.001,atol=1.0}"),
        ("top-1", "top-1"),
        ("top-k", "top-k{k=5}"),
        ("rank-correlation", "rank-correlation{threshold=0.9}"),
        ("rank-correlation{threshold=1}", "rank-correlation{threshold=1.0}"),
        ("rank-correlation{threshold=-1}", "rank-correlation{threshold=-1.0}"),
    ],
)
def test_an_oracle_writes_out_its_parameters(text: str, canonical: str):
    assert str(parse_oracle(text)) == canonical


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tolerence", "there is no oracle 'tolerence'; did you mean 'tolerance'?"),
        ("tolerance{rtoll=1}", "tolerance has no parameter 'rtoll'; did you mean 'rtol'?"),
        ("bitwise{k=1}", "bitwise has no parameter 'k'; it has none"),
        ("tolerance{rtol=1,rtol=2}", "tolerance: rtol is given twice"),
        ("tolerance{rtol=soft}", "tolerance: rtol='soft' is not of type float"),
        ("tolerance{rtol}", "tolerance: rtol='' is not of type float"),
        ("tolerance{rtol=-1}", "tolerance: rtol=-1.0 must be"),
        ("tolerance{atol=nan}", "tolerance: atol=nan must be"),
        ("tolerance{atol=inf}", "tolerance: atol=inf must be"),
        ("top-k{k=2.5}", "top-k: k='2.5' is not of type int"),
        ("top-k{k=0}", "top-k: k=0 must be"),
        ("rank-correlation{threshold=1.5}", "rank-correlation: threshold=1.5 must be"),
        ("rank-correlation{threshold=-1.5}", "rank-correlation: threshold=-1.5 must be"),
        ("rank-correlation{threshold=nan}", "rank-correlation: threshold=nan must be"),
        ("", "'' is not an oracle; write for example"),
        ("tolerance{rtol=1", "is not an oracle; write for example"),
    ],
)
def test_a_wrong_oracle_is_a_usage_error_that_says_what_is_wrong(text: str, message: str):
    with pytest.raises(UsageError) as error:
        parse_oracle(text)
    assert message in str(error.value)


def test_every_oracle_is_registered_under_its_name_and_the_registry_is_fixed():
    assert [kind.name for kind in ORACLES.values()] == list(ORACLES)
    with pytest.raises(TypeError):
        ORACLES["anything"] = Anything  # type: ignore[index]


def test_another_oracle_needs_its_class_and_one_row():
    known = {**ORACLES, Anything.name: Anything}
    assert parse_oracle("anything", known) == Anything()
    assert noticed_samples(Anything(), np.array([[1.0], [2.0]]), np.array([[1.0], [3.0]])) == (1,)


@pytest.mark.parametrize("kind", ORACLES.values())
def test_oracles_travel_between_processes(kind: type[Oracle]):
    assert pickle.loads(pickle.dumps(kind())) == kind()
