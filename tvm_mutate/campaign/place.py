"""Digests of the places where mutants act: equal in every process for what is structurally the same."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import tvm
from tvm import relax
from tvm.ir import GenericConst
from tvm.tirx import PrimFunc

from tvm_mutate.mutant import Catalogue, Mutant, Slot, TirRule
from tvm_mutate.passes import Selection
from tvm_mutate.pipeline import Stages


class Places:
    """The digests of the unmutated functions of one lowered model; each is calculated once."""

    def __init__(self, stages: Stages, catalogue: Catalogue) -> None:
        self._stages, self._catalogue = stages, catalogue
        self._digests: dict[tuple[Slot, str], str] = {}
        self._matched: dict[tuple[Slot, bool, str], tuple[str, ...]] = {}

    def digest(self, mutant: Mutant) -> str:
        """SHA-256 of all functions that the mutant's mutations are for, each as its slot gets it."""
        content = hashlib.sha256()
        for mutation in mutant.mutations:
            selection = Selection.resolve(mutation, self._catalogue)
            for name in self._functions(selection):
                content.update(f"{selection.slot} {name} {self._digest(selection.slot, name)}\n".encode())
            content.update(b"+")
        return content.hexdigest()

    def _functions(self, selection: Selection) -> tuple[str, ...]:
        if selection.slot is Slot.PIPELINE:
            return tuple(self._stages.pass_sites(selection))
        on_tir = isinstance(selection.operator.rule, TirRule)
        key = (selection.slot, on_tir, selection.mutation.function)
        if key not in self._matched:
            functions = self._stages.at(selection.slot).functions.items()
            names = [each.name_hint for each, function in functions if isinstance(function, PrimFunc) == on_tir]
            self._matched[key] = tuple(sorted(name for name in names if selection.mutation.matches(name)))
        return self._matched[key]

    def _digest(self, slot: Slot, name: str) -> str:
        if (slot, name) not in self._digests:
            self._digests[slot, name] = function_digest(self._stages.at(slot)[name])
        return self._digests[slot, name]


def function_digest(function: tvm.ir.BaseFunc) -> str:
    """SHA-256 of a function: of its JSON, or of the text and the constants' bytes of one that may hold weights.

    Not TVM's structural hash, which differs from process to process for functions that refer to others; and no JSON of
    weights, which would be several times their size.
    """
    if isinstance(function, PrimFunc):
        return hashlib.sha256(tvm.ir.save_json(function).encode()).hexdigest()
    content = hashlib.sha256(function.script(show_meta=False).encode())

    def add(node: Any) -> None:
        if isinstance(node, GenericConst) and isinstance(node.value, tvm.runtime.Tensor):  # others are in the text
            array = node.value.numpy()
            content.update(f"{array.dtype}{array.shape}".encode())
            content.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)

    if isinstance(function, relax.Function):
        relax.analysis.post_order_visit(function, add)
    return content.hexdigest()
