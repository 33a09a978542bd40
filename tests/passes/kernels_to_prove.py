"""Kernels and mutants as the tests of proofs write them."""

from __future__ import annotations

import tvm

from tvm_mutate.mutant import Mutant
from tvm_mutate.operators import load_catalogue
from tvm_mutate.passes import Selection, prove_equivalent

CATALOGUE = load_catalogue()
HEAD = "@T.prim_func(s_tir=True)\ndef main(A: T.Buffer((64,), 'int32'), B: T.Buffer((64,), 'int32')"


def kernel(body: str, more: str = "") -> tvm.tirx.PrimFunc:
    lines = "\n".join(f"    {line}" for line in body.strip("\n").splitlines())
    return tvm.script.from_source(f"{HEAD}{more}):\n{lines}\n")


def selections(mutant: str) -> list[Selection]:
    return [Selection.resolve(mutation, CATALOGUE) for mutation in Mutant.parse(mutant).mutations]


def proof(function: tvm.tirx.PrimFunc, mutant: str) -> str | None:
    return prove_equivalent(function, "main", selections(mutant))


def swapped(before: str, after: str, site: int = 0) -> str:
    return f"tir.swap-compare{{from={before},to={after}}}@main#{site}"
