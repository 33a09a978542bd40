"""Mutants that are proved to be harmless share a child, with the same results as in a child of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tvm_mutate.campaign import Specification
from tvm_mutate.campaign.survey import survey
from tvm_mutate.evaluate import Evaluation, builder, content
from tvm_mutate.evaluate.memory import READ, WRITE
from tvm_mutate.passes import Accesses

from .conftest import CATALOGUE, SECONDS, Both

HARMLESS = "tir.offset-store@fused_matmul2_add5#2"
GRAPH = "graph.replace-activation{to=tanh}@main#0"
# Reads and writes behind its buffers.
HARMFUL = "tir.loop-extent{by=100}@fused_matmul2_add5#0"
WRITING = "tir.loop-extent{by=1}@max_pool2d#5"


@pytest.fixture(autouse=True)
def no_child_outlives_its_test(both: Both) -> Iterator[None]:
    """A child, and what is remembered of its mutants, has what a test put in the place of other things."""
    yield
    both.content.rest()
    both.content._builder._finished.clear()


def child(both: Both) -> int | None:
    """The process of the child that lasts, if there is one."""
    shared = both.content._children._shared_child._child
    return None if shared is None else shared.process


def told(run: Evaluation) -> Evaluation:
    """What of a run has to be the same every time, its scores apart."""
    return replace(run, build_seconds=0.0, run_seconds=(), kernel_seconds=0.0, outputs=None)


def test_harmless_mutants_of_kernels_and_graphs_share_a_child(both: Both):
    both.content.rest()
    both.run(HARMLESS)
    first = child(both)
    both.run(GRAPH)
    assert first is not None
    assert child(both) == first
    both.content.rest()
    assert child(both) is None


@pytest.mark.parametrize("mutant", [HARMFUL, "tir.offset-store{slot=lowered}@fused_matmul2_add5#2"])
def test_other_mutants_have_their_own_child_and_leave_the_shared_child_alone(both: Both, mutant: str):
    both.run(HARMLESS)
    before = child(both)
    both.content.evaluate(CATALOGUE.parse(mutant), SECONDS, both.unmutated.digest)
    assert child(both) == before


def test_a_mutant_has_the_same_evaluation_in_its_own_child(both: Both, monkeypatch: pytest.MonkeyPatch):
    mutants = survey(both.stages, Specification(sites="sample:14", seed=8), CATALOGUE).mutants
    shared = [both.content.evaluate(CATALOGUE.parse(each), SECONDS, both.unmutated.digest) for each in mutants]
    sharing = both.content._children
    run = sharing.run
    monkeypatch.setattr(sharing, "run", lambda task, seconds, may_be_proved: run(task, seconds, False))
    both.content._builder._finished.clear()
    for mutant, ending in zip(mutants, shared, strict=True):
        own = both.content.evaluate(CATALOGUE.parse(mutant), SECONDS, both.unmutated.digest)
        assert (own.kind, own.stage) == (ending.kind, ending.stage), mutant
        if isinstance(own.value, Evaluation):
            assert told(own.value) == told(ending.value), mutant
            assert both.scores_of(own.value).tobytes() == both.scores_of(ending.value).tobytes(), mutant


def test_unwritten_memory_does_not_depend_on_earlier_mutants(tmp_path: Path):
    """Kernels take temporary buffers from a pool; what these mutants read there, others had left."""
    both = Both("llvm", tmp_path, reference="zoo://mobilenetv2")
    mutants = survey(both.stages, Specification(("tir.loop-start",), sites="each"), CATALOGUE).mutants
    (mutant,) = [each for each in mutants if "@fused_fused_conv2d10_" in each and each.endswith("#0")]
    for each in mutants[: mutants.index(mutant)]:
        both.run(each)
    found = both.run(mutant)
    both.content.rest()
    both.content._builder._finished.clear()
    alone = both.run(mutant)
    assert alone.undefined == found.undefined == (READ,)
    assert alone.outputs.tobytes() == found.outputs.tobytes()


def test_an_error_in_the_shared_child_is_confirmed_in_an_own_child(both: Both, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise RuntimeError("on purpose")

    both.content.rest()
    monkeypatch.setattr(content, "build_batch", refuse)
    ending = both.content.evaluate(CATALOGUE.parse("tir.scale-store{ulps=99}@max_pool2d#0"), SECONDS, "")
    assert (ending.kind, ending.reason) == ("raised", "RuntimeError: on purpose")
    assert child(both) is None


def test_a_wrong_proof_harms_no_other_mutant(both: Both, monkeypatch: pytest.MonkeyPatch):
    expected = both.run(HARMLESS)
    both.content.rest()
    monkeypatch.setattr(builder, "find_outside", lambda function: Accesses((), others_inside=True))
    assert WRITE in both.run(WRITING).undefined
    assert child(both) is None
    both.content._builder._finished.clear()
    assert both.run(HARMLESS).outputs.tobytes() == expected.outputs.tobytes()
