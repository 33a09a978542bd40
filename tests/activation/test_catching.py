"""Every build of a process is caught, whoever starts it and however, and nothing is left of the catching."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field

import numpy as np
import pytest
import tvm
import tvm_ffi
from tvm import relax, tirx
from tvm.target import Target
from tvm.tirx import compilation_pipeline

from tests.activation.conftest import doubling
from tvm_mutate.activation import Build, caught_builds, kernel_digest
from tvm_mutate.mutant import Slot


@dataclass
class Recording:
    seen: list[tuple[str, int, list[str]]] = field(default_factory=list)
    builds: list[Build] = field(default_factory=list)

    def __call__(self, slot: Slot, build: Build, module: tvm.IRModule) -> tvm.IRModule:
        self.builds += [build] if slot is Slot.KERNEL else []
        self.seen.append((str(slot), build.number, sorted(each.name_hint for each in module.functions)))
        return module


def stages(recording: Recording) -> list[str]:
    return [stage for stage, _, _ in recording.seen]


ALL = ["kernel", "lowered", "codegen"]


def test_a_build_is_seen_at_each_of_its_three_stages(kernels):
    recording = Recording()
    with caught_builds(recording):
        tvm.compile(kernels, target="llvm")
        tirx.build(kernels, target="llvm")
        tirx.build(kernels, target="c", pipeline=None)
        tvm.get_global_func("tirx.build")(kernels, Target("llvm"))
    assert stages(recording) == ALL * 4
    assert [number for _, number, _ in recording.seen] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert [Target(build.target).kind.name for build in recording.builds] == ["llvm", "llvm", "c", "llvm"]


def test_builds_of_constant_folding_are_caught():
    builder = relax.BlockBuilder()
    with builder.function("main", [x := relax.Var("x", relax.TensorType((4,), "float32"))]):
        weights = relax.const(np.arange(4, dtype="float32"))
        builder.emit_func_output(builder.emit(relax.op.add(x, builder.emit(relax.op.exp(weights)))))
    legal = relax.transform.LegalizeOps()(builder.get())
    recording = Recording()
    with caught_builds(recording):
        relax.transform.FoldConstant()(legal)
    assert stages(recording) == ALL
    assert list(recording.builds[0].digests) == ["tir_function"]


def test_pipelines_that_are_taken_directly_are_caught_at_every_run(kernels):
    recording = Recording()
    bound = tirx.transform.BindTarget(Target("llvm", host="llvm"))(kernels)
    with caught_builds(recording):
        body, finalize_host, _ = tirx.get_default_tir_pipeline(Target("llvm"))
        for _ in range(2):
            tvm.get_global_func("target.build.llvm")(finalize_host()(body(bound)), Target("llvm"))
    assert stages(recording) == ALL * 2
    assert [build.number for build in recording.builds] == [0, 1]


def test_pipelines_that_are_registered_later_are_caught_and_stay(kernels):
    recording = Recording()
    name = "tests.registered_later"
    with caught_builds(recording):
        tirx.register_tir_pipeline(name, compilation_pipeline.tirx_pipeline)
        tirx.build(tirx.transform.StmtSimplify()(flat(kernels)), target="llvm", pipeline=name)
    assert stages(recording) == ALL
    assert compilation_pipeline.PIPELINE_MAP.pop(name) is compilation_pipeline.tirx_pipeline


def test_a_pipeline_that_is_made_of_another_is_one_build(kernels):
    def looked_up_when_made():
        return tirx.get_tir_pipeline("s_tir")

    def looked_up_when_run():
        @tvm.transform.module_pass(opt_level=0)
        def body(module, _context):
            return tirx.get_tir_pipeline("s_tir")[0](module)

        return body, *tirx.get_tir_pipeline("s_tir")[1:]

    recording = Recording()
    with caught_builds(recording):
        for factory in (looked_up_when_made, looked_up_when_run):
            tirx.register_tir_pipeline("tests.of_another", factory)
            tirx.build(kernels, target="llvm", pipeline="tests.of_another")
    assert stages(recording) == ALL * 2
    assert compilation_pipeline.PIPELINE_MAP.pop("tests.of_another") is looked_up_when_run


def flat(kernels: tvm.IRModule) -> tvm.IRModule:
    return tvm.transform.Sequential(
        [tvm.s_tir.transform.ConvertBlocksToOpaque(), tvm.s_tir.transform.LowerOpaqueBlock()]
    )(kernels)


def test_a_pipeline_in_a_sequence_of_the_users_is_caught(kernels):
    recording = Recording()
    bound = tirx.transform.BindTarget(Target("llvm", host="llvm"))(kernels)
    with caught_builds(recording):
        body, _, _ = tirx.get_tir_pipeline("s_tir")
        caught = tvm.transform.Sequential([tirx.transform.StmtSimplify(), body])(bound)
    assert stages(recording) == ["kernel", "lowered"]
    tvm.ir.assert_structural_equal(
        caught, tvm.transform.Sequential([tirx.transform.StmtSimplify(), tirx.get_tir_pipeline("s_tir")[0]])(bound)
    )


def finished(kernels: tvm.IRModule) -> tvm.IRModule:
    body, finalize_host, _ = tirx.get_tir_pipeline("s_tir")
    return finalize_host()(body(tirx.transform.BindTarget(Target("llvm", host="llvm"))(kernels)))


def test_a_module_that_has_seen_no_pipeline_is_caught_before_its_code_is_generated(kernels):
    module, recording = finished(kernels), Recording()
    with caught_builds(recording):
        for _ in range(2):
            tvm.get_global_func("target.build.llvm")(module, Target("llvm"))
    assert stages(recording) == ALL * 2


def test_a_module_is_caught_once_if_its_asserts_are_dropped_after_its_pipeline(kernels):
    recording = Recording()
    with caught_builds(recording), tvm.transform.PassContext(config={"tirx.disable_assert": True}):
        tirx.build(kernels, target="llvm")
    assert stages(recording) == ALL


def test_a_module_that_is_generated_twice_is_caught_once(kernels):
    recording = Recording()
    with caught_builds(recording):
        module = finished(kernels)
        for _ in range(2):
            tvm.get_global_func("target.build.llvm")(module, Target("llvm"))
    assert stages(recording) == ALL


def test_host_and_device_functions_belong_to_one_build():
    module = doubling()
    schedule = tvm.s_tir.Schedule(module)
    (loop,) = schedule.get_loops(schedule.get_sblock("B"))
    schedule.bind(loop, "threadIdx.x")
    recording = Recording()
    with caught_builds(recording):
        tirx.build(schedule.mod, target=Target({"kind": "opencl"}, host="llvm"))
    assert recording.seen == [
        ("kernel", 0, ["main"]),
        ("lowered", 0, ["main", "main_kernel"]),
        ("codegen", 0, ["main"]),
        ("codegen", 0, ["main_kernel"]),
    ]


def test_what_the_hook_returns_is_what_is_built(kernels):
    def tripled(slot: Slot, _build: Build, module: tvm.IRModule) -> tvm.IRModule:
        if slot is not Slot.KERNEL:
            return module
        three = [(tirx.FloatImm, lambda node: tirx.FloatImm("float32", 3.0))]
        return tvm.IRModule({"main": tvm_ffi.structural_map(module["main"], three)})

    given, result = (tvm.runtime.tensor(np.ones(16, "float32")) for _ in range(2))
    with caught_builds(tripled):
        tvm.compile(kernels, target="llvm")(given, result)
    assert (result.numpy() == 6).all()


def test_contexts_nest_and_both_hooks_see_every_build(kernels):
    outer, inner = Recording(), Recording()
    with caught_builds(outer):
        with caught_builds(inner):
            tirx.build(kernels, target="llvm")
        tirx.build(kernels, target="llvm")
    assert stages(outer) == ALL * 2
    assert stages(inner) == ALL


def test_a_pass_instrument_sees_the_same_passes_as_without(kernels):
    @tvm.instrument.pass_instrument
    class Names:
        def __init__(self) -> None:
            self.names: list[str] = []

        def run_before_pass(self, _module, info):
            self.names.append(info.name)

    without, within = Names(), Names()
    with tvm.transform.PassContext(instruments=[without]):
        body, _, _ = tirx.get_tir_pipeline("s_tir")
        body(tirx.transform.BindTarget(Target("llvm", host="llvm"))(kernels))
    with caught_builds(Recording()), tvm.transform.PassContext(instruments=[within]):
        body, _, _ = tirx.get_tir_pipeline("s_tir")
        body(tirx.transform.BindTarget(Target("llvm", host="llvm"))(kernels))
    assert "tirx.MakePackedAPI" in without.names
    assert within.names == without.names


def test_afterwards_every_object_is_restored(kernels):
    generators = [name for name in tvm_ffi.registry.list_global_func_names() if name.startswith("target.build.")]
    before = {name: tvm.get_global_func(name) for name in generators}
    pipelines = compilation_pipeline.PIPELINE_MAP
    factories = dict(pipelines)
    recording = Recording()
    with pytest.raises(RuntimeError), caught_builds(recording):
        kept = tirx.get_tir_pipeline("s_tir")[0]
        raise RuntimeError
    assert compilation_pipeline.PIPELINE_MAP is pipelines
    assert all(pipelines[name] is factory for name, factory in factories.items())
    assert len(pipelines) == len(factories)
    assert all(tvm.get_global_func(name).same_as(function) for name, function in before.items())
    kept(tirx.transform.BindTarget(Target("llvm", host="llvm"))(kernels))
    assert recording.seen == []


def test_a_digest_depends_on_the_kernel_and_not_on_its_name():
    digest = kernel_digest(doubling()["main"])
    assert digest == kernel_digest(doubling("other")["other"])
    assert digest != kernel_digest(doubling(size=8)["main"])
    assert digest != kernel_digest(doubling()["main"].with_attr("target", Target("llvm")))


def test_a_digest_is_the_same_in_another_process():
    printed = subprocess.run(
        [
            sys.executable,
            "-c",
            "from tests.activation.conftest import doubling; from tvm_mutate.activation import kernel_digest;"
            "print(kernel_digest(doubling()['main']))",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed.strip() == kernel_digest(doubling()["main"])
