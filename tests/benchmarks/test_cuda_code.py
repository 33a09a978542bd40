"""What becomes of mutants in code for a GPU: told by a compiler that is made up, and by a real one where one is."""

from __future__ import annotations

import re

import pytest
from measuring.cuda_compiler import Compiled, cuda_compiler
from measuring.device_code import (
    COMPILE_ERROR,
    OTHER,
    OTHER_LAUNCH,
    REFUSED,
    SAME_CODE,
    SAME_MACHINE_CODE,
    SAME_PTX,
    Code,
    Compiler,
    DeviceCode,
)
from tvm.script import from_source

from tvm_mutate.errors import UsageError
from tvm_mutate.kernels import parse_target
from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.pipeline import Stages

NETWORK = """
@I.ir_module
class Module:
    @R.function
    def main(x: R.Tensor((1, 64), "float32"), w: R.Tensor((64, 10), "float32")):
        with R.dataflow():
            product: R.Tensor((1, 10), "float32") = R.matmul(x, w)
            out: R.Tensor((1, 10), "float32") = R.nn.softmax(product)
            R.output(out)
        return out
"""
CATALOGUE = builtin_catalogue()


@pytest.fixture(scope="module")
def code() -> DeviceCode:
    target = parse_target('{"kind":"cuda","arch":"sm_80"}')
    return DeviceCode(Stages(from_source(NETWORK), target), CATALOGUE)


def made_up(source: str) -> Compiled:
    """A compiler that takes no notice of comments, and whose assembler takes none of spaces either."""
    if "#error" in source:
        return Compiled(complaint="error: as asked for")
    ptx = re.sub(r"//.*", "", source)
    return Compiled(ptx, re.sub(r"\s", "", ptx).encode())


def test_only_kernels_with_sites_are_changed_in_every_slot(code: DeviceCode):
    assert set(code.kernels) == {"matmul", "softmax"}
    for mutant, changed in {
        "graph.insert-unary{at=matmul}@main#*": {"tir_exp"},
        "tir.replace-intrinsic{from=exp,to=exp2}@*#*": {"softmax"},
        "tir.drop-barrier@matmul_kernel#0": {"matmul"},
        "tir.drop-barrier@*#0": {"matmul", "softmax"},
        "code.drop-barrier@softmax_kernel#0": {"softmax"},
    }.items():
        assert set(code.changed(CATALOGUE.parse(mutant))) == changed


def test_each_difference_of_code_has_its_fate(code: DeviceCode):
    before = code.unmutated("softmax")
    assert "softmax_kernel" in before.source
    for after, fate in (
        (Code(refusal="TVM says no"), (REFUSED, "TVM says no")),
        (before, (SAME_CODE, "")),
        (Code(before.source, "another launch"), (OTHER_LAUNCH, "")),
        (Code(before.source + "// remark", before.launch), (SAME_PTX, "")),
        (Code(before.source + "// remark", "another launch"), (OTHER_LAUNCH, "")),
        (Code(before.source + " ", before.launch), (SAME_MACHINE_CODE, "")),
        (Code(before.source + "more", before.launch), (OTHER, "")),
        (Code(before.source + "#error", before.launch), (COMPILE_ERROR, "error: as asked for")),
    ):
        assert code.fate("softmax", after, Compiler(made_up)) == fate


def test_no_source_is_compiled_twice(code: DeviceCode):
    compiler = Compiler(made_up)
    for name in [*code.kernels, *code.kernels]:
        assert not compiler(code.unmutated(name).source).complaint
    assert compiler.runs == len(code.kernels)


def test_what_tvm_refuses_is_told_and_ends_nothing(code: DeviceCode):
    function = code.kernels["softmax"]
    refused = code.mutated(CATALOGUE.parse("tir.drop-barrier@*#*"), "softmax", function.with_attr("target", 3))
    assert refused.refusal and not refused.source


def test_a_real_compiler_takes_the_code_unmutated_and_with_a_barrier_less(code: DeviceCode):
    try:
        _, compile_source = cuda_compiler("sm_80")
    except UsageError as error:
        pytest.skip(str(error))
    compiler = Compiler(compile_source)
    mutant = CATALOGUE.parse("tir.drop-barrier@*#0")
    for name, function in code.changed(mutant).items():
        unmutated, mutated = (
            compiler(each.source) for each in (code.unmutated(name), code.mutated(mutant, name, function))
        )
        assert not unmutated.complaint and not mutated.complaint
        assert mutated.ptx.count("bar.sync") == unmutated.ptx.count("bar.sync") - 1
    assert compiler.runs
    assert "error" in compile_source("int f( {").complaint
