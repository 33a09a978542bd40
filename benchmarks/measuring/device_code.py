"""The code of single kernels for a GPU, unmutated and with a mutant, and what a compiler makes of the difference."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import tvm
from tvm.tirx import PrimFunc

from tvm_mutate.device import run_isolated
from tvm_mutate.kernels import generated_text, host_text, module_of
from tvm_mutate.kernels.code_text import llvm_digests
from tvm_mutate.kernels.kernels import structure
from tvm_mutate.mutant import Catalogue, Mutant, Slot
from tvm_mutate.passes import selections_by_slot
from tvm_mutate.pipeline import Selections, Stages, generate, kernels_of

from .cuda_compiler import Compile, Compiled

REFUSED = "TVM refuses"
SAME_CODE = "same code"
OTHER_LAUNCH = "other launch"  # the device code is the same, the numbers of threads and blocks are not
SAME_PTX = "same PTX"
SAME_MACHINE_CODE = "same machine code"
OTHER = "other code"
COMPILE_ERROR = "does not compile"
FATES = (REFUSED, SAME_CODE, OTHER_LAUNCH, SAME_PTX, SAME_MACHINE_CODE, OTHER, COMPILE_ERROR)

_SECONDS = 120.0
_DEVICE_FUNCTION = re.compile(r"_kernel(_\d+)?$")


@dataclass(frozen=True)
class Code:
    """A kernel's device source, and the digest of the host code that launches it; or why TVM makes none."""

    source: str = ""
    launch: str = ""
    refusal: str = ""


@dataclass
class Compiler:
    """A CUDA compiler that compiles no source twice; ``runs`` counts how often it had to."""

    compile: Compile
    runs: int = 0
    _known: dict[str, Compiled] = field(default_factory=dict)

    def __call__(self, source: str) -> Compiled:
        """What becomes of a source."""
        if source not in self._known:
            self.runs += 1
            self._known[source] = self.compile(source)
        return self._known[source]


class DeviceCode:
    """The code of a model's kernels on a GPU target, kernel by kernel; nothing of it is run."""

    def __init__(self, stages: Stages, catalogue: Catalogue) -> None:
        self.stages, self._catalogue = stages, catalogue
        self.kernels = _kernels(stages, {})
        self._structures = {structure(function) for function in self.kernels.values()}
        self._unmutated: dict[str, Code] = {}

    def unmutated(self, name: str) -> Code:
        """The code of an unmutated kernel."""
        if name not in self._unmutated:
            self._unmutated[name] = _generated(name, self.kernels[name], self.stages, {})
        return self._unmutated[name]

    def changed(self, mutant: Mutant) -> dict[str, PrimFunc]:
        """The kernels that a mutant changes or that are lowered otherwise with it, as the TIR pipeline gets them.

        Raises what TVM raises where it refuses the mutant before.
        """
        selections = selections_by_slot(mutant.mutations, self._catalogue)
        late = [each for slot in (Slot.LOWERED, Slot.CODEGEN, Slot.TEXT) for each in selections.get(slot, ())]
        names = {_DEVICE_FUNCTION.sub("", name) for each in late for name in self.stages.site_counts(each)}
        early = selections.keys() & {Slot.GRAPH, Slot.KERNEL}
        kernels = _kernels(self.stages, selections) if early else self.kernels
        return {
            name: function
            for name, function in kernels.items()
            if name in names or (early and structure(function) not in self._structures)
        }

    def mutated(self, mutant: Mutant, name: str, function: PrimFunc) -> Code:
        """The code of a kernel with a mutant in it."""
        return _generated(name, function, self.stages, selections_by_slot(mutant.mutations, self._catalogue))

    def fate(self, name: str, code: Code, compiler: Compiler) -> tuple[str, str]:
        """Which of FATES a mutated kernel has, and what TVM or the compiler complains of, if anything.

        A kernel that has no unmutated one of its name, as of a mutated graph, is other code.
        """
        if code.refusal:
            return REFUSED, code.refusal
        before = self.unmutated(name) if name in self.kernels else Code()
        launched = OTHER_LAUNCH if code.launch != before.launch else ""
        if code.source == before.source:
            return launched or SAME_CODE, ""
        after, unmutated = compiler(code.source), compiler(before.source)
        if after.complaint:
            return COMPILE_ERROR, after.complaint
        if after.ptx == unmutated.ptx:
            return launched or SAME_PTX, ""
        same = after.machine_code and after.machine_code == unmutated.machine_code
        return (launched or SAME_MACHINE_CODE) if same else OTHER, ""


def _kernels(stages: Stages, selections: Selections) -> dict[str, PrimFunc]:
    functions = kernels_of(stages.runnable(stages.mutated(selections, []), selections)).functions
    return {variable.name_hint: function for variable, function in functions.items()}


def _generated(name: str, function: PrimFunc, stages: Stages, selections: Selections) -> Code:
    """The code of one kernel, made in a child process that the code generator may end."""
    kind = stages.target.kind.name

    def make(_stage: object) -> Code:
        with stages.mutated_flow(selections) as flow:
            module: tvm.runtime.Module = generate(module_of({name: function}), stages.target, flow)
        return Code(generated_text(module, kind), llvm_digests(host_text(module, kind), [name])[name])

    ending = run_isolated(make, _SECONDS)
    return ending.value if ending.kind == "finished" else Code(refusal=ending.reason)
