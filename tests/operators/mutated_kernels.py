"""Kernels for tests: where a mutant has sites in one, and what it computes or which code it becomes with the mutant."""

from __future__ import annotations

import numpy as np
import tvm

from tvm_mutate.kernels import generate, generated_text, parse_target
from tvm_mutate.mutant import Slot
from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.passes import Applied, Selection, Site, find_code_sites, find_sites, mutant_passes
from tvm_mutate.pipeline import generated_code, lower_kernels, slotted_tir_pipeline

CATALOGUE = builtin_catalogue()
CUDA = '{"kind":"cuda","arch":"sm_80"}'
UNTOUCHED = -99  # what the output holds before the kernel runs


def kernel(body: str, parameters: str = 'A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")') -> str:
    """A kernel with this body, each line of it indented as in a function."""
    return f"\n@T.prim_func(s_tir=True)\ndef main({parameters}):\n{body}\n"


def sites(script: str, mutant: str, target: str = "llvm") -> list[Site]:
    """The sites of ``operator`` or ``operator{parameters}`` in the kernel, at the slot of the mutation."""
    module = tvm.IRModule({"main": tvm.script.from_source(script).with_attr("global_symbol", "main")})
    selection = Selection.resolve(CATALOGUE.parse(f"{mutant}@*#*").mutations[0], CATALOGUE)
    if selection.slot is Slot.TEXT:
        generated = generated_code(module, parse_target(target))
        return [site for text in generated.texts for site in find_code_sites(text, generated.kind, selection)]
    if selection.slot is not Slot.KERNEL:
        module = lower_kernels(module, parse_target(target), selection.slot)
    return find_sites(module, selection)


def code(script: str, mutant: str | None = None, target: str = CUDA) -> str:
    """The code of the kernel with the mutant in it."""
    module = tvm.IRModule({"main": tvm.script.from_source(script)})
    chosen = parse_target(target)
    return generated_text(_built(module, mutant, chosen), chosen.kind.name)


def run(script: str, mutant: str, data: np.ndarray, shape: tuple[int, ...] = (16,)) -> np.ndarray:
    """What the kernel computes on the CPU with the mutant in it."""
    module = tvm.IRModule({"main": tvm.script.from_source(script)})
    output = tvm.runtime.tensor(np.full(shape, UNTOUCHED, data.dtype))
    _built(module, mutant, parse_target("llvm"))["main"](tvm.runtime.tensor(data), output)
    return output.numpy()


def _built(module: tvm.IRModule, mutant: str | None, target: tvm.target.Target) -> tvm.runtime.Module:
    report: list[Applied] = []
    identifier = mutant and (mutant if "@" in mutant else f"{mutant}@*#*")
    passes = mutant_passes(CATALOGUE.parse(identifier), CATALOGUE, report.extend) if identifier else {}
    if Slot.KERNEL in passes:
        module = passes[Slot.KERNEL](module)
    with slotted_tir_pipeline(passes) as pipeline:
        built = generate(module, target, pipeline)
    assert any(applied.changed for applied in report) or mutant is None
    return built


# A reduction over a warp, which becomes shuffles, and atomic updates.
SUM = kernel(
    """
    for k in T.thread_binding(32, thread="threadIdx.x"):
        with T.sblock("sum"):
            vk = T.axis.reduce(32, k)
            with T.init():
                B[0] = T.float32(0)
            B[0] = B[0] + A[vk]
""",
    'A: T.Buffer((32,), "float32"), B: T.Buffer((1,), "float32")',
)
COUNT = kernel("""
    for t in T.thread_binding(16, thread="threadIdx.x"):
        with T.sblock("count"):
            vt = T.axis.spatial(16, t)
            T.reads(A[vt], B[vt // 4])
            T.writes(B[vt // 4])
            T.evaluate(T.cuda.atomic_add(T.address_of(B[vt // 4]), A[vt]))
""")
