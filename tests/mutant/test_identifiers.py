"""The textual ids of mutants."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvm_mutate.errors import UsageError
from tvm_mutate.mutant import Mutant, Mutation, Sites
from tvm_mutate.operators import builtin_catalogue

names = st.from_regex(r"[a-z][a-z0-9_.-]{0,12}", fullmatch=True)
parameter_names = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
values = st.from_regex(r"[A-Za-z0-9_.+*#@-]{1,10}", fullmatch=True)
functions = st.from_regex(r"[A-Za-z_*?][A-Za-z0-9_*?]{0,12}", fullmatch=True)
ordinals = st.integers(0, 999)
sites = st.one_of(
    st.just(Sites()),
    ordinals.map(lambda first: Sites(first, first)),
    st.tuples(ordinals, ordinals).map(lambda pair: Sites(min(pair), max(pair))),
)
mutations = st.builds(
    Mutation,
    names,
    st.dictionaries(parameter_names, values, max_size=3).map(lambda given: tuple(given.items())),
    functions,
    sites,
)
mutants = st.lists(mutations, min_size=1, max_size=3).map(lambda parts: Mutant(tuple(parts)))


@given(mutants)
def test_every_mutant_is_read_back_from_its_id(mutant: Mutant):
    assert Mutant.parse(str(mutant)) == mutant


@given(mutants, mutants)
def test_two_mutants_have_one_id_only_if_they_are_equal(first: Mutant, second: Mutant):
    assert (str(first) == str(second)) == (first == second)


@given(st.text(max_size=40))
def test_any_text_is_either_an_id_or_refused_in_one_sentence(text: str):
    try:
        mutant = Mutant.parse(text)
    except UsageError as error:
        assert "\n" not in repr(str(error))
    else:
        assert Mutant.parse(str(mutant)) == mutant


def test_the_id_of_the_design_document_parses_into_its_parts():
    mutant = Mutant.parse("tir.swap-compare{from=lt,to=le}@fused_conv2d_add_relu#3")
    assert mutant.mutations == (
        Mutation("tir.swap-compare", (("from", "lt"), ("to", "le")), "fused_conv2d_add_relu", Sites(3, 3)),
    )


@pytest.mark.parametrize(
    ("mutation", "text"),
    [
        (Mutation("tir.x"), "tir.x@*#*"),
        (Mutation("tir.x", (), "add", Sites(3, 3)), "tir.x@add#3"),
        (Mutation("tir.x", (("to", "le"), ("from", "lt")), "add", Sites(2, 5)), "tir.x{from=lt,to=le}@add#2-5"),
    ],
)
def test_an_id_is_written_in_its_shortest_form(mutation: Mutation, text: str):
    assert str(mutation) == str(Mutant((mutation,))) == text
    assert str(Mutant((mutation, mutation))) == f"{text}+{text}"


def test_the_order_of_parameters_does_not_matter():
    assert Mutation("tir.x", (("to", "le"), ("from", "lt"))) == Mutation("tir.x", (("from", "lt"), ("to", "le")))


def test_a_mutation_at_another_place_keeps_its_operator_and_parameters():
    moved = Mutation("tir.x", (("to", "le"),), "add", Sites(1, 1)).at("mul", Sites(2, 3))
    assert moved == Mutation("tir.x", (("to", "le"),), "mul", Sites(2, 3))


def test_no_site_is_in_an_empty_range():
    assert not any(ordinal in Sites(0, -1) for ordinal in range(-3, 9))


def test_sites_are_all_one_or_a_range():
    assert [ordinal for ordinal in range(9) if ordinal in Sites.parse("2-5")] == [2, 3, 4, 5]
    assert [ordinal for ordinal in range(9) if ordinal in Sites.parse("3")] == [3]
    assert all(ordinal in Sites.parse("*") for ordinal in range(9))


@pytest.mark.parametrize(
    ("text", "names", "counts", "reason"),
    [
        ("tir.x@add*#2", ["add1"], {"add1": 3}, None),
        ("tir.x@add*#2", ["add1", "add2"], {"add1": 1, "add2": 3}, None),
        ("tir.x@*#*", ["add1"], {"add1": 1}, None),
        ("tir.x@mul#0", ["add", "sub"], {}, "mutant tir.x@mul#0: no function is named 'mul'; there are add, sub"),
        ("tir.x@mul#0", [], {}, "mutant tir.x@mul#0: no function is named 'mul' there"),
        (
            "tir.x@mul#0",
            [*"abcdefghijkl"],
            {},
            "mutant tir.x@mul#0: no function is named 'mul'; there are a, b, c, d, e, f, g, h, i, j, k, l",
        ),
        (
            "tir.x@mul#0",
            [*"abcdefghijklm"],
            {},
            "mutant tir.x@mul#0: no function is named 'mul'; there are a, b, c, d, e, f, g, h, i, j, k, l, …",
        ),
        ("tir.x@add#0", ["add"], {}, "mutant tir.x@add#0: tir.x has no site in 'add'"),
        ("tir.x@add#*", ["add"], {"add": 0}, "mutant tir.x@add#*: tir.x has no site in 'add'"),
        ("tir.x@add#3", ["add"], {"add": 3}, "mutant tir.x@add#3: there is no site #3; the last one is #2"),
    ],
)
def test_a_mutation_without_a_place_is_refused_with_the_places_that_exist(
    text: str, names: list[str], counts: dict[str, int], reason: str | None
):
    assert Mutant.parse(text).mutations[0].why_not_there(names, counts) == reason


def test_a_function_glob_matches_the_functions_that_it_names():
    mutation = Mutation("tir.x", (), "fused_conv2d*", Sites())
    assert mutation.matches("fused_conv2d3_add")
    assert not mutation.matches("matmul")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("tir.swap-compare", "'tir.swap-compare'"),
        ("tir.swap-compare@main", "@main"),
        ("tir.swap-compare@main#x", "#x"),
        ("tir.swap-compare@main#5-2", "5-2"),
        ("tir.x{from}@main#1", "mutant id 'tir.x{from}@main#1': 'from' is not a parameter; write name=value"),
        ("tir.x{a=lt,a=le}@main#1", "mutant id 'tir.x{a=lt,a=le}@main#1' gives the parameter 'a' twice"),
        ("a@main#1 b@main#2", "join mutations"),
        ("a@main#1+", "''"),
        ("", "''"),
    ],
)
def test_a_broken_id_is_refused_with_its_wrong_part(text: str, named: str):
    with pytest.raises(UsageError, match=re.escape(named)):
        Mutant.parse(text)


def test_the_catalogue_prints_equal_mutants_alike_whatever_spelling_was_given():
    catalogue = builtin_catalogue()
    spelt = catalogue.parse("tir.swap-compare{to=le,from=lt,slot=kernel}@*#*")
    assert str(spelt) == "tir.swap-compare{from=lt,to=le}@*#*"
    assert spelt == catalogue.parse("tir.swap-compare{from=lt,to=le}@*#*")


def test_an_unknown_operator_is_refused_with_the_nearest_name():
    with pytest.raises(UsageError, match=r"'tir.swap-compar'; did you mean 'tir.swap-compare'\?"):
        builtin_catalogue().parse("tir.swap-compar{from=lt,to=le}@*#*")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("{from=lt}", "needs the parameter 'to'"),
        ("{from=lt,to=less}", "to='less' is not known"),
        ("{from=lt,to=le,too=1}", "no parameter 'too'; did you mean 'to'"),
        ("{from=lt,to=le,slot=grap}", "slot='grap' is not known"),
    ],
)
def test_wrong_parameters_are_refused_by_name(parameters: str, message: str):
    with pytest.raises(UsageError, match=re.escape(message)):
        builtin_catalogue().parse(f"tir.swap-compare{parameters}@*#*")


def test_the_ids_of_all_variants_are_the_same_in_another_process():
    script = (
        "from tvm_mutate.operators import builtin_catalogue\n"
        "for operator in builtin_catalogue().values():\n"
        "    for variant in operator.all_variants():\n"
        "        print(operator.mutation(variant))\n"
    )
    runs = {subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout for _ in range(2)}
    assert len(runs) == 1
    ids = runs.pop().decode().split()
    assert len(ids) == len(set(ids)) > 20


@pytest.mark.parametrize(
    "text",
    [
        "x" * 100_000,
        "a{" + "b," * 50_000 + "}@m#*",
        "a@b#1+" * 16_000,
        "a@b#" + "9" * 5000,
        "a{b" + "=c" * 50_000 + "}@m#*",
    ],
    ids=["name", "parameters", "mutations", "site", "value"],
)
def test_a_long_id_that_does_not_parse_is_not_quoted_whole(text: str):
    with pytest.raises(UsageError, match=rf"… \({len(text)} characters\)") as refused:
        Mutant.parse(text)
    assert len(str(refused.value)) < 400
