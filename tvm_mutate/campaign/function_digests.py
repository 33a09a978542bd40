"""Digests of the functions that mutants change: equal in every process for structurally equal functions."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tvm
from tvm import relax
from tvm.ir import GenericConst
from tvm.tirx import PrimFunc

from tvm_mutate.activation import kernel_digest
from tvm_mutate.mutant import Catalogue, Mutant, Mutation, Slot, TirRule
from tvm_mutate.passes import Selection
from tvm_mutate.pipeline import Stages, comes_from_kernel

_ORDER = list(Slot)
_METADATA = re.compile(r"![0-9]+|(?<=\s)#[0-9]+")


class FunctionDigests:
    """The digests of the unmutated functions of one lowered model; each is computed once.

    If builds go through pipelines or options of the user, which may change, the digest of a function also covers what
    these make of it: the Relax function and the lowered kernel of its name.
    """

    def __init__(self, stages: Stages, catalogue: Catalogue) -> None:
        self._stages, self._catalogue = stages, catalogue
        self._digests: dict[tuple[Slot, str], str] = {}
        self._selections: dict[tuple[str, tuple[tuple[str, str], ...]], Selection] = {}
        self._parts: dict[tuple[Slot, bool, str], bytes] = {}

    def digest(self, mutant: Mutant) -> str:
        """SHA-256 of all functions that the mutations match, each as the slot of the mutation receives it."""
        return hashlib.sha256(b"".join(self._part(mutation) for mutation in mutant.mutations)).hexdigest()

    def _part(self, mutation: Mutation) -> bytes:
        """The contribution of one mutation, cached because thousands of single sites share it."""
        variant = (mutation.operator, mutation.parameters)
        if variant not in self._selections:
            self._selections[variant] = Selection.resolve(mutation, self._catalogue)
        selection = replace(self._selections[variant], mutation=mutation)
        if selection.slot is Slot.PIPELINE:
            return self._described(selection.slot, self._stages.pass_sites(selection))
        key = (selection.slot, isinstance(selection.operator.rule, TirRule), mutation.function)
        if key not in self._parts:
            matched = filter(mutation.matches, self._function_names(*key[:2]))
            self._parts[key] = self._described(selection.slot, matched)
        return self._parts[key]

    def _described(self, slot: Slot, names: Iterable[str]) -> bytes:
        lines = (f"{slot} {name} {self._digest(slot, name)} {self._made_of(slot, name)}\n" for name in sorted(names))
        return f"{''.join(lines)}+".encode()

    def _made_of(self, slot: Slot, name: str) -> str:
        flow = self._stages.flow
        if slot is Slot.TEXT:
            return ""
        later = [
            after
            for after, can_change in ((Slot.KERNEL, flow.relax_pipeline), (Slot.LOWERED, flow.tir_pipeline))
            if (can_change or flow.config) and (slot is Slot.PIPELINE or _ORDER.index(slot) < _ORDER.index(after))
        ]
        return " ".join(
            self._digest(after, each)
            for after in later
            for each in self._stages.function_names(after)
            if comes_from_kernel(each, name)
        )

    def _function_names(self, slot: Slot, on_tir: bool) -> list[str]:
        if slot is Slot.TEXT:
            return self._stages.function_names(slot)
        functions = self._stages.at(slot).functions.items()
        return [each.name_hint for each, function in functions if isinstance(function, PrimFunc) == on_tir]

    def _digest(self, slot: Slot, name: str) -> str:
        if (slot, name) not in self._digests:
            self._digests[slot, name] = (
                code_digest(self._code[name]) if slot is Slot.TEXT else function_digest(self._stages.at(slot)[name])
            )
        return self._digests[slot, name]

    @functools.cached_property
    def _code(self) -> dict[str, tuple[str, ...]]:
        return dict(self._stages.code().kernels())


def code_digest(parts: Sequence[str]) -> str:
    """SHA-256 of a kernel's generated code without LLVM's metadata numbers, which depend on the whole module."""
    return hashlib.sha256(_METADATA.sub("", "\n".join(parts)).encode()).hexdigest()


def function_digest(function: tvm.ir.BaseFunc) -> str:
    """SHA-256 of a function: of a PrimFunc as :func:`kernel_digest`, else of the text and the bytes of the constants.

    TVM's structural hash differs between processes for functions that refer to others. JSON of weights would be several
    times as large as the weights.
    """
    if isinstance(function, PrimFunc):
        return kernel_digest(function)
    content = hashlib.sha256(function.script(show_meta=False).encode())

    def add(node: Any) -> None:
        if isinstance(node, GenericConst) and isinstance(node.value, tvm.runtime.Tensor):  # the text has the rest
            array = node.value.numpy()
            content.update(f"{array.dtype}{array.shape}".encode())
            content.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)

    if isinstance(function, relax.Function):
        relax.analysis.post_order_visit(function, add)
    return content.hexdigest()
