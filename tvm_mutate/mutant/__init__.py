"""The mutant floor: operators, mutations, mutants and their ids."""

from tvm_mutate.mutant.catalogue import Catalogue
from tvm_mutate.mutant.identifier import Mutant, Mutation, Sites
from tvm_mutate.mutant.operator import (
    Example,
    FunctionRule,
    GraphRule,
    Operator,
    Parameters,
    PipelineRule,
    Rule,
    TextRule,
    TirRule,
)
from tvm_mutate.mutant.parameter import Magnitude, Parameter, Value
from tvm_mutate.mutant.vocabulary import Category, Slot

__all__ = [
    "Catalogue",
    "Category",
    "Example",
    "FunctionRule",
    "GraphRule",
    "Magnitude",
    "Mutant",
    "Mutation",
    "Operator",
    "Parameter",
    "Parameters",
    "PipelineRule",
    "Rule",
    "Sites",
    "Slot",
    "TextRule",
    "TirRule",
    "Value",
]
