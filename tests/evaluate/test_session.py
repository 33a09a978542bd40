"""Content-addressed evaluation in sessions on devices: the bits of the full rebuild there, and harm to nobody."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tvm_mutate.build import parse_target
from tvm_mutate.campaign import Specification
from tvm_mutate.campaign.survey import survey
from tvm_mutate.device import Ending, parse_device
from tvm_mutate.evaluate import (
    PreparedSession,
    RebuildEvaluator,
    Run,
    SessionEvaluator,
    SessionPreparation,
    StopRule,
    Unsuitable,
    prepare_session,
)
from tvm_mutate.model import load_inputs, load_model
from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.pipeline import Fused, Stages

CATALOGUE = builtin_catalogue()
IMAGES, SECONDS, GOLDEN_BYTES = 3, 60.0, 1 << 28
LAST = "tir.offset-store@fused_matmul2_add5#2"


class OnDevice:
    """The session evaluator and the full rebuild of one model on one device."""

    def __init__(self, device: str, folder: Path, golden_bytes: int = GOLDEN_BYTES) -> None:
        self.device = parse_device(device)
        model = load_model("zoo://alexnet")
        self.inputs = load_inputs("zoo://digits", model, limit=IMAGES).data
        self.stages = Stages(Fused(model.module), parse_target(self.device.target))
        self.rebuild = RebuildEvaluator(self.stages, self.inputs, self.device, CATALOGUE)
        self.unmutated: Run = self.rebuild.evaluate(None, SECONDS).value
        self.scores: np.ndarray = self.unmutated.outputs
        wanted = SessionPreparation(folder, golden_bytes)
        prepared = prepare_session(self.stages, self.inputs, self.scores, self.device, CATALOGUE, wanted, SECONDS)
        assert isinstance(prepared, PreparedSession), prepared
        self.prepared = prepared
        self.evaluator = SessionEvaluator(self.stages, self.inputs, self.device, CATALOGUE, prepared)

    def ending(self, mutant: str, stop: StopRule | None = None) -> Ending:
        return self.evaluator.evaluate(CATALOGUE.parse(mutant), SECONDS, self.unmutated.digest, stop)

    def run(self, mutant: str, stop: StopRule | None = None) -> Run:
        return self.ending(mutant, stop).value

    def rebuilt(self, mutant: str, stop: StopRule | None = None) -> Run:
        return self.rebuild.evaluate(CATALOGUE.parse(mutant), SECONDS, self.unmutated.digest, stop).value

    def scores_of(self, run: Run) -> np.ndarray:
        return self.scores if run.outputs is None else run.outputs


@pytest.fixture
def remote(device_servers, tmp_path: Path):
    """Sessions over RPC on loopback, with a server for them and one for rebuilding."""
    for _ in range(2):
        device_servers.start()
    both = OnDevice(device_servers.device(), tmp_path)
    yield both
    both.evaluator.session.close()


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory):
    """The same in a process of this machine, as on a GPU: only who opens the session differs."""
    both = OnDevice("llvm", tmp_path_factory.mktemp("session"))
    yield both
    both.evaluator.session.close()


def compared(both: OnDevice, mutants: tuple[str, ...]) -> Counter[str]:
    """How many mutants were found the same by both ways, by what came of them."""
    counts: Counter[str] = Counter()
    for mutant in mutants:
        found = both.run(mutant)
        if isinstance(found, Unsuitable) or found.undefined:
            counts["not compared"] += 1
            continue
        rebuilt = both.rebuilt(mutant)
        assert both.scores_of(found).tobytes() == both.scores_of(rebuilt).tobytes(), mutant
        if found.proof is None:
            assert (found.digest == both.unmutated.digest) == (rebuilt.digest == both.unmutated.digest), mutant
        counts["same code" if found.outputs is None else "ran"] += 1
    return counts


def test_sampled_mutants_give_the_bits_of_the_full_rebuild_over_rpc(remote: OnDevice):
    mutants = survey(remote.stages, Specification(sites="sample:8", seed=5), CATALOGUE).mutants
    rewired = "graph.replace-activation{to=tanh}@main#*"
    counts = compared(remote, (*mutants, rewired, "tir.scale-store{epsilon=1e-08}@fused_matmul2_add5#0"))
    assert counts["ran"] >= 4 and counts["same code"] >= 1
