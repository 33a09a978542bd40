"""What a mutant changes: the text of each changed function before and after, by slot."""

from __future__ import annotations

import html
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

from tvm_mutate.device import EndingKind, run_isolated
from tvm_mutate.errors import UsageError
from tvm_mutate.kernels import generated_text, host_text
from tvm_mutate.mutant import Slot
from tvm_mutate.passes import apply_mutations, apply_to_code, unified_difference
from tvm_mutate.pipeline import GeneratedCode, Selections, Stages, generate, kernels_of, pass_names, with_faults

_CONSTANT = re.compile(r'metadata\["ir\.GenericConst"\]\[(\d+)\]')
_SHOWN_ELEMENTS = 4
_CODE_SECONDS = 600.0
# LLVM's comments depend on whether the IR was read from a file.
_COMMENT = re.compile(r"^;.*\n| +; preds = .*$", re.MULTILINE)
_COLOURS = {"+": "#e6ffec", "-": "#ffebe9", "@": "#ddf4ff"}


class Difference(str):
    """The text of a unified difference; a notebook shows it with coloured lines."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        lines = (
            f'<span style="color:#1f2328;background:{_COLOURS[line[0]]}">{html.escape(line)}</span>'
            if line[:1] in _COLOURS
            else html.escape(line)
            for line in self.splitlines()
        )
        return "<pre>" + "\n".join(lines) + "</pre>"


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

    def difference(self, selections: Selections, context: int, *, code: bool) -> Difference:
        """The changes of a mutant as one text; with ``code`` also those of the generated code.

        Raises UsageError if code is wanted and the code generator refuses or dies.
        """
        lines = [line for change in self.of(selections) for line in change.differences(context)]
        texts = ["\n".join(lines) or "the TVMScript is the same"]
        if code:
            texts.append(self._code_difference(selections, context))
        return Difference("\n".join(filter(None, texts)))

    def _code_difference(self, selections: Selections, context: int) -> str:
        """The unified difference of the code for the target; for a GPU the code of the host follows.

        A mutant of generated code has no difference here, since ``of`` gives the same one, unless the change is lost in
        the machine code. Code is generated in a child process.
        """
        kind = self.stages.target.kind.name
        texts = []
        chosen: Selections
        for name, chosen in (("unmutated", {}), ("mutated", selections)):
            ending = run_isolated(lambda _stage, chosen=chosen: self._code(chosen), _CODE_SECONDS)  # type: ignore[misc]
            if ending.kind != EndingKind.FINISHED:
                raise UsageError(f"code for {kind} cannot be generated for the {name} model: {ending.reason}")
            texts.append(ending.value)
        (before, host), (after, mutated_host) = texts
        differences = [
            unified_difference(before, after, kind, context),
            unified_difference(host, mutated_host, f"{kind}/host", context),
        ]
        difference = "\n".join(filter(None, differences))
        if set(selections) == {Slot.TEXT}:
            return "" if difference else "the machine code that LLVM makes of it is the same"
        return difference or f"the code generated for {kind} is the same"

    def _code(self, selections: Selections) -> tuple[str, str]:
        """The code, and for a GPU that of the host, which alone has the numbers of blocks and threads."""
        stages, kind = self.stages, self.stages.target.kind.name
        lowered = stages.runnable(stages.mutated(selections, []), selections)
        with stages.mutated_flow(selections) as flow:
            module = generate(kernels_of(lowered), stages.target, flow)
        code = generated_text(module, kind)
        return _COMMENT.sub("", code) if kind == "llvm" else code, host_text(module, kind)

    def script(self, slot: Slot, name: str) -> str:
        """The TVMScript of an unmutated function."""
        if (slot, name) not in self._scripts:
            self._scripts[slot, name] = script_with_constants(self.stages.at(slot)[name])
        return self._scripts[slot, name]

    def _in_module(self, selections: Selections, slot: Slot) -> Iterator[Change]:
        before = self.stages.at(slot)
        after, _ = apply_mutations(before, selections[slot])
        for name in sorted(variable.name_hint for variable in after.functions):
            if not (before[name].same_as(after[name]) or tvm_ffi.structural_equal(before[name], after[name])):
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
    return _CONSTANT.sub(lambda match: _constant_name(_values(constants[int(match[1])])), script)


def _constants(function: tvm.ir.BaseFunc) -> list[GenericConst]:
    """The distinct constants in the order of their first use, in which TVM's printer numbers them."""
    found: dict[GenericConst, None] = {}

    def note(node: Any) -> None:
        if isinstance(node, GenericConst):
            found[node] = None

    if isinstance(function, relax.Function):
        relax.analysis.post_order_visit(function, note)
    return list(found)


def _values(constant: GenericConst) -> np.ndarray:
    return np.ascontiguousarray(constant.value.numpy())


def _constant_name(values: np.ndarray) -> str:
    shape = ", ".join(map(str, values.shape))
    return f"<{values.dtype}[{shape}] {xxhash.xxh3_64_hexdigest(values.tobytes())[:8]}>"


def _constant_differences(before: tvm.ir.BaseFunc, after: tvm.ir.BaseFunc) -> list[str]:
    """One line for each changed constant; none if constants were added or removed."""
    old, new = _constants(before), _constants(after)
    if [node.value.shape for node in old] != [node.value.shape for node in new]:
        return []
    pairs = [
        (_values(first), _values(second)) for first, second in zip(old, new, strict=True) if not first.same_as(second)
    ]
    return [_elements(first, second) for first, second in pairs if first.tobytes() != second.tobytes()]


def _elements(before: np.ndarray, after: np.ndarray) -> str:
    unequal = before.view(f"u{before.itemsize}") != after.view(f"u{after.itemsize}") if before.ndim else before != after
    places = np.argwhere(unequal)
    shown = ", ".join(
        f"{[int(axis) for axis in place]}: {before[tuple(place)]} -> {after[tuple(place)]}"
        for place in places[:_SHOWN_ELEMENTS]
    )
    more = ", …" if len(places) > _SHOWN_ELEMENTS else ""
    elements = f"{len(places)} of {before.size} elements differ"
    return f"{_constant_name(before)} -> {_constant_name(after)}: {elements}, {shown}{more}"
