"""Has a mutant's mutations act in every build that is caught."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import tvm
from tvm import tirx

from tvm_mutate.activation.builds import Build
from tvm_mutate.activation.place import Current, Place
from tvm_mutate.mutant import Slot
from tvm_mutate.passes import Applied, Selection, apply_mutations, apply_to_code, kernel_parts, with_functions

# What gets what mutations did in a build (None: before it has a number).
Report = Callable[[Build | None, Sequence[Applied]], object]

_CONVENTION = "calling_conv"


class Mutating:
    """A catcher that applies selections in the slots ``kernel``, ``lowered`` and ``codegen``, and a pass on code.

    With ``argument_checks`` the sites of host functions are counted in TVM's checks of their arguments, too.
    """

    def __init__(
        self, selections: Mapping[Slot, Sequence[Selection]], place: Place, report: Report, argument_checks: bool
    ) -> None:
        self.current = Current()
        self._selections, self._place, self._report = selections, place, report
        self._argument_checks = argument_checks

    def kernel(self, build: Build, module: tvm.IRModule) -> tvm.IRModule:
        """The module with the mutations of the slot ``kernel``; the build is the thread's current one from now on."""
        self.current.build = build
        self._report(build, [])  # which is seen, whatever becomes of it
        return self._applied(Slot.KERNEL, build, module)

    def lowered(self, build: Build, module: tvm.IRModule) -> tvm.IRModule:
        """The module with the mutations of the slot ``lowered``."""
        return self._applied(Slot.LOWERED, build, module)

    def codegen(self, build: Build, module: tvm.IRModule) -> tvm.IRModule:
        """The module with the mutations of the slot ``codegen``."""
        self.current.build = build
        return self._applied(Slot.CODEGEN, build, module)

    def code(self, text: str, kind: str) -> str:
        """Generated code with the mutations of the slot ``text``."""
        build = self.current.build
        chosen = self._place.selections_in(build, kernel_parts(text, kind), self._selections.get(Slot.TEXT, ()))
        mutated, applied = apply_to_code(text, kind, chosen)
        self._report(build, applied)
        return mutated

    def _applied(self, slot: Slot, build: Build, module: tvm.IRModule) -> tvm.IRModule:
        if slot not in self._selections:
            return module
        names = [variable.name_hint for variable in module.functions]
        chosen = self._place.selections_in(build, names, self._selections[slot])
        apply = _apply_to_whole if self._argument_checks else apply_mutations
        mutated, applied = apply(module, chosen)
        self._report(build, applied)
        return mutated if any(each.changed for each in applied) else module


def _apply_to_whole(module: tvm.IRModule, selections: Sequence[Selection]) -> tuple[tvm.IRModule, list[Applied]]:
    """As ``apply_mutations``, with all of a function looked at: what has no calling convention has no checks."""
    conventions = {
        variable: function.attrs[_CONVENTION]
        for variable, function in module.functions.items()
        if isinstance(function, tirx.PrimFunc) and function.attrs and _CONVENTION in function.attrs
    }
    bare = {variable: module[variable].without_attr(_CONVENTION) for variable in conventions}
    mutated, applied = apply_mutations(with_functions(module, bare), selections)
    restored = {variable: mutated[variable].with_attr(_CONVENTION, kept) for variable, kept in conventions.items()}
    return with_functions(mutated, restored), applied
