"""Kernels found in generated code, and what a rewriting of their text leaves alone."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.code_sites import find_code_sites
from tvm_mutate.mutant import Category, Example, Mutation, Operator, Sites, Slot, TextRule
from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.operators.examples import generated_kernel
from tvm_mutate.passes import Selection, apply_to_code, kernel_parts

KINDS = ("llvm", "c", "cuda", "opencl")
NUMBER = Operator(
    name="code.any",
    slots=(Slot.TEXT,),
    category=Category.CODE_GENERATION,
    description="",
    rule=TextRule(
        KINDS, re.compile(r"\b[0-9]\b"), lambda match, _: {"7": None, "8": "8"}.get(match[0], f"<{match[0]}>")
    ),
    examples=(Example("", ""),),
)


def selection(sites: str, operator: Operator = NUMBER, **parameters: str) -> Selection:
    return Selection(Mutation(operator.name, (), "*", Sites.parse(sites)), operator, parameters)


@given(numbers=st.lists(st.integers(0, 9), max_size=12), first=st.integers(0, 12), extent=st.integers(0, 12))
def test_exactly_the_selected_sites_are_rewritten_and_counted_in_the_order_of_the_text(numbers, first, extent):
    lines = [f"x {number} y" for number in numbers]
    text = generated_kernel("c", *lines) + "\n// 3 of no kernel\n"
    sites = [place for place, number in enumerate(numbers) if number not in (7, 8)]
    chosen = sites[first : first + extent + 1]
    mutated, (report,) = apply_to_code(text, "c", [selection(f"{first}-{first + extent}")])
    expected = [
        f"x <{number}> y" if place in chosen else line
        for place, (number, line) in enumerate(zip(numbers, lines, strict=True))
    ]
    assert mutated == generated_kernel("c", *expected) + "\n// 3 of no kernel\n"
    assert (report.function, report.found, report.changed) == ("main", len(sites), bool(chosen))
    assert report.sites == tuple(range(first, first + len(chosen)))
    assert [site.ordinal for site in find_code_sites(text, "c", selection("*"))] == list(range(len(sites)))


@pytest.mark.parametrize(("kind", "name"), [("c", "main"), ("cuda", "main_kernel"), ("opencl", "main_kernel")])
def test_a_kernel_is_its_definition_and_not_its_declaration(kind: str, name: str):
    text = generated_kernel(kind, "a = 1;")
    declared = text.splitlines()[1].replace(" {", ";") + text
    assert kernel_parts(declared, kind) == {name: (text.strip(),)}


def test_a_kernel_of_llvm_is_the_computing_function_with_the_functions_that_only_it_calls():
    helper = "define internal void @lambda.3(ptr %A) {\n  ret void\n}\n"
    shared = "define weak float @__extendhfsf2(half %a) {\n  ret float 0.0\n}\n"
    computes = generated_kernel("llvm", "call void @lambda.3(ptr %A)", "%0 = call float @__extendhfsf2(half 0xH0000)")
    for text in (computes + helper + shared, helper + shared + computes):
        (parts,) = kernel_parts(text, "llvm").values()
        assert sorted(part.split("@")[1].split("(")[0] for part in parts) == ["lambda.3", "main_compute_"]


def test_a_kernel_inlined_into_its_entry_begins_after_the_unpacking_of_arguments():
    text = (
        "define i32 @__tvm_ffi_main(ptr %args) {\nentry:\n  %i = select i1 true, i64 24, i64 0\n"
        '  call void @llvm.assume(i1 true) [ "align"(ptr %args, i64 64) ]\n  %0 = load float, ptr %args\n}\n'
    )
    assert kernel_parts(text, "llvm") == {"main": ("  %0 = load float, ptr %args\n}",)}


def test_code_of_an_unknown_kind_has_no_kernels():
    assert kernel_parts(generated_kernel("cuda", "a = 1;"), "metal") == {}


TERMS = st.recursive(
    st.sampled_from(["A[0]", "B[(i + (j * 4))]", "x", "0x1p+0f/*1.000000e+00*/"]),
    lambda inner: st.one_of(
        st.builds("f({}, {})".format, inner, inner),
        st.builds("({} + {})".format, inner, inner),
        st.builds("g[{}]".format, inner),
    ),
    max_leaves=6,
)


@settings(max_examples=60)
@given(a=TERMS, b=TERMS, c=TERMS, product_first=st.booleans())
def test_a_multiply_add_is_found_by_its_brackets_with_any_terms_inside(a: str, b: str, c: str, product_first: bool):
    terms = [f"({a} * {b})", c] if product_first else [c, f"({a} * {b})"]
    text = generated_kernel(
        "cuda", "float sum[1];", f"sum[0] = ({terms[0]} + {terms[1]});", f"int at = ({terms[0]} + {terms[1]});"
    )
    operator = builtin_catalogue()["code.multiply-add"]
    mutated, _ = apply_to_code(text, "cuda", [selection("*", operator, to="fused")])
    assert mutated.replace(f"fmaf({a}, {b}, {c})", f"({terms[0]} + {terms[1]})", 1) == text
