"""What a mutant changes: the text of each changed function before and after, by slot."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tvm
import tvm_ffi
import xxhash
from tvm import relax
from tvm.ir import GenericConst

from tvm_mutate.mutant import Slot
from tvm_mutate.passes import apply_mutations, apply_to_code, unified_difference
from tvm_mutate.pipeline import GeneratedCode, Selections, Stages, pass_names, with_faults

_CONSTANT = re.compile(r'metadata\["ir\.GenericConst"\]\[(\d+)\]')
_SHOWN_ELEMENTS = 4


@dataclass(frozen=True)
class Change:
    """A changed text: ``place`` is ``slot/function``; ``constants`` has a line for each changed constant tensor."""

    place: str
    before: str
    after: str
    constants: tuple[str, ...] = ()

    def differences(self, context: int) -> list[str]:
        """The unified difference of the texts with ``context`` unchanged lines, then the lines on constants."""
        return [unified_difference(self.before, self.after, self.place, context), *self.constants]


@dataclass
class Changes:
    """What mutants change in a model that is lowered by ``stages``; unmutated texts are made once."""

    stages: Stages
    _scripts: dict[tuple[Slot, str], str] = field(default_factory=dict)

    def of(self, selections: Selections) -> Iterator[Change]:
        """The changes of a mutant by slot: of TVMScript, of generated code, or of TVM's lists of passes."""
        for slot in selections:
            if slot is Slot.TEXT:
                yield from self._in_code(selections)
            elif slot is Slot.PIPELINE:
                yield from self._in_passes(selections)
            else:
                yield from self._in_module(selections, slot)

    def script(self, slot: Slot, name: str) -> str:
        """The TVMScript of an unmutated function."""
        if (slot, name) not in self._scripts:
            self._scripts[slot, name] = script_with_constants(self.stages.at(slot)[name])
        return self._scripts[slot, name]

    def _in_module(self, selections: Selections, slot: Slot) -> Iterator[Change]:
        before = self.stages.at(slot)
        after, _ = apply_mutations(before, selections[slot])
        for name in sorted(variable.name_hint for variable in after.functions):
            if not tvm_ffi.structural_equal(before[name], after[name]):
                constants = tuple(_constant_differences(before[name], after[name]))
                yield Change(f"{slot}/{name}", self.script(slot, name), script_with_constants(after[name]), constants)

    def _in_code(self, selections: Selections) -> Iterator[Change]:
        code = self.stages.code()
        texts = tuple(apply_to_code(text, code.kind, selections[Slot.TEXT])[0] for text in code.texts)
        before, after = code.kernels(), GeneratedCode(code.kind, texts).kernels()
        for name in sorted(before):
            if before[name] != after[name]:
                yield Change(f"{Slot.TEXT}/{name}", "\n".join(before[name]), "\n".join(after[name]))

    def _in_passes(self, selections: Selections) -> Iterator[Change]:
        for kind, lists in (("relax", self.stages.relax_passes), ("tir", self.stages.tir_passes)):
            faulty = with_faults(lists, selections[Slot.PIPELINE])
            for name in lists:
                if faulty[name] is not lists[name]:
                    before, after = ("\n".join(pass_names({name: each[name]})) for each in (lists, faulty))
                    yield Change(f"{Slot.PIPELINE}/{kind}/{name}", before, after)


def script_with_constants(function: tvm.ir.BaseFunc) -> str:
    """The TVMScript of a function; each constant tensor is named by its dtype, shape and a hash of its bytes."""
    script = str(function.script(show_meta=False))  # of a class of TVM
    if not _CONSTANT.search(script):
        return script
    constants = _constants(function)
    return _CONSTANT.sub(lambda match: _constant_name(constants[int(match[1])]), script)


def _constants(function: tvm.ir.BaseFunc) -> list[np.ndarray]:
    """The distinct constants in the order of their first use, in which TVM's printer numbers them."""
    found: list[Any] = []

    def note(node: Any) -> None:
        if isinstance(node, GenericConst) and not any(node.same_as(other) for other in found):
            found.append(node)

    if isinstance(function, relax.Function):
        relax.analysis.post_order_visit(function, note)
    return [np.ascontiguousarray(node.value.numpy()) for node in found]


def _constant_name(values: np.ndarray) -> str:
    shape = ", ".join(map(str, values.shape))
    return f"<{values.dtype}[{shape}] {xxhash.xxh3_64_hexdigest(values.tobytes())[:8]}>"


def _constant_differences(before: tvm.ir.BaseFunc, after: tvm.ir.BaseFunc) -> list[str]:
    """One line for each changed constant; none if constants were added or removed."""
    old, new = _constants(before), _constants(after)
    if [values.shape for values in old] != [values.shape for values in new]:
        return []
    pairs = [(first, second) for first, second in zip(old, new, strict=True) if first.tobytes() != second.tobytes()]
    return [_elements(first, second) for first, second in pairs]


def _elements(before: np.ndarray, after: np.ndarray) -> str:
    unequal = before.view(f"u{before.itemsize}") != after.view(f"u{after.itemsize}") if before.ndim else before != after
    places = np.argwhere(unequal)
    shown = [f"{[int(axis) for axis in place]}: {before[tuple(place)]} -> {after[tuple(place)]}" for place in places]
    more = ", …" if len(shown) > _SHOWN_ELEMENTS else ""
    elements = f"{len(places)} of {before.size} elements differ"
    return (
        f"{_constant_name(before)} -> {_constant_name(after)}: {elements}, {', '.join(shown[:_SHOWN_ELEMENTS])}{more}"
    )
