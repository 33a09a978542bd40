"""Passes in C++: the sites, numbers and IR of those in Python, real TVM passes, and errors that cross."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import tvm
import tvm_ffi
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tvm import relax

from tests.passes.random_kernels import KernelWriter
from tvm_mutate.errors import UsageError
from tvm_mutate.mutant import Example, Mutant, Operator, Sites
from tvm_mutate.native import native_library
from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.passes import Applied, Selection, apply_mutations, native_mutation_pass, native_operators

pytestmark = pytest.mark.skipif(not native_library(), reason=str(native_library().obstacle))

CATALOGUE = builtin_catalogue()
OPERATORS = [CATALOGUE[name] for name in native_operators()]
EXAMPLES = [
    pytest.param(operator, example, id=f"{operator.name}-{number}")
    for operator in OPERATORS
    for number, example in enumerate(operator.examples)
]
SELECTIONS = [
    Selection.resolve(operator.mutation(variant), CATALOGUE)
    for operator in OPERATORS
    for variant in operator.all_variants()
]
GUARDED = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")):
    for i in range(16):
        if i < 8:
            B[i] = A[i]
"""


def module_of(script: str) -> tvm.IRModule:
    return tvm.IRModule({"main": tvm.script.from_source(script)})


def native(name: str) -> Any:
    return native_library().function(name)


def assert_same(module: tvm.IRModule, selections: Sequence[Selection]) -> list[Applied]:
    """What C++ makes of the module is what Python makes of it, and both say the same of it."""
    expected, report = apply_mutations(module, selections)
    told: list[Applied] = []
    mutated = native_mutation_pass(selections, told.extend)(module)
    assert told == report
    tvm.ir.assert_structural_equal(mutated, expected)
    return report


def test_the_library_has_at_least_eight_operators_with_the_parameters_of_python():
    assert len(OPERATORS) >= 8
    for operator in OPERATORS:
        mutation = operator.mutation(operator.variants[0])
        for variant in operator.all_variants():  # each says so if it lacks a parameter
            native_mutation_pass([Selection.resolve(operator.mutation(variant), CATALOGUE)])
        with pytest.raises(ValueError, match=rf"{mutation.operator} has no parameter 'nothing'"):
            native(f"pass.{operator.name}")({"nothing": 1}, "*", 0, -1)


@pytest.mark.parametrize(("operator", "example"), EXAMPLES)
def test_the_examples_of_an_operator_come_out_the_same(operator: Operator, example: Example):
    mutation = operator.mutation(example.parameters).at("*", Sites.parse(example.sites))
    selection = Selection(mutation, operator, operator.read_parameters(mutation))
    (applied,) = assert_same(module_of(example.before), [selection])
    assert applied.changed
    tvm.ir.assert_structural_equal(
        native_mutation_pass([selection])(module_of(example.before)), module_of(example.after)
    )


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 1 << 32), st.data())
def test_random_kernels_come_out_the_same_under_mutants_of_any_order(seed: int, data: st.DataObject):
    module = module_of(KernelWriter(random.Random(seed)).kernel())
    for chosen in data.draw(st.lists(st.sampled_from(SELECTIONS), min_size=1, max_size=3)):
        first, more = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 2))
        sites = data.draw(st.sampled_from([Sites(), Sites(first, first + more)]))
        others = data.draw(st.lists(st.sampled_from(SELECTIONS), max_size=2))
        placed = chosen.mutation.at(data.draw(st.sampled_from(["*", "main", "ma[hi]?", "[!m]*"])), sites)
        assert_same(module, [Selection(placed, chosen.operator, chosen.parameters), *others])


CONSTANT_STORES = [each for each in SELECTIONS if "store" in each.operator.name]
FLOATS = {
    "float16": st.floats(width=16, allow_nan=False, allow_infinity=False),
    "bfloat16": st.floats(width=16, allow_nan=False, allow_infinity=False),
    "float32": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "float64": st.floats(-3e38, 3e38),  # TVMScript takes no literals that float32 cannot hold
}
STORE = """
@T.prim_func(s_tir=True)
def main(B: T.Buffer((16,), "{dtype}")):
    for i in range(16):
        B[i] = {constant}
"""


@pytest.mark.parametrize("dtype", FLOATS)
@settings(max_examples=25)
@given(data=st.data())
def test_floating_constants_are_rounded_and_refused_as_in_python(dtype: str, data: st.DataObject):
    value = data.draw(FLOATS[dtype])
    constant = f"T.Cast('{dtype}', T.float32({value!r}))" if dtype == "bfloat16" else f"T.{dtype}({value!r})"
    module = module_of(STORE.format(dtype=dtype, constant=constant))
    assert_same(module, [data.draw(st.sampled_from(CONSTANT_STORES))])


@settings(max_examples=25)
@given(st.sampled_from(["int8", "uint8", "int32", "int64"]), st.integers(-128, 255), st.data())
def test_integers_that_a_type_cannot_hold_are_refused_as_in_python(dtype: str, value: int, data: st.DataObject):
    value = value % 128 if dtype in ("int8", "uint8") else value
    module = module_of(STORE.format(dtype=dtype, constant=f"T.{dtype}({value})").replace("B[i]", f"B[{value % 16}]"))
    assert_same(module, [data.draw(st.sampled_from(CONSTANT_STORES))])


def test_a_mutant_at_one_function_leaves_the_others_and_the_rest_of_the_module_alone():
    script = module_of(GUARDED)
    functions = dict.fromkeys(("one", "two", "three"), script["main"])
    module = tvm.IRModule(functions, attrs={"kept": 1}, global_infos={"mine": [relax.DummyGlobalInfo()]})
    selection = Selection.resolve(Mutant.parse("tir.swap-compare{from=lt,to=ge}@t[hw]*#0").mutations[0], CATALOGUE)
    report = assert_same(module, [selection])
    assert [(applied.function, applied.changed) for applied in report] == [("three", True), ("two", True)]
    mutated = native_mutation_pass([selection])(module)
    assert mutated["one"].same_as(module["one"])
    assert mutated.attrs["kept"] == 1
    assert apply_mutations(module, [selection])[0].global_infos.keys() == mutated.global_infos.keys() == {"mine"}


def test_the_native_pass_has_its_own_name_among_passes_of_tvm():
    timing = tvm.ir.instrument.PassTimingInstrument()
    make = native("pass.tir.swap-compare")
    with tvm.transform.PassContext(instruments=[timing]):
        passes = [make({"from": "lt", "to": "le"}, "*", 0, -1), tvm.tirx.transform.RemoveNoOp()]
        mutated = tvm.transform.Sequential(passes)(module_of(GUARDED))
        profile = timing.render()
    assert "tvm_mutate.native.tir.swap-compare: " in profile
    tvm.ir.assert_structural_equal(mutated["main"], module_of(GUARDED.replace("i < 8", "i <= 8"))["main"])


def test_every_selector_works_with_every_injector():
    dropped = native("pair_pass")("guard", "nothing", {}, "*", 0, -1, None)(module_of(GUARDED))
    head = GUARDED[: GUARDED.index("        if")]
    tvm.ir.assert_structural_equal(dropped, module_of(head + "        T.evaluate(0)\n"))
    assert {"guard", "comparison", "store"} <= set(map(str, native("selectors")()))
    assert {"opposite", "negated", "nothing"} <= set(map(str, native("injectors")()))


def test_selectors_and_injectors_of_others_can_be_registered_and_their_errors_arrive():
    native("register_selector")(
        "of-tests", ["prim.LT"], lambda parameters: lambda node: int(node.b) >= parameters["at"]
    )
    native("register_injector")("of-tests", lambda _parameters: lambda node: tvm.ir.prim.NE(node.a, node.b))
    native("register_operator")("tests.lt-to-ne", "of-tests", "of-tests", {"at": 0})
    make = native("pass.tests.lt-to-ne")
    tvm.ir.assert_structural_equal(make({}, "*", 0, -1)(module_of(GUARDED)), module_of(GUARDED.replace("<", "!=")))
    tvm.ir.assert_structural_equal(make({"at": 9}, "*", 0, -1)(module_of(GUARDED)), module_of(GUARDED))
    with pytest.raises(ValueError, match=r"there is a native operator tests\.lt-to-ne already"):
        native("register_operator")("tests.lt-to-ne", "of-tests", "of-tests", {})

    def fails(_parameters: object) -> Callable[[Any], Any]:
        def fail(_node: Any) -> Any:
            raise IndexError("nothing stands here")

        return fail

    native("register_injector")("failing", fails)
    with pytest.raises(IndexError, match="nothing stands here"):
        native("pair_pass")("of-tests", "failing", {"at": 0}, "*", 0, -1, None)(module_of(GUARDED))


@pytest.mark.parametrize(
    ("call", "error", "told"),
    [
        (lambda: native("mutation_pass")([("none", {}, "*", 0, -1)], None), ValueError, "no native operator none"),
        (lambda: native("pass.tir.swap-compare")({"from": "lt"}, "*", 0, -1), ValueError, "needs the parameter 'to'"),
        (
            lambda: native("pass.tir.swap-compare")({"from": "lt", "to": "xx"}, "*", 0, -1),
            ValueError,
            "the parameter 'to' does not know 'xx'",
        ),
        (lambda: native("pass.tir.loop-start")({"by": "one"}, "*", 0, -1), ValueError, "'by' is not an integer"),
        (lambda: native("pass.tir.force-condition")({"to": 3}, "*", 0, -1), ValueError, "'to' is neither true nor"),
        (lambda: native("pair_pass")("guard", "none", {}, "*", 0, -1, None), ValueError, "no native injector none"),
        (
            # A store has no condition to negate: what fails within the walk ends the pass, and not the process.
            lambda: native("pair_pass")("store", "negated", {}, "*", 0, -1, None)(module_of(GUARDED)),
            AttributeError,
            "tirx.BufferStore has no field condition",
        ),
    ],
)  # fmt: skip
def test_errors_cross_as_exceptions_of_python(call: Callable[[], object], error: type[Exception], told: str):
    with pytest.raises(error, match=told):
        call()


def test_an_operator_that_is_not_native_is_refused_by_name():
    selection = Selection.resolve(Mutant.parse("tir.flip-bit@*#*").mutations[0], CATALOGUE)
    with pytest.raises(UsageError, match=r"no operator 'tir\.flip-bit'"):
        native_mutation_pass([selection])


CALLER = """
#include <tvm/ffi/tvm_ffi.h>
namespace ffi = tvm::ffi;
ffi::ObjectRef Mutate(ffi::ObjectRef module) {
  ffi::Map<ffi::String, ffi::Any> parameters{{"from", "lt"}, {"to", "gt"}};
  auto make = ffi::Function::GetGlobalRequired("tvm_mutate.native.pass.tir.swap-compare");
  ffi::Array<ffi::ObjectRef> passes{make(parameters, "*", 0, -1).cast<ffi::ObjectRef>()};
  ffi::Any all = ffi::Function::GetGlobalRequired("transform.Sequential")(
      passes, 0, "mutated", ffi::Array<ffi::String>(), false);
  ffi::Function run = ffi::Function::GetGlobalRequired("transform.RunPass");
  return run(all, ffi::RValueRef<ffi::ObjectRef>(std::move(module))).cast<ffi::ObjectRef>();
}
TVM_FFI_DLL_EXPORT_TYPED_FUNC(mutate, Mutate)
"""


def test_cpp_code_puts_the_pass_into_a_sequential(tmp_path: Path):
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    (tmp_path / "caller.cc").write_text(CALLER)
    asked = [sys.executable, "-m", "tvm_ffi.config", "--cxxflags"]
    flags = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
    built = tmp_path / "caller.so"
    subprocess.run([compiler, "-O0", "-shared", "-fPIC", *flags, "-o", built, tmp_path / "caller.cc"], check=True)
    mutated = tvm_ffi.load_module(str(built)).mutate(module_of(GUARDED))
    tvm.ir.assert_structural_equal(mutated, module_of(GUARDED.replace("<", ">")))
