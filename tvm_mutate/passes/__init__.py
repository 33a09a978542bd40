"""The only room that rewrites IR: mutations as TVM passes, with proof that they were applied."""

from tvm_mutate.passes.application import (
    Applied,
    apply_mutations,
    count_sites,
    find_sites,
    selections_by_slot,
)
from tvm_mutate.passes.equivalence import prove_equivalent
from tvm_mutate.passes.mutation_pass import Recorder, mutant_passes, mutation_pass
from tvm_mutate.passes.selection import Selection, Site

__all__ = [
    "Applied",
    "Recorder",
    "Selection",
    "Site",
    "apply_mutations",
    "count_sites",
    "find_sites",
    "mutant_passes",
    "mutation_pass",
    "prove_equivalent",
    "selections_by_slot",
]
