"""One mutated program on a memory, with kernels that are plain functions."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import tvm

from tvm_mutate.evaluate.host import HostMemory, HostRow
from tvm_mutate.evaluate.program import (
    ConstantKeys,
    GoldenKeys,
    KernelCall,
    MutatedProgram,
    Program,
    ValueType,
    View,
    value_keys,
)
from tvm_mutate.evaluate.program_run import ProgramRun

KERNELS = {
    name: SimpleNamespace(digest=name, undefined_values=False, factor=factor)
    for name, factor in (("double", 2), ("triple", 3))
}


def flattened_and(kernel: str) -> Program:
    """An input of shape [1, 2, 2], flattened by a view, and a kernel on it."""
    types = [ValueType((1, 2, 2), "float32"), ValueType((1, 4), "float32"), ValueType((1, 4), "float32")]
    return Program({}, types, {}, (0,), [View(0, 1), KernelCall(kernel, (1,), (2,))], (2,))


def function_of(name: str):
    def multiply(data, result):
        np.from_dlpack(result)[...] = KERNELS[name].factor * np.from_dlpack(data)

    return multiply


@pytest.mark.parametrize(("kernel", "reached"), [("double", False), ("triple", True)])
def test_a_known_kernel_in_place_of_another_is_reached_behind_a_view_of_the_input(kernel: str, reached: bool):
    """The mutant calls a kernel of the unmutated model, so none is changed: the fault is the call itself."""
    digests = {name: name for name in KERNELS}
    unmutated, mutated = flattened_and("double"), flattened_and(kernel)
    golden = GoldenKeys.of(unmutated, tuple(value_keys(unmutated, digests, ConstantKeys())))
    keys = tuple(value_keys(mutated, digests, ConstantKeys()))
    run = ProgramRun(
        MutatedProgram(mutated, KERNELS, frozenset(), keys),
        golden, HostMemory(), function_of, {}, {}, frozenset(), is_rewired=True,
    )  # fmt: skip
    data = np.arange(4, dtype="float32").reshape(1, 2, 2)
    golden_value = np.from_dlpack(tvm.runtime.tensor(2 * data.reshape(1, 4)))  # aligned
    row = HostRow.of((data,), {2: golden_value}, [2])
    found = run.run(lambda _position: row, 1, None, lambda: None)
    assert found.outputs[0][0].tolist() == (KERNELS[kernel].factor * data).reshape(1, 4).tolist()
    assert (found.trace.reached, found.trace.infected) == (reached, reached)
