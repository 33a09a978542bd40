"""Runs the examples of every registered operator: the catalogue documents and tests itself."""

from __future__ import annotations

import pytest
import tvm

from tvm_mutate.mutant import (
    Category,
    Example,
    FunctionRule,
    GraphRule,
    Operator,
    Parameter,
    PipelineRule,
    Sites,
    TextRule,
)
from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.passes import Selection, apply_mutations, apply_to_code
from tvm_mutate.pipeline import pass_names, with_faults

EXAMPLES = [
    pytest.param(operator, example, id=f"{operator.name}-{number}")
    for operator in builtin_catalogue().values()
    for number, example in enumerate(operator.examples)
]


def as_module(script: str) -> tvm.IRModule:
    parsed = tvm.script.from_source(script)
    return parsed if isinstance(parsed, tvm.IRModule) else tvm.IRModule({"main": parsed})


def selection_of(operator: Operator, example: Example) -> Selection:
    mutation = operator.mutation(example.parameters).at("*", Sites.parse(example.sites))
    return Selection(mutation, operator, operator.read_parameters(mutation))


def level_of(operator: Operator) -> str:
    if is_on_passes(operator):
        return "pipeline."
    if isinstance(operator.rule, TextRule):
        return "code."
    if isinstance(operator.rule, (GraphRule, FunctionRule)):
        return f"{operator.slots[0]}."
    return "codegen." if operator.category is Category.CODE_GENERATION else "tir."


def as_passes(names: str) -> list[tvm.transform.Pass]:
    return [tvm.transform.module_pass(lambda module, _: module, opt_level=0, name=name) for name in names.split()]


def is_on_passes(operator: Operator) -> bool:
    return isinstance(operator.rule, PipelineRule)


@pytest.mark.parametrize(("operator", "example"), [each for each in EXAMPLES if is_on_passes(each.values[0])])
def test_the_operator_turns_the_passes_before_into_the_passes_after(operator: Operator, example: Example):
    before = {"only": as_passes(example.before)}
    after = with_faults(before, [selection_of(operator, example)])
    assert pass_names(after) == example.after.split()
    assert pass_names(before) == example.before.split()


@pytest.mark.parametrize(("operator", "example"), [each for each in EXAMPLES if not is_on_passes(each.values[0])])
def test_the_operator_turns_the_example_before_into_the_example_after(operator: Operator, example: Example):
    if isinstance(operator.rule, TextRule):
        code, report = apply_to_code(example.before, example.kind, [selection_of(operator, example)])
        assert code == example.after
    else:
        mutated, report = apply_mutations(as_module(example.before), [selection_of(operator, example)])
        tvm.ir.assert_structural_equal(mutated, as_module(example.after))
    assert any(applied.changed for applied in report)


@pytest.mark.parametrize("operator", builtin_catalogue().values(), ids=lambda operator: operator.name)
def test_every_variant_of_the_operator_reads_back_from_its_id(operator: Operator):
    for variant in operator.all_variants():
        mutation = operator.mutation(variant)
        canonical = builtin_catalogue().parse(str(mutation)).mutations[0]
        assert canonical == mutation
        values = operator.read_parameters(mutation)
        assert {name: values[name] for name in variant} == dict(variant)


@pytest.mark.parametrize("operator", builtin_catalogue().values(), ids=lambda operator: operator.name)
def test_the_operator_says_what_it_does_in_one_sentence_and_documents_its_parameters(operator: Operator):
    assert 20 <= len(operator.description) <= 200
    assert "\n" not in operator.description
    assert not operator.description.endswith(".")
    parameters: tuple[Parameter, ...] = operator.parameters
    assert all(parameter.description for parameter in parameters)
    assert operator.name.startswith((level_of(operator), "canary"))
