"""Small kernels in TVMScript, mutated, built and run: what the tests of the families of TIR operators share."""

from __future__ import annotations

import numpy as np
import tvm

from tvm_mutate.mutant import Slot
from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.passes import Applied, Selection, Site, apply_mutations, find_sites, mutant_passes
from tvm_mutate.pipeline import slotted_tir_pipeline

CATALOGUE = builtin_catalogue()
UNTOUCHED = -99  # what the output holds before the kernel runs
INDEX = np.arange(16)
SCRIPT = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "{dtype}"), W: T.Buffer((16,), "{dtype}"), B: T.Buffer((16,), "{dtype}")):
    for i in range(16):
        {statement}
"""


def kernel(value: str, dtype: str = "float32") -> str:
    """A kernel that stores one value for each of 16 indices, from two inputs A and W."""
    return statement(f"B[i] = {value}", dtype)


def statement(text: str, dtype: str = "float32") -> str:
    """A kernel that runs one statement for each of 16 indices i."""
    return SCRIPT.format(statement=text, dtype=dtype)


def ramp(seed: int = 7) -> np.ndarray:
    """Distinct float32 values of both signs, none of them whole."""
    return np.random.default_rng(seed).permutation(np.linspace(-9.3, 8.7, 16)).astype("float32")


def parsed(script: str) -> tvm.IRModule:
    return tvm.IRModule({"main": tvm.script.from_source(script)})


def selection(mutant: str) -> Selection:
    return Selection.resolve(CATALOGUE.parse(mutant).mutations[0], CATALOGUE)


def sites(script: str, mutant: str) -> list[Site]:
    """The sites of a mutant (``operator`` or ``operator{parameters}``) in a kernel."""
    return find_sites(parsed(script), selection(f"{mutant}@*#*"))


def mutated(script: str, mutant: str, site: str = "*") -> tvm.IRModule:
    return apply_mutations(parsed(script), [selection(f"{mutant}@*#{site}")])[0]


def built(script: str, mutant: str, slot: str = "kernel", target: str = "llvm", site: str = "*") -> tvm.runtime.Module:
    """The kernel built with the mutant in it at the slot; without a mutant where that is empty."""
    report: list[Applied] = []
    passes = {}
    if mutant:
        head, _, parameters = mutant.rstrip("}").partition("{")
        several = len(CATALOGUE[head].slots) > 1
        given = ",".join(filter(None, [parameters, f"slot={slot}" if several else ""]))
        identifier = f"{head}{{{given}}}@*#{site}" if given else f"{head}@*#{site}"
        passes = mutant_passes(CATALOGUE.parse(identifier), CATALOGUE, report.extend)
    module = parsed(script)
    if Slot.KERNEL in passes:
        module = passes[Slot.KERNEL](module)
    with slotted_tir_pipeline(passes) as pipeline:
        library = tvm.tirx.build(module, target, pipeline=pipeline)
    assert not mutant or any(applied.changed for applied in report)
    return library


def run(
    script: str, mutant: str, *inputs: np.ndarray, slot: str = "kernel", site: str = "*", target: str = "llvm"
) -> np.ndarray:
    """What the kernel stores for the inputs, whose last buffer is the output, of the shape of the first."""
    library = built(script, mutant, slot, target, site)
    output = tvm.runtime.tensor(np.full(inputs[0].shape, UNTOUCHED, inputs[0].dtype))
    library["main"](*map(tvm.runtime.tensor, inputs), output)
    return output.numpy()


def assert_same_bits(computed: np.ndarray, expected: np.ndarray) -> None:
    assert computed.dtype == expected.dtype
    assert computed.tobytes() == expected.tobytes(), (computed, expected)
