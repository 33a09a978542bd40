"""Mutations as passes on IR and generated code, with proof that they were applied."""

from tvm_mutate.passes.application import (
    apply_mutations,
    count_all_sites,
    count_sites,
    find_sites,
    selections_by_slot,
    site_positions,
    take_effect_together,
)
from tvm_mutate.passes.equivalence import prove_equivalent
from tvm_mutate.passes.generated_code import (
    CODE_KINDS,
    ENTRY_PREFIX,
    LLVM_FUNCTION,
    apply_to_code,
    count_code_sites,
    find_code_sites,
    kernel_parts,
)
from tvm_mutate.passes.ir_rewriting import CALLS_RUNTIME, COMPUTE_SCOPE, with_functions
from tvm_mutate.passes.mutation_pass import (
    CodePass,
    OnApplied,
    code_pass,
    mutant_passes,
    mutation_pass,
    native_mutation_pass,
    native_operators,
    slot_passes,
)
from tvm_mutate.passes.selection import Applied, Selection, Site, unified_difference
from tvm_mutate.passes.undefined_behaviour import Accesses, OutsideAccess, find_outside, with_marked_conversions

__all__ = [
    "CALLS_RUNTIME",
    "CODE_KINDS",
    "COMPUTE_SCOPE",
    "ENTRY_PREFIX",
    "LLVM_FUNCTION",
    "Accesses",
    "Applied",
    "CodePass",
    "OnApplied",
    "OutsideAccess",
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
