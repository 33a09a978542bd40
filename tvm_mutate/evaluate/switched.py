"""Switchable kernels in evaluation: compiled once for many mutants, and believed only where they cannot differ."""

from __future__ import annotations

import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import tvm

from tvm_mutate.device import Ending, run_isolated
from tvm_mutate.evaluate.fast_library import first_calls
from tvm_mutate.evaluate.rebuild import Run
from tvm_mutate.kernels import Kernel, Library, agrees, build_library, contracts, fast_target, user_kernel_store
from tvm_mutate.mutant import Catalogue, Category, Mutant, Slot
from tvm_mutate.native import most_sites, native_library
from tvm_mutate.passes import Selection, switchable
from tvm_mutate.pipeline import Stages
from tvm_mutate.program import KernelCall, Program

# With fewer mutants of a kernel there is little to gain (benchmarks/switchable.py).
LEAST_MUTANTS = 8
# What a mutant's own build takes, and by how many times its own run a switched one takes longer, about.
_SECONDS_A_BUILD = 0.15
_TIMES_LONGER = 1.5
# For the first input a mutated kernel runs under three patterns.
_MORE_RUNS = 2
# Compiling one takes seconds; what takes longer than this is given up.
_MOST_SECONDS = 300.0
_KEPT = 4

Values = Callable[[], Mapping[int, np.ndarray]]


@dataclass(frozen=True)
class Switched:
    """A switchable kernel for one of its mutants: the kernel's name, and the number of the site to be active."""

    name: str
    kernel: Kernel
    number: int


@dataclass(frozen=True)
class _Built:
    kernel: Kernel
    numbers: Mapping[str, int]


class SwitchableKernels:
    """The switchable kernels of one program, the last few; each is compiled when a mutant first asks for it.

    ``plain`` are the program's kernels, ``values`` calculates all values of the program for the first of so many
    ``inputs``.
    """

    def __init__(
        self,
        stages: Stages,
        program: Program,
        catalogue: Catalogue,
        plain: Mapping[str, Kernel],
        values: Values,
        inputs: int,
    ) -> None:
        self._stages, self._program, self._catalogue = stages, program, catalogue
        self._plain, self._values, self._inputs = plain, values, inputs
        self._calls = {step.kernel: step for step in first_calls(program)}
        self._exact = _rounds_as_written(stages)
        self._built: OrderedDict[str, _Built | None] = OrderedDict()

    def find(self, mutant: Mutant, companions: Sequence[str]) -> Switched | None:
        """The switchable kernel for a mutant, compiled for all of its companions; None where it is built separately.

        ``companions`` are the ids of the mutants of the same kernel that are to be evaluated.
        """
        if not self._exact or not self._is_candidate(mutant):
            return None
        name = mutant.mutations[0].function
        if name not in self._built:
            self._built[name] = self._build(name, companions)
            while len(self._built) > _KEPT:
                self._built.popitem(last=False)
        self._built.move_to_end(name)
        built = self._built[name]
        if built is None or str(mutant) not in built.numbers:
            return None
        digest = sha256(f"{self._plain[name].digest} {mutant}".encode()).hexdigest()
        return Switched(name, built.kernel.known_as(digest), built.numbers[str(mutant)])

    def _is_candidate(self, mutant: Mutant) -> bool:
        """Whether a mutant is of one site of one kernel, before that is lowered."""
        if len(mutant.mutations) != 1 or mutant.mutations[0].function not in self._calls:
            return False
        mutation = mutant.mutations[0]
        operator = self._catalogue[mutation.operator]
        slot = operator.slot_of(operator.read_parameters(mutation))
        is_single = mutation.sites.last == mutation.sites.first
        return is_single and slot is Slot.KERNEL and operator.category is not Category.CANARY

    def _build(self, name: str, companions: Sequence[str]) -> _Built | None:
        mutants = [each for each in map(Mutant.parse, companions) if self._is_candidate(each)][: most_sites()]
        if len(mutants) < LEAST_MUTANTS:
            return None
        with tempfile.TemporaryDirectory(prefix="tvm_mutate-") as folder:
            ending = run_isolated(lambda _stage: self._compiled(name, mutants, Path(folder)), _MOST_SECONDS)
            if ending.kind != "finished" or ending.value is None:
                return None
            library, numbers = ending.value
            kernel = library.load()[name]
            _ = kernel.run  # the file may go once it is mapped
        return _Built(kernel, numbers)

    def _compiled(self, name: str, mutants: Sequence[Mutant], folder: Path) -> tuple[Library, dict[str, int]] | None:
        """The library of a switchable kernel and the numbers of its mutants; None where it is not as good as none."""
        call, values = self._calls[name], self._values()
        if len(call.results) != 1 or not self._pays(call, values):
            return None
        selections = [Selection.resolve(each.mutations[0], self._catalogue) for each in mutants]
        made = switchable(self._program.kernels[name], name, selections, values_only=True)
        if len(made.numbers) < LEAST_MUTANTS:
            return None
        library = build_library({name: made.function}, self._stages.target, folder, user_kernel_store())
        kind, arguments = self._program.types[call.results[0]], [values[number] for number in call.arguments]
        if not agrees(self._plain[name].run, library.load()[name].run, arguments, kind.shape, kind.dtype):
            return None  # other bits while no site is active
        return library, {str(mutants[position]): number for position, number in made.numbers.items()}

    def _pays(self, call: KernelCall, values: Mapping[int, np.ndarray]) -> bool:
        """Whether a mutant's own build takes longer than a switched kernel takes more to run."""
        tensors = [tvm.runtime.tensor(values[number]) for number in (*call.arguments, *call.results)]
        self._plain[call.kernel].run(*tensors)  # warms the caches
        started = time.perf_counter()
        self._plain[call.kernel].run(*tensors)
        once = time.perf_counter() - started
        return once * (self._inputs + _MORE_RUNS) * _TIMES_LONGER < _SECONDS_A_BUILD


def is_conclusive(ending: Ending) -> bool:
    """Whether an evaluation with a switchable kernel says what one with the mutant's own build would.

    A fault that shows in the bits does: the mutant's code differs, and without contraction and fast-math every build
    rounds alike; NaN alone has bits that no build promises. Of a mutant that changed no bit only its own code can tell
    whether it is equivalent; and what is undefined, crashes or takes too long depends on the code around it.
    """
    run = ending.value
    if ending.kind != "finished" or not isinstance(run, Run):
        return False
    if run.proof is not None:
        return True
    return bool(run.infected) and not run.undefined and run.outputs is not None and not np.isnan(run.outputs).any()


def _rounds_as_written(stages: Stages) -> bool:
    """Whether the runtime is there, and code for the target rounds every operation by itself, whatever is around it."""
    target = stages.target
    return bool(native_library()) and fast_target(target) is not None and not contracts(target)
