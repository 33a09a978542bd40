"""Small kernels for tests: the sites of a mutant, and the output and the code of a mutated kernel."""

from __future__ import annotations

import numpy as np
import tvm

from tests.code_sites import find_code_sites
from tvm_mutate.kernels import generated_text, parse_target
from tvm_mutate.mutant import Mutant, Slot
from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.passes import Applied, Selection, Site, apply_mutations, find_sites, mutant_passes
from tvm_mutate.pipeline import Flow, generate, generated_code, lower_kernels, slotted_tir_pipeline

CATALOGUE = builtin_catalogue()
CUDA = '{"kind":"cuda","arch":"sm_80"}'
UNTOUCHED = -99  # the output before the kernel runs
INDEX = np.arange(16)


def kernel(body: str, parameters: str = 'A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")') -> str:
    """A kernel with this body, each line of it indented as in a function."""
    return f"\n@T.prim_func(s_tir=True)\ndef main({parameters}):\n{body}\n"


def storing(value: str, dtype: str = "float32") -> str:
    """A kernel that stores one value for each of 16 indices i, from two inputs A and W."""
    return statement(f"B[i] = {value}", dtype)


def statement(text: str, dtype: str = "float32") -> str:
    """A kernel that runs one statement for each of 16 indices i."""
    buffers = ", ".join(f'{name}: T.Buffer((16,), "{dtype}")' for name in "AWB")
    return kernel(f"    for i in range(16):\n        {text}", buffers)


def ramp(seed: int = 7) -> np.ndarray:
    """Distinct float32 values of both signs, none of them whole."""
    return np.random.default_rng(seed).permutation(np.linspace(-9.3, 8.7, 16)).astype("float32")


def parsed(script: str) -> tvm.IRModule:
    return tvm.IRModule({"main": tvm.script.from_source(script)})


def selection(mutant: str, slot: str = "", site: str = "*") -> Selection:
    """The selection of ``operator`` or ``operator{parameters}`` at a site, at the slot or the operator's first slot."""
    if "@" not in mutant:
        head, _, parameters = mutant.rstrip("}").partition("{")
        several = slot and len(CATALOGUE[head].slots) > 1
        given = ",".join(filter(None, [parameters, f"slot={slot}" if several else ""]))
        mutant = f"{head}{{{given}}}@*#{site}" if given else f"{head}@*#{site}"
    return Selection.resolve(CATALOGUE.parse(mutant).mutations[0], CATALOGUE)


def sites(script: str, mutant: str, target: str = "llvm") -> list[Site]:
    """The sites of ``operator`` or ``operator{parameters}`` in the kernel, at the slot of the mutation."""
    module = tvm.IRModule({"main": tvm.script.from_source(script).with_attr("global_symbol", "main")})
    chosen = selection(mutant)
    if chosen.slot is Slot.TEXT:
        generated = generated_code(module, parse_target(target))
        return [site for text in generated.texts for site in find_code_sites(text, generated.kind, chosen)]
    if chosen.slot is not Slot.KERNEL:
        module = lower_kernels(module, parse_target(target), chosen.slot)
    return find_sites(module, chosen)


def mutated(script: str, mutant: str) -> tvm.IRModule:
    """The kernel with the mutant at all sites."""
    return apply_mutations(parsed(script), [selection(mutant)])[0]


def code(script: str, mutant: str | None = None, target: str = CUDA) -> str:
    """The code of the kernel with the mutant in it."""
    chosen = parse_target(target)
    return generated_text(built(script, mutant, target=target), chosen.kind.name)


def run(
    script: str,
    mutant: str,
    *inputs: np.ndarray,
    slot: str = "",
    site: str = "*",
    target: str = "llvm",
    shape: tuple[int, ...] | None = None,
) -> np.ndarray:
    """The output of the kernel with the mutant in it; the output has the shape of the first input by default."""
    library = built(script, mutant, slot, target, site)
    output = tvm.runtime.tensor(np.full(shape or inputs[0].shape, UNTOUCHED, inputs[0].dtype))
    library["main"](*map(tvm.runtime.tensor, inputs), output)
    return output.numpy()


def built(script: str, mutant: str | None, slot: str = "", target: str = "llvm", site: str = "*") -> tvm.runtime.Module:
    """The kernel built with the mutant in it; without a mutant if the text is empty."""
    report: list[Applied] = []
    module, passes = parsed(script), {}
    if mutant:
        passes = mutant_passes(Mutant((selection(mutant, slot, site).mutation,)), CATALOGUE, report.extend)
    if Slot.KERNEL in passes:
        module = passes[Slot.KERNEL](module)
    with slotted_tir_pipeline(passes) as pipeline:
        library = generate(module, parse_target(target), Flow(mutated=pipeline))
    assert not mutant or any(applied.changed for applied in report)
    return library


def assert_same_bits(computed: np.ndarray, expected: np.ndarray) -> None:
    assert computed.dtype == expected.dtype
    assert computed.tobytes() == expected.tobytes(), (computed, expected)
