from __future__ import annotations

import os
import pickle
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tvm_mutate.errors import UsageError
from tvm_mutate.oracle import (
    ORACLES,
    Finding,
    Oracle,
    check_oracles,
    examine_all,
    is_noticed,
    parse_oracle,
    user_function,
    usual_oracle,
)
from tvm_mutate.samples import Sample, Samples, as_samples

NAN, INF = float("nan"), float("inf")
BOXES = st.tuples(st.integers(1, 4), st.integers(1, 4), st.just(4))  # samples, boxes and corners: any oracle takes them
OUTPUTS = BOXES.map(lambda shape: (shape, shape[:2])).flatmap(
    lambda shapes: st.builds(as_samples, st.tuples(*[hnp.arrays(np.float32, shape) for shape in shapes]))
)
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


def logits(*labels: int) -> np.ndarray:
    """A step for each label, of which it is the best: float32 [1, steps, 4]."""
    return np.eye(4, dtype=np.float32)[np.newaxis, list(labels)]


@pytest.mark.parametrize(
    ("text", "golden", "mutant", "noticed", "number"),
    [
        ("cosine", [[3.0, 4.0]], [[6.0, 8.0]], False, 1.0),
        ("cosine", [[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [1.0, 1.0]], True, 0.5**0.5),
        ("cosine{threshold=0.7}", [[1.0, 0.0]], [[1.0, 1.0]], False, 0.5**0.5),
        ("cosine", [[1.0, 0.0]], [[NAN, 0.0]], True, 0.0),
        ("cosine", [[1.0, 0.0]], [[0.0, 0.0]], True, 0.0),
        ("relative-error", [3.0, 4.0], [3.0, 4.5], True, 0.1),
        ("relative-error{limit=0.2}", [3.0, 4.0], [3.0, 4.5], False, 0.1),
        ("relative-error{limit=9}", [3.0, 4.0], [3.0, INF], True, INF),
        ("relative-error{limit=9}", [0.0], [1.0], True, INF),
        ("label-map", [[[0.0, 1.0, 1.0, 1.0], [1.0, 0.0, 0.0, 0.0]]], [[[1.0, 1.0, 1.0, 1.0], [0.0] * 4]], True, 0.75),
        ("label-map{axis=-1}", [[[0.0, 1.0], [1.0, 0.0]]], [[[0.0, 9.0], [9.0, 0.0]]], False, 1.0),
        ("label-map{threshold=0.5}", np.array([[0, 1, 2, 3]]), np.array([[0, 1, 2, 9]]), False, 0.75),
        # Label 0 has 1 of 2 pixels in common, label 1 has 2 of 3.
        ("mean-iou", np.array([[0, 1, 1, 1]]), np.array([[0, 0, 1, 1]]), True, (1 / 2 + 2 / 3) / 2),
        ("mean-iou{threshold=0.5}", np.array([[0, 1, 1, 1]]), np.array([[0, 0, 1, 1]]), False, (1 / 2 + 2 / 3) / 2),
        ("mean-iou", np.array([[5, 5]]), np.array([[7, 7]]), True, 0.0),
        # 1 1 2 is "1 2"; 1 blank 1 2 is "1 1 2": one insertion in two characters.
        ("character-error-rate", logits(1, 1, 2), logits(1, 2, 2), False, 0.0),
        ("character-error-rate", logits(1, 1, 1, 2), logits(1, 0, 1, 2), True, 1 / 2),
        ("character-error-rate{limit=0.5}", logits(1, 1, 1, 2), logits(1, 0, 1, 2), False, 1 / 2),
        ("character-error-rate{blank=-1}", logits(1, 1, 1, 2), logits(1, 3, 1, 2), True, 1 / 2),
        ("character-error-rate", logits(0, 0), logits(0, 2), True, 1.0),
        ("character-error-rate", logits(1, 2, 3), logits(2, 3, 3), True, 1 / 3),
        ("character-error-rate", logits(1, 2)[0][:, np.newaxis], logits(2, 2)[0][:, np.newaxis], True, 1 / 2),
        # Words 2 3 and 2: one of two is substituted.
        ("word-error-rate", logits(2, 3, 1, 2), logits(2, 2, 1, 2), True, 1 / 2),
        ("word-error-rate", logits(2, 3, 1, 2), logits(2, 3, 0, 1), True, 1 / 2),
        ("word-error-rate", logits(2, 1, 1, 3), logits(2, 1, 0, 3), False, 0.0),
        ("greedy-tokens", np.array([[7, 8, 9]]), np.array([[7, 9, 9]]), True, 1.0),
        ("greedy-tokens{steps=1}", np.array([[7, 8, 9]]), np.array([[7, 9, 9]]), False, 1.0),
        ("greedy-tokens", logits(1, 2, 3), logits(1, 2, 3) * 2, False, 3.0),
        ("greedy-tokens", logits(1, 2, 3), logits(1, 2, 0), True, 2.0),
        ("kl-divergence", [[0.5, 0.5]], [[0.25, 0.75]], True, np.log(2 / 3**0.5)),
        ("kl-divergence", [[3.0, 3.0]], [[7.0, 7.0]], False, 0.0),
        ("kl-divergence", [[0.0, 0.0]], [[-np.log(3), 0.0]], True, np.log(2 / 3**0.5)),
        ("kl-divergence{limit=99}", [[0.5, 0.5]], [[0.0, 1.0]], True, INF),
        ("kl-divergence{limit=99}", [[0.0, 0.0]], [[NAN, 0.0]], True, INF),
        ("perplexity", [[0.5, 0.5], [0.75, 0.25]], [[0.5, 0.5], [0.1875, 0.8125]], True, 2.0),
        ("perplexity{limit=1}", [[0.5, 0.5], [0.75, 0.25]], [[0.5, 0.5], [0.1875, 0.8125]], False, 2.0),
        ("perplexity", [[1.0, 3.0]], [[2.0, 4.0]], False, 1.0),
        ("perplexity", [[1.0, 3.0]], [[NAN, NAN]], True, INF),
    ],
)
def test_each_oracle_measures_the_number_of_its_definition(text: str, golden, mutant, noticed: bool, number: float):
    pair = [each if isinstance(each, np.ndarray) else np.array(each, np.float32) for each in (golden, mutant)]
    found = parse_oracle(text).examine((pair[0],), (pair[1],))
    assert (found.is_noticed, found.number) == (noticed, pytest.approx(number, abs=1e-6))


def test_the_outputs_of_every_call_are_tokens_of_one_sequence():
    golden = tuple(np.array([[token]]) for token in (3, 1, 4, 1, 5))
    mutant = (*golden[:3], np.array([[2]]), golden[4])
    assert parse_oracle("greedy-tokens").examine(golden, mutant) == (True, 3.0)
    steps, others = ([logits(*tokens)[0] for tokens in ((1,), (2,), (3,))] for _ in range(2))
    others[1] = logits(0)[0]
    assert parse_oracle("greedy-tokens").examine(tuple(steps), tuple(others)) == (True, 1.0)
    assert parse_oracle("kl-divergence").examine(tuple(steps), tuple(others)).number > 0


CORNERS = np.array([[0, 0, 10, 10], [20, 20, 30, 30], [40, 40, 50, 50]], np.float32)
SCORES = np.array([0.9, 0.8, 0.1], np.float32)  # the last one is no detection


@pytest.mark.parametrize(
    ("text", "corners", "scores", "noticed", "number"),
    [
        ("matched-boxes", CORNERS + 0.5, SCORES, False, 1.0),
        ("matched-boxes", CORNERS[[1, 0, 2]], SCORES[[1, 0, 2]], False, 1.0),
        ("matched-boxes", CORNERS + np.float32([6, 0, 6, 0]), SCORES, True, 0.0),  # 40 of 160
        ("matched-boxes{iou=0.25}", CORNERS + np.float32([6, 0, 6, 0]), SCORES, False, 1.0),
        ("matched-boxes", CORNERS, np.float32([0.9, 0.8, 0.7]), True, 4 / 5),
        ("matched-boxes{threshold=0.5}", CORNERS, np.float32([0.9, 0.8, 0.7]), False, 4 / 5),
        ("matched-boxes{score=0.85}", CORNERS, np.float32([0.9, 0.1, 0.1]), False, 1.0),
        ("matched-boxes", CORNERS[[0, 0, 2]], SCORES, True, 1 / 2),  # one golden box matches once
        ("matched-boxes", CORNERS * NAN, SCORES, True, 0.0),
        ("matched-boxes{score=0.95}", CORNERS * NAN, SCORES, False, 1.0),
        ("matched-boxes", CORNERS[:, [2, 3, 0, 1]], SCORES, False, 1.0),
    ],
)
def test_detections_match_by_overlap_score_and_class(text: str, corners, scores, noticed: bool, number: float):
    found = parse_oracle(text).examine((CORNERS, SCORES), (corners.astype(np.float32), scores))
    assert (found.is_noticed, found.number) == (noticed, pytest.approx(number))


def test_detections_of_other_classes_or_images_do_not_match():
    classes = np.array([1, 2, 3])
    labelled = parse_oracle("matched-boxes{labels=2}")
    assert labelled.examine((CORNERS, SCORES, classes), (CORNERS, SCORES, classes)).number == 1.0
    assert labelled.examine((CORNERS, SCORES, classes), (CORNERS, SCORES, classes[[1, 1, 2]])).number == 0.5
    by_class = np.eye(3, dtype=np.float32) * 0.9
    plain = parse_oracle("matched-boxes")
    assert plain.examine((CORNERS, by_class), (CORNERS, by_class[[1, 0, 2]])).number == pytest.approx(1 / 3)
    images = np.stack([CORNERS, CORNERS + 100])
    scores = np.stack([SCORES, SCORES])
    assert plain.examine((images, scores), (images, scores)).number == 1.0
    assert plain.examine((images, scores), (images[::-1], scores)).number == 0.0


def test_centred_boxes_have_a_centre_and_a_size():
    centred = np.hstack([(CORNERS[:, :2] + CORNERS[:, 2:]) / 2, CORNERS[:, 2:] - CORNERS[:, :2]])
    moved = centred + np.float32([6, 0, 0, 0])
    oracle = parse_oracle("matched-boxes{centred=1,iou=0.24}")
    assert oracle.examine((centred, SCORES), (moved, SCORES)).number == 1.0
    assert parse_oracle("matched-boxes{centred=1,iou=0.26}").examine((centred, SCORES), (moved, SCORES)).number == 0.0


@pytest.mark.parametrize(
    ("text", "outputs", "message"),
    [
        ("matched-boxes", (SCORES, SCORES), "output 0 is [3], and not boxes [..., boxes, 4]"),
        ("matched-boxes", (CORNERS,), "there is no output 1 for scores; the program has 1"),
        ("matched-boxes", (CORNERS, SCORES[:2]), "scores of shape [2] do not fit 3 boxes"),
        ("label-map{axis=3}", (CORNERS,), "the first output of shape [3, 4] has no axis 3"),
    ],
)
def test_outputs_that_an_oracle_cannot_judge_are_a_usage_error(text: str, outputs, message: str):
    with pytest.raises(UsageError) as error:
        check_oracles([parse_oracle(text)], Samples.stack([outputs]))
    assert str(error.value) == f"{parse_oracle(text)}: {message}"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float8_e4m3fn", "float32", "float64"])
def test_units_in_the_last_place_count_representable_numbers_of_every_dtype(dtype: str):
    one = np.ones(3, dtype)
    bits = one.view(f"u{one.itemsize}") + np.array([0, 1, 5], f"u{one.itemsize}")
    assert parse_oracle("ulps").examine((one,), (bits.view(dtype),)) == (True, 5.0)
    assert parse_oracle("ulps{limit=5}").examine((one,), (bits.view(dtype),)) == (False, 5.0)
    below = (one.view(bits.dtype) - np.array([2], bits.dtype)).view(dtype)  # 1 - eps, beyond a power of two
    assert parse_oracle("ulps").examine((one,), (below,)).number == 2.0
    smallest = np.array([1], bits.dtype).view(dtype)
    assert parse_oracle("ulps").examine((smallest,), (-smallest,)).number == 2.0  # over 0.0 and -0.0, which are one
    assert parse_oracle("ulps").examine((one,), (one * np.array(NAN, dtype),)) == (True, INF)
    # The default tolerance of a dtype lies between one and a hundred units.
    assert (
        not parse_oracle("tolerance")
        .examine((one,), ((one.view(bits.dtype) + 1).astype(bits.dtype).view(dtype),))
        .is_noticed
    )
    far = (one * np.array(1.5, dtype)).astype(dtype)
    assert parse_oracle("tolerance").examine((one,), (far,)).is_noticed


@pytest.mark.parametrize(
    ("dtype", "golden", "mutant", "distance"),
    [
        ("int8", 100, -100, 200.0),
        ("uint64", 2**64 - 1, 0, 2.0**64),
        ("int64", -(2**63), 2**63 - 1, 2.0**64),
        ("bool", 1, 0, 1.0),
    ],
)
def test_integers_differ_by_their_difference(dtype: str, golden: int, mutant: int, distance: float):
    assert parse_oracle("ulps").examine((np.array([golden], dtype),), (np.array([mutant], dtype),)).number == distance


@pytest.mark.parametrize(
    ("outputs", "text"),
    [
        ([np.zeros((2, 1, 5), np.float32)], "top-1"),
        ([np.zeros((2, 1, 5, 7), np.float16)], "tolerance"),
        ([np.zeros((2, 1), np.int64)] * 3, "greedy-tokens{steps=0}"),
        ([np.zeros((2, 1), np.int32), np.zeros((2, 3), np.int32)], "tolerance"),
        ([np.zeros((2, 5), np.int8)], "tolerance"),
    ],
)
def test_the_usual_oracle_depends_on_the_kind_of_outputs(outputs: list[np.ndarray], text: str):
    assert str(usual_oracle(as_samples(outputs))) == text


MINE = """
def changed(golden, mutant):
    return bool((golden[0] != mutant[0]).any())

def largest(golden, mutant):
    difference = abs(golden[0] - mutant[0]).max()
    return difference > 1, difference

def nonsense(golden, mutant):
    return "yes"

def fails(golden, mutant):
    return golden[7] is None

def always(golden, mutant):
    return True


def forks(golden, mutant):
    import os
    os.fork()
    return not (golden[0] == mutant[0]).all()


def raises_anything(golden, mutant):
    raise BaseException("anything")


def endless(golden, mutant):
    while True:
        pass
"""


def test_a_function_of_the_user_is_an_oracle(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    golden, mutant = np.array([[1.0, 2.0]] * 2), np.array([[1.0, 2.0], [1.0, 5.0]])
    changed, largest = (parse_oracle(f"{file}:{name}") for name in ("changed", "largest"))
    assert str(changed) == f"{file}:changed" and pickle.loads(pickle.dumps(changed)) == changed
    check_oracles([changed, largest], as_samples(golden))
    assert examine_all(changed, as_samples(golden), as_samples(mutant)) == (str(changed), (1,), 1.0)
    assert examine_all(largest, as_samples(golden), as_samples(mutant)) == (str(largest), (1,), 3.0)


def test_a_copy_that_an_oracle_forks_does_not_go_on(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    forking = parse_oracle(f"{tmp_path / 'mine.py'}:forks")
    reader, writer = os.pipe()
    assert forking.examine((np.ones(2),), (np.zeros(2),)).is_noticed
    os.write(writer, b"answer")
    os.close(writer)
    with os.fdopen(reader, "rb") as answers:
        assert answers.read() == b"answer"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nonsense", "nonsense: returned 'yes'; it must return a bool, or a bool and a number"),
        ("fails", "fails() failed with IndexError at line 13: tuple index out of range"),
        ("always", "always: notices the unmutated outputs against themselves (of sample 0)"),
        ("raises_anything", "raises_anything() failed with BaseException at line 26: anything"),
        ("endless", ": it took more than 0.2 s"),
        ("alway", "has no function 'alway'; did you mean"),
    ],
)
def test_a_function_that_is_no_oracle_is_a_usage_error(tmp_path, monkeypatch, name: str, message: str):
    monkeypatch.setattr(user_function, "_MOST_SECONDS", 0.2)
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    with pytest.raises(UsageError) as error:
        check_oracles([parse_oracle(f"{file}:{name}")], as_samples(np.ones((1, 2))))
    assert message in str(error.value) and str(file) in str(error.value)


@pytest.mark.parametrize("kind", [*ORACLES.values(), Anything])
@settings(deadline=None)
@given(outputs=OUTPUTS)
def test_no_oracle_notices_the_golden_bits(kind: type[Oracle], outputs: Samples):
    copy = as_samples([each.copy() for each in outputs.arrays])
    assert examine_all(kind(), outputs, copy) == (str(kind()), (), None)


@pytest.mark.parametrize("name", ORACLES)
@settings(deadline=None)
@given(outputs=OUTPUTS)
def test_no_oracle_would_notice_the_samples_that_are_skipped(name: str, outputs: Samples):
    check_oracles([ORACLES[name]()], outputs)


@settings(deadline=None)
@given(st.lists(OUTPUTS, min_size=2, max_size=2))
def test_bitwise_notices_whatever_another_oracle_notices(pair: list[Samples]):
    golden, mutant = pair
    if all(one.shape == other.shape for one, other in zip(golden.arrays, mutant.arrays, strict=True)):
        everything = set(examine_all(parse_oracle("bitwise"), golden, mutant).noticed)
        for name in ORACLES:
            assert everything.issuperset(examine_all(parse_oracle(name), golden, mutant).noticed)


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
        ("tolerance", "tolerance"),
        ("tolerance{rtol=1e-5}", "tolerance{rtol=1e-05}"),
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
        ("ulps{limit=-1}", "ulps: limit=-1 must be 0 or above"),
        ("ulps{limit=0.5}", "ulps: limit='0.5' is not of type int"),
        ("kl-divergence{limit=nan}", "kl-divergence: limit=nan must be 0 or above"),
        ("mean-iou{threshold=2}", "mean-iou: threshold=2.0 must be between 0 and 1"),
        ("matched-boxes{iou=0}", "matched-boxes: iou=0.0 must be above 0, up to 1"),
        ("matched-boxes{boxes=-1}", "matched-boxes: boxes=-1 must be the number of an output, from 0"),
        ("word-error-rate{blank=-2}", "word-error-rate: blank=-2 must be the number of a label, or -1"),
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
