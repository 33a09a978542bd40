"""Accesses that leave their buffers, told by the index that each has at every iteration."""

from __future__ import annotations

import itertools

import pytest
import tvm
from hypothesis import given
from hypothesis import strategies as st
from tvm import tirx
from tvm.ir import prim

from tvm_mutate.passes import Accesses, find_outside

KERNEL = """
@T.prim_func(s_tir=True)
def kernel(A: T.Buffer((8, 8), "float32"), I: T.Buffer((8,), "int32"), B: T.Buffer((8, 8), "float32")):
    for i, j in T.grid({rows}, {columns}):
        with T.sblock("block"):
            vi, vj = T.axis.remap("SS", [i, j])
            {statement}
"""

LOOP = """
@T.prim_func
def kernel(A: T.Buffer((8,), "float32")):
    for i in range(8):
        A[i] = T.float32(0)
"""


def accesses(statement: str, rows: int = 8, columns: int = 8) -> Accesses:
    script = KERNEL.format(statement=statement, rows=rows, columns=columns)
    return find_outside(tvm.script.from_source(script))


def test_a_kernel_that_stays_in_its_buffers_has_no_outside_access():
    assert accesses("B[vi, vj] = A[vj, vi]") == Accesses((), others_inside=True, written=frozenset({2}))


def test_a_read_behind_a_buffer_is_found_with_its_expression_and_distance():
    (found,) = accesses("B[vi, vj] = A[vi, vj + 1]").outside
    assert (found.kind, found.expression) == ("read", "A[vi, vj + 1]")
    assert found.reached == "index 1 goes from 1 to 8 of 0 to 7; 1 accesses outside A"


def test_a_write_before_a_buffer_is_found():
    (found,) = accesses("B[vi - 1, vj] = A[vi, vj]").outside
    assert (found.kind, found.expression) == ("write", "B[vi - 1, vj]")
    assert found.reached.endswith("8 accesses outside B")


@pytest.mark.parametrize(
    ("statement", "guilty"),
    [
        ("B[vi, vj] = T.if_then_else(1 <= vi and vi < 9, A[vi - 1, vj], T.float32(0))", False),
        ("B[vi, vj] = T.if_then_else(0 <= vi and vi < 9, A[vi - 1, vj], T.float32(0))", True),
        ("B[vi, vj] = T.if_then_else(vi * 8 + vj < 56, A[vi + 1, vj], T.float32(0))", False),
        ("B[vi, vj] = T.if_then_else(vi * 8 + vj <= 56, A[vi + 1, vj], T.float32(0))", True),
        ("B[vi, vj] = A[T.min(vi + 1, 7), (vj + 5) % 8]", False),
        ("B[vi, vj] = T.Select(7 < vi, A[vi + 4, vj], A[vi, vj])", False),
        ('B[vi, vj] = A[T.Cast("int32", T.Cast("int16", vi * 64)) // 64, vj]', False),
        ('B[vi, vj] = A[T.Cast("int32", T.Cast("int8", vi * 64)) // 64, vj]', True),
    ],
)
def test_conditions_around_an_access_decide_which_iterations_reach_the_access(statement: str, guilty: bool):
    found = accesses(statement)
    assert bool(found.outside) is guilty
    assert found.others_inside


def test_an_access_that_leaves_its_row_but_not_its_buffer_is_defined():
    inside = "B[vi, vj] = T.if_then_else(vi < 7, A[vi, vj + 1], T.float32(0))"
    assert accesses(inside) == Accesses((), others_inside=True, written=frozenset({2}))


def test_an_access_that_depends_on_data_stays_undecided():
    for statement in ("A[I[vi], vj]", "T.if_then_else(0 < I[vi], A[vi + 1, vj], T.float32(0))"):
        found = accesses(f"B[vi, vj] = {statement}")
        assert (found.outside, found.others_inside, found.harm_nothing(2)) == ((), False, False)


def test_a_kernel_that_stays_in_its_buffers_and_writes_only_its_results_is_harmless():
    assert accesses("B[vi, vj] = A[vj, vi]").harm_nothing(2)


@pytest.mark.parametrize(
    "statement",
    [
        "A[vi, vj] = B[vi, vj]",
        "B[vi, vj] = A[vi, vj + 1]",
        'B[vi, vj] = T.call_extern("float32", "anything", A[vi, vj])',
        'B[vi, vj] = T.reinterpret("float32", T.Cast("int32", T.reinterpret("int64", T.address_of(A[vi, vj]))))',
        "C = T.match_buffer(B[vi, vj], ()); C[()] = A[vi, vj]",
    ],
    ids=["argument written", "outside", "call", "address", "buffer in another"],
)
def test_a_kernel_that_may_access_other_memory_is_not_called_harmless(statement: str):
    assert not accesses(statement).harm_nothing(2)


@pytest.mark.parametrize("rows", [8, 3000])
def test_an_index_with_an_intermediate_overflow_is_not_called_inside(rows: int):
    assert not accesses("B[vi * 1000000000 // 1000000000 % 8, vj] = A[0, vj]", rows).harm_nothing(2)
    assert accesses("B[vi * 1000 // 1000 % 8, vj] = A[0, vj]", rows).harm_nothing(2)


def test_an_access_to_a_buffer_with_strides_stays_undecided():
    strided = KERNEL.replace('B: T.Buffer((8, 8), "float32")', 'B: T.Buffer((8, 8), "float32", strides=(16, 1))')
    function = tvm.script.from_source(strided.format(rows=8, columns=8, statement="B[vi, vj] = A[vi, vj]"))
    assert not find_outside(function).harm_nothing(2)


def test_a_loop_variable_of_two_loops_has_its_own_range_in_each_loop():
    function = tvm.script.from_source(LOOP)
    loop = function.body
    longer = tirx.For(loop.loop_var, loop.min, prim.IntImm("int32", 9), loop.kind, loop.body)
    (found,) = find_outside(function.with_body(tirx.SeqStmt([loop, longer]))).outside
    assert (found.kind, found.reached) == ("write", "index 0 goes from 0 to 8 of 0 to 7; 1 accesses outside A")


def test_loops_with_too_many_iterations_are_examined_at_their_edges():
    (found,) = accesses("B[vi // 1000, vj // 1000] = A[vi // 1000, vj // 1000 + 1]", 8000, 8000).outside
    assert found.expression == "A[vi // 1000, vj // 1000 + 1]"


def _wrapped(number: int) -> int:
    return (number + 128) % 256 - 128


@st.composite
def _indices(draw: st.DrawFn, depth: int = 3) -> tuple[str, str]:
    """An integer expression of vi and vj in TVMScript, and the same in Python."""
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        leaf = draw(st.sampled_from(["vi", "vj", "vi", "vj", str(draw(st.integers(0, 9)))]))
        return (f"T.int32({leaf})" if leaf.isdigit() else leaf), leaf
    script, python = draw(_indices(depth - 1))
    other_script, other_python = draw(_indices(depth - 1))
    constant = draw(st.integers(1, 9))
    forms = {
        f"({script} + {other_script})": f"({python} + {other_python})",
        f"({script} - {other_script})": f"({python} - {other_python})",
        f"({script} * {constant})": f"({python} * {constant})",
        f"({script} // {constant})": f"({python} // {constant})",
        f"({script} % {constant})": f"({python} % {constant})",
        f"T.min({script}, {other_script})": f"min({python}, {other_python})",
        f'T.Cast("int32", T.Cast("int8", {script}))': f"_wrapped({python})",
    }
    form = draw(st.sampled_from(sorted(forms)))
    return form, forms[form]


@given(_indices())
def test_an_access_is_outside_exactly_where_enumeration_in_python_finds_it_outside(index: tuple[str, str]):
    script, python = index
    rows = [eval(python, {"_wrapped": _wrapped}, {"vi": i, "vj": j}) for i, j in itertools.product(range(8), range(8))]
    found = accesses(f"B[vi, vj] = A[{script}, 0]")
    assert bool(found.outside) == any(not 0 <= row < 8 for row in rows)
    assert found.others_inside
