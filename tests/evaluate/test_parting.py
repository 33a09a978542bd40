"""Where two devices part: the first kernel whose values differ beyond the unmutated builds'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from tvm_mutate.errors import UsageError
from tvm_mutate.evaluate import KernelParting, LocalSession, find_kernel_parting
from tvm_mutate.evaluate.parting import Call, Calls
from tvm_mutate.kernels import parse_target
from tvm_mutate.model import load_model
from tvm_mutate.mutant import Mutant
from tvm_mutate.pipeline import Fused, Stages

from .conftest import CATALOGUE, MODEL, SECONDS, Both

MUTANT = Mutant.parse("tir.swap-compare{from=lt,to=le}@first#0")
DATA = [np.zeros(1)]


class Told:
    """A session that gives the values that it was told: of a mutant, and of the unmutated model, by kernel."""

    def __init__(self, unmutated: Mapping[str, Sequence[float]], mutated: Mapping[str, Sequence[float]]) -> None:
        self._unmutated, self._mutated = unmutated, mutated

    def calls(self, mutant: Mutant | None, _data: np.ndarray) -> Calls:
        values = self._mutated if mutant else self._unmutated
        reason = "it died (SIGSEGV)" if len(values) < len(self._unmutated) else ""
        return Calls(tuple(Call(name, 0, (np.array(each),)) for name, each in values.items()), reason)


def parting(first: Told, second: Told) -> KernelParting | None:
    return find_kernel_parting(MUTANT, first, second, DATA, margin=2.0)


GOLDEN = {"first": [1.0, 2.0], "second": [4.0, 8.0]}
NEAR = {"first": [1.0, 2.0], "second": [4.0, 8.5]}


def test_the_first_kernel_that_differs_beyond_the_floor_is_told_and_by_how_much():
    found = parting(Told(GOLDEN, GOLDEN), Told(NEAR, {"first": [1.0, 2.5], "second": [0.0, 0.0]}))
    assert found == KernelParting(0, 2, "first", 0.5, 0.0, 1, 2)


def test_what_the_unmutated_builds_differ_by_is_no_parting_nor_is_twice_that_within_the_margin():
    assert parting(Told(GOLDEN, GOLDEN), Told(NEAR, NEAR)) is None
    assert parting(Told(GOLDEN, GOLDEN), Told(NEAR, {**NEAR, "second": [4.0, 9.0]})) is None
    found = parting(Told(GOLDEN, GOLDEN), Told(NEAR, {**NEAR, "second": [4.0, 9.5]}))
    assert found and (found.kernel, found.floor) == ("second", 1.0)


def test_the_floor_grows_with_the_values():
    large, larger = {**GOLDEN, "second": [4.0, 800.0]}, {**GOLDEN, "second": [4.0, 850.0]}
    assert parting(Told(GOLDEN, large), Told(NEAR, larger)) is None


def test_a_value_that_is_nan_on_one_device_only_is_a_parting():
    found = parting(Told(GOLDEN, GOLDEN), Told(GOLDEN, {**GOLDEN, "second": [4.0, float("nan")]}))
    assert found and (found.kernel, found.difference, found.elements) == ("second", None, 1)


def test_a_device_that_dies_parts_at_the_kernel_that_it_did_not_get_through():
    found = parting(Told(GOLDEN, GOLDEN), Told(GOLDEN, {"first": [1.0, 2.0]}))
    assert found and (found.call, found.kernel, found.reason) == (1, "second", "it died (SIGSEGV)")


def test_devices_that_call_other_kernels_cannot_be_compared():
    with pytest.raises(UsageError, match="do not call the same kernels: first on one where other is on the other"):
        parting(Told(GOLDEN, GOLDEN), Told({"other": [1.0, 2.0]}, {}))


def test_a_steady_mutant_parts_two_cpu_targets_nowhere(both: Both):
    fused = Fused(load_model(MODEL).module)
    sessions = [
        LocalSession(Stages(fused, parse_target(target)), CATALOGUE, SECONDS)
        for target in ("llvm", '{"kind":"llvm","mcpu":"x86-64-v3"}')
    ]
    unmutated = [session.calls(None, both.inputs[0]) for session in sessions]
    assert [call.kernel for call in unmutated[0].calls] == [call.kernel for call in unmutated[1].calls]
    assert unmutated[0].calls[-1].results[0].reshape(-1).tobytes() == both.scores[0].tobytes()
    steady = CATALOGUE.parse("tir.swap-compare{from=gt,to=ge}@fused_matmul_add4_relu4#0")
    assert find_kernel_parting(steady, sessions[0], sessions[1], both.inputs[:1]) is None
