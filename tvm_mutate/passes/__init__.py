"""The only room that rewrites IR and generated code: mutations as passes, with proof that they were applied."""

from tvm_mutate.passes.application import (
    Applied,
    apply_mutations,
    count_all_sites,
    count_sites,
    find_sites,
    selections_by_slot,
    site_positions,
    take_effect_together,
)
from tvm_mutate.passes.code_pass import (
    CodePass,
    apply_to_code,
    code_pass,
    count_code_sites,
    find_code_sites,
    mutant_passes,
    slot_passes,
)
from tvm_mutate.passes.conversions import with_marked_conversions
from tvm_mutate.passes.difference import unified_difference
from tvm_mutate.passes.equivalence import prove_equivalent
from tvm_mutate.passes.generated_code import CODE_KINDS, ENTRY_PREFIX, LLVM_FUNCTION, kernel_parts
from tvm_mutate.passes.modules import with_functions
from tvm_mutate.passes.mutation_pass import Recorder, mutation_pass
from tvm_mutate.passes.native_pass import native_mutation_pass, native_operators
from tvm_mutate.passes.outside import Accesses, OutsideAccess, find_outside
from tvm_mutate.passes.prologue import CALLS_RUNTIME
from tvm_mutate.passes.selection import Selection, Site
from tvm_mutate.passes.tir_rewriter import COMPUTE_SCOPE

__all__ = [
    "CALLS_RUNTIME",
    "CODE_KINDS",
    "COMPUTE_SCOPE",
    "ENTRY_PREFIX",
    "LLVM_FUNCTION",
    "Accesses",
    "Applied",
    "CodePass",
    "OutsideAccess",
    "Recorder",
    "Selection",
    "Site",
    "apply_mutations",
    "apply_to_code",
    "code_pass",
    "count_all_sites",
    "count_code_sites",
    "count_sites",
    "find_code_sites",
    "find_outside",
    "find_sites",
    "kernel_parts",
    "mutant_passes",
    "mutation_pass",
    "native_mutation_pass",
    "native_operators",
    "prove_equivalent",
    "selections_by_slot",
    "site_positions",
    "slot_passes",
    "take_effect_together",
    "unified_difference",
    "with_functions",
    "with_marked_conversions",
]
