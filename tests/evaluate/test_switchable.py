"""A kernel that is compiled once for many mutants gives each the bits of its own build, or is not believed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tvm_mutate.evaluate import Run, switched
from tvm_mutate.evaluate.content import ContentEvaluator
from tvm_mutate.evaluate.switched import LEAST_MUTANTS
from tvm_mutate.kernels import parse_target
from tvm_mutate.mutant import Mutant, Slot
from tvm_mutate.native import native_library
from tvm_mutate.passes import Selection, count_sites

from .conftest import CATALOGUE, SECONDS, Both

KERNEL = "fused_matmul2_add5"
TEXTS = (
    "tir.offset-store",
    "tir.negate-value",
    "tir.flip-bit{bit=30}",
    "tir.scale-store{epsilon=1e-08}",
    "tir.loop-extent",
)


@pytest.fixture(scope="module", autouse=True)
def _runtime() -> None:
    if not native_library():
        pytest.skip(str(native_library().obstacle))


@pytest.fixture
def content(both: Both) -> ContentEvaluator:
    """An evaluator that has compiled no switchable kernel yet."""
    return ContentEvaluator(both.stages, both.inputs, CATALOGUE, both.prepared)


def mutants_of(both: Both, texts: Sequence[str] = TEXTS) -> list[str]:
    """All mutants of single sites of one kernel."""
    module, found = both.stages.at(Slot.KERNEL), []
    for text in texts:
        mutation = Mutant.parse(f"{text}@{KERNEL}#*").mutations[0]
        count = count_sites(module, Selection.resolve(mutation, CATALOGUE))[KERNEL]
        found += [f"{text}@{KERNEL}#{site}" for site in range(count)]
    return found


def evaluated(both: Both, content: ContentEvaluator, mutant: str, companions: Sequence[str]) -> Run:
    ending = content.evaluate(CATALOGUE.parse(mutant), SECONDS, both.unmutated.digest, companions=companions)
    assert isinstance(ending.value, Run), ending
    return ending.value


def test_switched_mutants_have_the_course_of_their_own_builds_and_the_rest_is_built_separately(both: Both, content):
    mutants = mutants_of(both)
    assert len(mutants) > LEAST_MUTANTS
    kinds: dict[str, set[bool]] = {}
    for mutant in mutants:
        run, own = evaluated(both, content, mutant, mutants), both.run(mutant)
        kinds.setdefault(mutant.split("@")[0], set()).add(run.switched)
        assert not own.switched
        assert (run.applied, run.reached, run.infected) == (own.applied, own.reached, own.infected)
        if not run.undefined:
            assert both.scores_of(run).tobytes() == both.scores_of(own).tobytes(), mutant
        if not run.switched:
            assert run.digest == own.digest
    assert kinds["tir.offset-store"] == kinds["tir.negate-value"] == {True}
    assert kinds["tir.loop-extent"] == {False}
    # A factor that rounds to 1 changes no bit: only code of its own proves the mutant equivalent.
    assert kinds["tir.scale-store{epsilon=1e-08}"] == {False}


def test_few_mutants_are_built_separately(both: Both, content: ContentEvaluator):
    few = mutants_of(both)[: LEAST_MUTANTS - 1]
    assert not evaluated(both, content, few[0], few).switched


def test_a_kernel_that_gives_other_bits_while_all_is_off_is_not_used(both: Both, content, monkeypatch):
    monkeypatch.setattr(switched, "agrees", lambda *_: False)
    mutants = mutants_of(both)
    assert not evaluated(both, content, mutants[0], mutants).switched


def test_a_target_that_contracts_multiplications_and_additions_has_no_switchable_kernels(
    both: Both, content, monkeypatch
):
    monkeypatch.setattr(content._switchable._stages, "target", parse_target('{"kind":"llvm","mcpu":"x86-64-v3"}'))
    assert not switched._rounds_as_written(content._switchable._stages)
