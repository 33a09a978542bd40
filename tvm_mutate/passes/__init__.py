"""Mutations as passes on IR and generated code, with proof that they were applied."""

from tvm_mutate.passes.application import (
    apply_mutations,
    count_all_sites,
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
