"""Operators in the codegen slot: what mutated kernels compute, and the generated code."""

from __future__ import annotations

import numpy as np
import pytest
from mutated_kernels import CUDA, code, kernel, run, sites

ANGLES = np.linspace(0.25, 3.0, 16, dtype="float32")


def elementwise(value: str, types: tuple[str, str] = ("float32", "float32")) -> str:
    parameters = f'A: T.Buffer((16,), "{types[0]}"), B: T.Buffer((16,), "{types[1]}")'
    return kernel(f"    for i in range(16):\n        B[i] = {value}", parameters)


@pytest.mark.parametrize(
    ("function", "parameters", "expected"),
    [
        ("exp", "{from=exp,to=exp2}", np.exp2),
        ("sqrt", "{from=sqrt,to=fabs}", np.abs),
        ("log", "{from=log,to=log10}", np.log10),
        ("sin", "{from=sin,to=cos}", np.cos),
    ],
)
def test_another_function_of_llvm_is_called(function: str, parameters: str, expected):
    found = run(elementwise(f"T.{function}(A[i])"), f"codegen.replace-function{parameters}", ANGLES)
    assert np.allclose(found, expected(ANGLES), rtol=1e-5)


def test_another_function_of_a_library_is_called_by_its_name_there():
    script = elementwise("T.exp(A[i]) + T.sqrt(A[0])")
    mutant = "codegen.replace-function{from=exp,to=exp2}"
    assert "exp2f(A[i]) + sqrtf(A[0])" in code(script, mutant, "c")
    assert [site.after for site in sites(script, mutant, "c")] == ['T.call_pure_extern("float32", "exp2f", A[i])']


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("round", [1, -1, 2, 3, -3]),
        ("trunc", [0, 0, 1, 2, -2]),
        ("floor", [0, -1, 1, 2, -3]),
        ("ceil", [1, 0, 2, 3, -2]),
    ],
)
def test_ties_and_signs_are_rounded_as_the_other_rounding_does(to: str, expected: list[int]):
    data = np.array([0.5, -0.5, 1.5, 2.5, -2.5] + [0.0] * 11, dtype="float32")
    found = run(elementwise("T.round(A[i])"), f"codegen.replace-rounding{{to={to}}}", data)
    assert found[:5].tolist() == expected
    assert np.round(data[:5]).tolist() == [0, 0, 2, 2, -2]


def test_roundings_of_ties_to_even_are_no_sites_for_each_other():
    assert sites(elementwise("T.round(A[i])"), "codegen.replace-rounding{to=rint}") == []
    assert len(sites(elementwise("T.round(A[i])"), "codegen.replace-rounding{to=ceil}")) == 1


def test_a_multiply_add_is_rounded_once_where_it_is_fused_and_twice_where_it_is_not():
    script = elementwise("A[i] * A[i] + T.float32(-1)")
    data = (1 + np.arange(16) * 2.0**-13).astype("float32")
    twice = (data * data).astype("float32") - np.float32(1)
    once = (data.astype("float64") * data - 1).astype("float32")
    assert (twice != once).any()
    assert run(script, "codegen.multiply-add{to=fused}", data).tolist() == once.tolist()
    assert run(script, "codegen.multiply-add{to=separate}", data).tolist() == twice.tolist()


def test_an_integer_keeps_its_bits_in_place_of_its_value():
    script = elementwise('T.Cast("float32", A[i])', ("int32", "float32"))
    assert "*(float *)(&(" in code(script, "codegen.keep-bits", "c")
    assert sites(elementwise('T.Cast("float64", A[i])', ("int32", "float64")), "codegen.keep-bits") == []


def test_lanes_of_a_vector_come_backwards_or_from_farther_apart():
    body = (
        "    for i in range(4):\n        for j in T.vectorized(4):\n"
        "            B[i * 4 + j] = A[i * 4 + j] + T.float32(1)"
    )
    data = np.arange(16, dtype="float32")
    places = [site.before for site in sites(kernel(body), "codegen.vector-lanes{to=reversed}")]
    assert len(places) == 2
    found = run(kernel(body), "codegen.vector-lanes{to=reversed}@main#0", data)
    assert found.tolist() == (data.reshape(4, 4)[:, ::-1] + 1).reshape(-1).tolist()
    at_once = run(kernel(body), "codegen.vector-lanes{to=reversed}@main#*", data)
    assert at_once.tolist() == (data + 1).tolist()


def test_vector_loads_of_cuda_kernels_are_sites_too():
    script = kernel(
        '    for t in T.thread_binding(4, thread="threadIdx.x"):\n        for j in T.vectorized(4):\n'
        '            with T.sblock("copy"):\n                v = T.axis.spatial(16, t * 4 + j)\n'
        "                B[v] = A[v]"
    )
    assert len(sites(script, "codegen.vector-lanes{to=spread}", CUDA)) == 2
    assert code(script, "codegen.vector-lanes{to=spread}@*#0") != code(script)
