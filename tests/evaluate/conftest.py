"""One model with both its evaluators, shared by the tests of a process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tvm_mutate.device import parse_device
from tvm_mutate.evaluate import ContentEvaluator, Evaluation, Preparation, Prepared, RebuildEvaluator, StopRule, prepare
from tvm_mutate.kernels import parse_target
from tvm_mutate.model import Model, Workload, load_inputs, load_model
from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.pipeline import Fused, Stages
from tvm_mutate.samples import Samples

CATALOGUE = builtin_catalogue()
MODEL, IMAGES, SECONDS = "zoo://alexnet", 3, 120.0
GOLDEN_BYTES = 1 << 28
# So many mutants that fast kernels pay.
MANY = 1_000_000


class Both:
    """The two evaluators of one model on one device."""

    def __init__(
        self,
        target: str,
        folder: Path,
        golden_bytes: int = GOLDEN_BYTES,
        mutants: int = 0,
        reference: str = MODEL,
        model: Model | None = None,
        samples: Samples | None = None,
    ) -> None:
        model = model or load_model(reference)
        samples = samples or load_inputs("zoo://digits", model, limit=IMAGES).samples
        self.workload = Workload(model.scenario, samples)
        self.stages = Stages(Fused(model.module), parse_target(target))
        self.rebuild = RebuildEvaluator(self.stages, self.workload, parse_device(target), CATALOGUE)
        self.unmutated: Evaluation = self.rebuild.evaluate(None, SECONDS).value
        assert self.unmutated.outputs is not None
        self.scores: Samples = self.unmutated.outputs
        wanted = Preparation(folder / "golden.bin", golden_bytes, mutants)
        self.prepared: Prepared = prepare(self.stages, self.workload, self.scores, wanted, SECONDS).value
        self.content = ContentEvaluator(self.stages, self.workload, CATALOGUE, self.prepared)

    def run(self, mutant: str, stop: StopRule | None = None) -> Evaluation:
        """What evaluation by content gives."""
        return self.content.evaluate(CATALOGUE.parse(mutant), SECONDS, self.unmutated.digest, stop).value

    def rebuilt(self, mutant: str, stop: StopRule | None = None) -> Evaluation:
        """What the full rebuild gives."""
        return self.rebuild.evaluate(CATALOGUE.parse(mutant), SECONDS, self.unmutated.digest, stop).value

    def scores_of(self, run: Evaluation) -> Samples:
        """The outputs of a run; the golden ones where nothing had to run."""
        return self.scores if run.outputs is None else run.outputs


@pytest.fixture(scope="session")
def both(tmp_path_factory: pytest.TempPathFactory) -> Both:
    return Both("llvm", tmp_path_factory.mktemp("content"))


@pytest.fixture(scope="session")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Both:
    """The same with fast kernels for what is not mutated."""
    return Both("llvm", tmp_path_factory.mktemp("fast"), mutants=MANY)
