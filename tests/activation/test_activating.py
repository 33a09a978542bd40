"""A mutant acts in the builds that someone else starts, and says in which."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from tvm import relax, tirx
from tvm.target import Target

from tests.activation.conftest import doubling
from tvm_mutate.activation import activate, kernel_digest
from tvm_mutate.errors import UsageError


def values(module: tvm.IRModule, target: str = "llvm", name: str = "main") -> np.ndarray:
    """What a kernel of ``x * 2 + 1`` makes of 0, 1, 2, ..."""
    library = tvm.compile(module, target=target)
    size = int(module[name].params[0].ty.shape[0])
    given = tvm.runtime.tensor(np.arange(size, dtype="float32"))
    result = tvm.runtime.tensor(np.full(size, -1, "float32"))
    library[name](given, result)
    return result.numpy()


RIGHT = np.arange(16) * 2.0 + 1.0
DROPPED = np.full(16, -1.0)


@pytest.mark.parametrize(
    "mutant",
    [
        "tir.drop-store@ma?n#*",
        "tir.drop-store{slot=lowered}@*#*",
        "tir.drop-store{slot=codegen}@main#0",
    ],
)
def test_a_mutant_acts_in_its_slot_and_only_within_the_context(kernels, mutant):
    with activate(mutant) as activation:
        assert (values(kernels) == DROPPED).all()
    assert (values(kernels) == RIGHT).all()
    assert (activation.builds, activation.seen) == (1, 1)
    assert [(each.function, each.sites, each.changed) for each in activation.applied] == [("main", (0,), True)]
    assert "was applied (builds changed: 1 of 1)" in activation.say()


def test_a_mutant_without_a_site_says_that_it_was_never_applied(kernels):
    with activate("tir.drop-store@other#*") as activation:
        assert (values(kernels) == RIGHT).all()
    assert (activation.builds, activation.seen, activation.applied) == (0, 1, [])
    assert "was NEVER applied (builds changed: 0 of 1)" in activation.say()


@pytest.mark.parametrize(
    "mutant", ["tir.offset-store@*#*", "tir.drop-store{slot=lowered}@*#*", "tir.drop-store{slot=codegen}@*#*"]
)
def test_only_the_kernel_with_the_digest_is_mutated(kernels, mutant):
    bound = tirx.transform.BindTarget(Target("llvm", host="llvm"))
    digest = kernel_digest(bound(doubling(size=8))["main"])
    with activate(mutant, kernel=digest) as activation:
        assert (values(kernels) == RIGHT).all()
        assert (values(doubling(size=8)) != RIGHT[:8]).all()
    assert (activation.builds, activation.seen) == (1, 2)


def test_only_the_build_with_the_number_is_mutated(kernels):
    with activate("tir.drop-store@*#*", build=1) as activation:
        built = [values(kernels) for _ in range(3)]
    assert [(each == RIGHT).all() for each in built] == [True, False, True]
    assert (activation.builds, activation.seen) == (1, 3)


def test_only_what_the_kernel_computes_is_mutated_unless_the_argument_checks_are_asked_for(kernels):
    mutant = "tir.negate-condition{slot=lowered}@*#*"
    with activate(mutant) as activation:
        assert (values(kernels) == RIGHT).all()
    assert not activation.applied
    given = "tir.swap-compare{from=eq,to=ne,slot=lowered}@*#*"
    with activate(given) as activation:
        assert (values(kernels) == RIGHT).all()
    assert not activation.applied
    with activate(given, argument_checks=True) as activation, pytest.raises(Exception, match="main"):
        values(kernels)
    assert activation.applied


def test_generated_code_is_mutated(kernels):
    with activate("code.multiply-add{to=fused}@main#*") as activation:
        mutated = tvm.compile(kernels, target="c").mod.inspect_source("c")
    assert mutated != tvm.compile(kernels, target="c").mod.inspect_source("c")
    assert activation.builds == 1


def network() -> tvm.IRModule:
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((1, 4), "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            result = builder.emit_output(builder.emit(relax.op.nn.relu(x)))
        builder.emit_func_output(result)
    return builder.get()


def outputs(executable) -> np.ndarray:
    given = tvm.runtime.tensor(np.array([[-2, -1, 1, 2]], "float32"))
    return relax.VirtualMachine(executable, tvm.cpu())["main"](given).numpy()


GRAPH = "graph.replace-activation{to=sigmoid}@*#*"


def test_a_graph_is_mutated_once_before_the_first_pipeline_of_tvms(kernels):
    with activate(GRAPH) as activation:
        zero = relax.get_pipeline("zero")(network())
        mutated = outputs(tvm.compile(zero, target="llvm"))
    assert (outputs(tvm.compile(network(), target="llvm")) == [[0, 0, 1, 2]]).all()
    np.testing.assert_allclose(mutated, 1 / (1 + np.exp([[2, 1, -1, -2]])), rtol=1e-5)
    assert (activation.relax_pipelines, activation.relax_seen) == (1, 2)


def test_the_default_pipeline_of_a_target_is_caught(kernels):
    target = Target("llvm")
    with activate(GRAPH) as activation, target:
        relax.get_default_pipeline(target)(network())
        relax.backend.cpu_generic.get_default_pipeline(target)(network())
    assert (activation.relax_pipelines, activation.relax_seen) == (2, 2)


def test_a_pipeline_of_the_users_own_is_not_seen_and_the_activation_says_so():
    own = tvm.transform.Sequential([relax.transform.LegalizeOps()])
    with activate(GRAPH) as activation:
        own(network())
    assert "NEVER applied; a Relax pipeline that the user puts together is not seen" in activation.say()


def test_a_fault_in_the_list_of_passes_is_in_pipelines_that_are_looked_up(kernels):
    skipped = "pipeline.skip-pass{pass=tirx.UnrollLoop}@*#*"
    schedule = tvm.s_tir.Schedule(kernels)
    (loop,) = schedule.get_loops(schedule.get_sblock("B"))
    schedule.unroll(loop)
    with activate(skipped) as activation:
        rolled = tvm.compile(schedule.mod, target="c").mod.inspect_source("c")
        values(kernels)  # which has no such loop: the pass does nothing there
    assert rolled != tvm.compile(schedule.mod, target="c").mod.inspect_source("c")
    assert (activation.builds, activation.seen) == (1, 2)


@pytest.mark.parametrize(
    ("mutant", "place", "part"),
    [
        ("tir.drop-stor@*#*", {}, "did you mean 'tir.drop-store'"),
        ("tir.drop-store", {}, "does not parse"),
        (GRAPH, {"build": 1}, "before there are kernels and builds"),
    ],
)
def test_an_activation_that_is_not_possible_is_refused_in_one_sentence(mutant, place, part):
    with pytest.raises(UsageError, match=part), activate(mutant, **place):
        pass
