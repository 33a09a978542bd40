"""Operators, mutations, mutants and their ids."""

from tvm_mutate.mutant.catalogue import ENTRY_POINT_GROUP, OPERATOR_SETS, Catalogue
from tvm_mutate.mutant.identifier import Mutant, Mutation, Sites
from tvm_mutate.mutant.operator import (
    ON_GRAPHS,
    Category,
    Example,
    FunctionRule,
    GraphRule,
    Magnitude,
    Operator,
    Parameter,
    Parameters,
    PipelineRule,
    Rule,
    Slot,
    TextRule,
    TirRule,
    Value,
)
