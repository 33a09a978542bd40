"""Parameters of operators: their text, type and magnitude, and the mutations that an operator makes of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tvm_mutate.errors import UsageError
from tvm_mutate.mutant import Catalogue, Magnitude, Mutation, Parameter, Sites, Slot, TirRule, Value
from tvm_mutate.operators import builtin_catalogue

TO = Parameter("to", "the new comparison", choices=("lt", "le"))
OPERATOR = replace(
    builtin_catalogue()["tir.swap-compare"],
    name="tir.mine",
    slots=(Slot.KERNEL, Slot.LOWERED),
    parameters=(TO, Parameter("size", "how far", 2), Parameter("deep", "whether", False)),
    variants=({"to": "lt"},),
    more_variants=({"to": "le", "size": 3},),
    rule=TirRule((), lambda node, parameters: None),
)


@pytest.mark.parametrize(
    ("fields", "text", "value"),
    [
        ({"default": True}, "false", False),
        ({"default": False}, "true", True),
        ({"kind": bool}, "true", True),
        ({"default": 1}, "-7", -7),
        ({"default": 1.0}, "0.30000000000000004", 0.1 + 0.2),
        ({"kind": int}, "3", 3),
        ({"kind": int, "default": 0.5}, "3", 3.0),
        ({"default": "three"}, "3", "3"),
        ({}, "3", "3"),
        ({"choices": ("lt", "le")}, "le", "le"),
    ],
)
def test_a_value_is_read_in_the_type_of_the_default_or_of_the_kind(fields: dict[str, Any], text: str, value: object):
    read = Parameter("p", "", **fields).read(text, "tir.mine")
    assert read == value and type(read) is type(value)


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (False, "false"), (-7, "-7"), (0.1 + 0.2, "0.30000000000000004"), ("le", "le")]
)
def test_a_value_is_written_as_it_is_read(value: Value, text: str):
    assert Parameter.write(value) == text
    assert Parameter("p", "", value).read(text, "tir.mine") == value


@pytest.mark.parametrize(
    ("fields", "text", "message"),
    [
        ({"default": True}, "True", "tir.mine: p='True' is neither true nor false"),
        ({"default": 1}, "1.5", "tir.mine: p='1.5' is not a int"),
        ({"default": 1.0}, "much", "tir.mine: p='much' is not a float"),
        ({"choices": ("lt", "le")}, "lo", "tir.mine: p='lo' is not known"),
    ],
)
def test_a_wrong_value_is_refused_in_one_sentence(fields: dict[str, Any], text: str, message: str):
    with pytest.raises(UsageError) as refused:
        Parameter("p", "", **fields).read(text, "tir.mine")
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    ("magnitude", "size", "above", "below"),
    [
        (Magnitude(1, 8), 3, 3, -3),
        (Magnitude(1, 8, neutral=2.0), 3, 5, -1),
        (Magnitude(1, 8, factor=True), 3, 4, 0.25),
    ],
)
def test_a_size_is_a_distance_from_the_value_without_a_fault(magnitude: Magnitude, size: float, above, below):
    assert (magnitude.value(size, True), magnitude.value(size, False)) == (above, below)
    assert (magnitude.is_upwards(above), magnitude.is_upwards(below)) == (True, False)


def test_a_value_without_a_fault_and_a_factor_that_is_not_positive_have_no_size():
    assert Magnitude(1, 8).is_upwards(0) is Magnitude(1, 8, neutral=2.0).is_upwards(2) is None
    factor = Magnitude(1, 8, factor=True)
    assert factor.is_upwards(1) is factor.is_upwards(0) is factor.is_upwards(-2) is None
    assert Magnitude(1, 8).is_upwards(-2) is False
    assert factor.is_upwards(0.5) is False


def test_an_operator_with_several_slots_has_a_parameter_for_the_slot():
    assert OPERATOR.all_parameters()[:-1] == OPERATOR.parameters
    slot = OPERATOR.all_parameters()[-1]
    assert (slot.name, slot.default, slot.choices) == ("slot", "kernel", ("kernel", "lowered"))
    assert slot.description == "where in the pipeline it acts"
    assert replace(OPERATOR, slots=(Slot.KERNEL,)).all_parameters() == OPERATOR.parameters


def test_a_mutation_acts_in_the_slot_that_it_names_or_else_in_the_first():
    assert OPERATOR.slot_of({}) is Slot.KERNEL
    assert OPERATOR.slot_of({"slot": "lowered"}) is Slot.LOWERED


def test_a_mutation_has_the_parameters_that_differ_from_their_default():
    assert OPERATOR.mutation() == Mutation("tir.mine", (), "*", Sites())
    assert str(OPERATOR.mutation({"to": "le", "size": 2, "deep": True})) == "tir.mine{deep=true,to=le}@*#*"
    assert str(OPERATOR.mutation({"to": "le"}, Slot.LOWERED)) == "tir.mine{slot=lowered,to=le}@*#*"
    assert str(OPERATOR.mutation({"to": "le"}, Slot.KERNEL)) == "tir.mine{to=le}@*#*"
    one_slot = replace(OPERATOR, slots=(Slot.LOWERED,))
    assert str(one_slot.mutation({"to": "le"}, Slot.LOWERED)) == "tir.mine{to=le}@*#*"


def test_all_variants_are_the_default_ones_and_then_the_others():
    assert OPERATOR.all_variants() == ({"to": "lt"}, {"to": "le", "size": 3})


def test_the_parameters_of_a_mutation_are_read_with_their_defaults():
    read = OPERATOR.read_parameters(OPERATOR.mutation({"to": "le", "deep": True}))
    assert read == {"to": "le", "size": 2, "deep": True, "slot": "kernel"}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ((), "tir.mine needs the parameter 'to': the new comparison"),
        ((("to", "no"),), "tir.mine: to='no' is not known"),
        ((("to", "le"), ("sise", "3")), "tir.mine has no parameter 'sise'; did you mean 'size'?"),
    ],
)
def test_a_wrong_parameter_is_refused_in_one_sentence(parameters: tuple[tuple[str, str], ...], message: str):
    with pytest.raises(UsageError) as refused:
        OPERATOR.read_parameters(Mutation("tir.mine", parameters))
    assert str(refused.value).startswith(message)


def test_a_catalogue_knows_its_operators_and_keeps_the_place_of_a_mutation():
    catalogue = Catalogue([OPERATOR])
    assert "tir.mine" in catalogue and "tir.other" not in catalogue
    assert str(catalogue.parse("tir.mine{size=02,to=le}@add*#2-5")) == "tir.mine{to=le}@add*#2-5"
