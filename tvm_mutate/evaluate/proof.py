"""Static equivalence: mutants that a proof settles before anything is compiled."""

from __future__ import annotations

from collections.abc import Sequence

from tvm.tirx import PrimFunc

from tvm_mutate.mutant import Slot
from tvm_mutate.passes import Applied, prove_equivalent
from tvm_mutate.pipeline import Selections, Stages


def proof_of(stages: Stages, selections: Selections, applied: Sequence[Applied]) -> str | None:
    """The proof that mutations in the slot ``kernel`` change nothing that is computed, as a sentence; None without one.

    ``applied`` is what the mutations did: where nothing changed, there is nothing to prove.
    """
    if set(selections) != {Slot.KERNEL}:
        return None
    changed = dict.fromkeys(each.function for each in applied if each.changed)
    module = stages.at(Slot.KERNEL)
    proofs = [_proof(module[name], name, selections) for name in changed]
    if not proofs or any(proof is None for proof in proofs):
        return None
    return proofs[0]


def _proof(function: object, name: str, selections: Selections) -> str | None:
    matching = [each for each in selections[Slot.KERNEL] if each.mutation.matches(name)]
    return prove_equivalent(function, name, matching) if isinstance(function, PrimFunc) else None
