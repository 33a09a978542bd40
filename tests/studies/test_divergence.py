"""The divergence of two devices: the first kernel whose values differ by more than in the unmutated builds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from tvm_mutate.device import parse_device
from tvm_mutate.errors import UsageError
from tvm_mutate.evaluate import RebuildEvaluator
from tvm_mutate.kernels import parse_target
from tvm_mutate.model import Workload, load_inputs, load_model
from tvm_mutate.mutant import Mutant
from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.pipeline import Fused, Stages
from tvm_mutate.samples import Sample, Samples
from tvm_mutate.studies.divergence import Call, Calls, KernelDivergence, LocalRunner, find_kernel_divergence

CATALOGUE = builtin_catalogue()
SECONDS = 120.0

MUTANT = Mutant.parse("tir.swap-compare{from=lt,to=le}@first#0")
DATA = Samples((np.zeros((1, 1)),))


class FixedValues:
    """A runner with fixed values by kernel, of the unmutated model and of the mutant."""

    def __init__(self, unmutated: Mapping[str, Sequence[float]], mutated: Mapping[str, Sequence[float]]) -> None:
        self._unmutated, self._mutated = unmutated, mutated

    def calls(self, mutant: Mutant | None, _sample: Sample) -> Calls:
        values = self._mutated if mutant else self._unmutated
        reason = "it died (SIGSEGV)" if len(values) < len(self._unmutated) else ""
        return Calls(tuple(Call(name, 0, (np.array(each),)) for name, each in values.items()), reason)


def divergence(first: FixedValues, second: FixedValues) -> KernelDivergence | None:
    return find_kernel_divergence(MUTANT, first, second, DATA, margin=2.0)


GOLDEN = {"first": [1.0, 2.0], "second": [4.0, 8.0]}
NEAR = {"first": [1.0, 2.0], "second": [4.0, 8.5]}


def test_the_first_kernel_that_differs_beyond_the_tolerance_is_found_with_the_difference():
    found = divergence(FixedValues(GOLDEN, GOLDEN), FixedValues(NEAR, {"first": [1.0, 2.5], "second": [0.0, 0.0]}))
    assert found == KernelDivergence(0, 2, "first", 0.5, 0.0, 1, 2)


def test_the_difference_of_the_unmutated_builds_is_no_divergence_and_twice_that_is_within_the_margin():
    assert divergence(FixedValues(GOLDEN, GOLDEN), FixedValues(NEAR, NEAR)) is None
    assert divergence(FixedValues(GOLDEN, GOLDEN), FixedValues(NEAR, {**NEAR, "second": [4.0, 9.0]})) is None
    found = divergence(FixedValues(GOLDEN, GOLDEN), FixedValues(NEAR, {**NEAR, "second": [4.0, 9.5]}))
    assert found and (found.kernel, found.tolerance) == ("second", 1.0)


def test_the_tolerance_grows_with_the_values():
    large, larger = {**GOLDEN, "second": [4.0, 800.0]}, {**GOLDEN, "second": [4.0, 850.0]}
    assert divergence(FixedValues(GOLDEN, large), FixedValues(NEAR, larger)) is None


def test_a_value_that_is_nan_on_one_device_only_is_a_divergence():
    found = divergence(FixedValues(GOLDEN, GOLDEN), FixedValues(GOLDEN, {**GOLDEN, "second": [4.0, float("nan")]}))
    assert found and (found.kernel, found.difference, found.elements) == ("second", None, 1)


def test_a_device_that_dies_diverges_at_the_kernel_that_did_not_end():
    found = divergence(FixedValues(GOLDEN, GOLDEN), FixedValues(GOLDEN, {"first": [1.0, 2.0]}))
    assert found and (found.call, found.kernel, found.reason) == (1, "second", "it died (SIGSEGV)")


def test_devices_that_call_different_kernels_cannot_be_compared():
    with pytest.raises(UsageError, match="do not call the same kernels: first on one where other is on the other"):
        divergence(FixedValues(GOLDEN, GOLDEN), FixedValues({"other": [1.0, 2.0]}, {}))


def test_a_steady_mutant_does_not_diverge_between_two_cpu_targets():
    model = load_model("zoo://alexnet")
    fused = Fused(model.module)
    workload = Workload(model.scenario, load_inputs("zoo://digits", model, limit=1).samples)
    stages = [Stages(fused, parse_target(each)) for each in ("llvm", '{"kind":"llvm","mcpu":"x86-64-v3"}')]
    whole = RebuildEvaluator(stages[0], workload, parse_device("llvm"), CATALOGUE).evaluate(None, SECONDS).value
    runners = [LocalRunner(each, workload, CATALOGUE, SECONDS) for each in stages]
    unmutated = [runner.calls(None, workload.samples[0]) for runner in runners]
    assert [call.kernel for call in unmutated[0].calls] == [call.kernel for call in unmutated[1].calls]
    assert unmutated[0].calls[-1].results[0].reshape(-1).tobytes() == whole.outputs.tobytes()
    steady = CATALOGUE.parse("tir.swap-compare{from=gt,to=ge}@fused_matmul_add4_relu4#0")
    assert find_kernel_divergence(steady, runners[0], runners[1], workload.samples) is None
