"""The only room that rewrites IR: mutations as TVM passes, with proof that they were applied."""

from tvm_mutate.passes.application import (
    Applied,
    apply_mutations,
    count_sites,
    find_sites,
    selections_by_slot,
)
from tvm_mutate.passes.equivalence import prove_equivalent
from tvm_mutate.passes.mutation_pass import mutant_passes, mutation_pass
from tvm_mutate.passes.native_pass import native_mutation_pass, native_operators
from tvm_mutate.passes.prologue import CALLS_RUNTIME
from tvm_mutate.passes.selection import Selection, Site
from tvm_mutate.passes.switch import Switchable, switchable

__all__ = [
    "CALLS_RUNTIME",
    "Applied",
    "Selection",
    "Site",
    "Switchable",
    "apply_mutations",
    "count_sites",
    "find_sites",
    "mutant_passes",
    "mutation_pass",
    "native_mutation_pass",
    "native_operators",
    "prove_equivalent",
    "selections_by_slot",
    "switchable",
]
