"""Content-addressed evaluation in sessions on devices has the bits of the full rebuild and harms no other mutant."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import psutil
import pytest

from tvm_mutate import evaluate
from tvm_mutate.campaign import Specification
from tvm_mutate.campaign.survey import survey
from tvm_mutate.device import Ending, RemoteSession, parse_device
from tvm_mutate.evaluate import (
    ContentEvaluator,
    Evaluation,
    Preparation,
    PreparedSession,
    RebuildEvaluator,
    SessionEvaluator,
    StopRule,
    Unsuitable,
    prepare,
    prepare_session,
)
from tvm_mutate.evaluate.memory import CONVERSION, READ, WRITE
from tvm_mutate.evaluate.session_memory import SessionArena
from tvm_mutate.kernels import parse_target
from tvm_mutate.model import Workload, load_model
from tvm_mutate.operators import load_catalogue
from tvm_mutate.oracle import parse_oracle
from tvm_mutate.pipeline import Fused, Stages
from tvm_mutate.samples import Samples

HOSTILE = Path(__file__).parents[1] / "campaign" / "hostile_operators.py"
LAST, OTHER = "tir.offset-store@matmul#1", "tir.offset-store@fused_conv2d1_relu1#1"
MASKED, NOT_INFECTED = "tir.offset-store@fused_conv2d_relu#1", "tir.swap-compare{from=gt,to=ge}@fused_conv2d_relu#0"
IMAGES, SECONDS, GOLDEN_BYTES = 3, 60.0, 1 << 28
NETWORK = """
import numpy as np
import psutil
from tvm import relax


def weights(seed, *shape):
    return relax.const(np.random.default_rng(seed).normal(size=shape).astype("float32"))


def model():
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((1, 3, 8, 8), "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            first = builder.emit(relax.op.nn.relu(relax.op.nn.conv2d(x, weights(1, 4, 3, 3, 3), padding=[1, 1])))
            pooled = builder.emit(relax.op.nn.max_pool2d(first, [2, 2], [2, 2]))
            second = builder.emit(relax.op.nn.relu(relax.op.nn.conv2d(pooled, weights(2, 4, 4, 3, 3), padding=[1, 1])))
            flat = builder.emit(relax.op.reshape(second, (1, 64)))
            out = builder.emit_output(relax.op.matmul(flat, weights(3, 64, 5)))
        builder.emit_func_output(out)
    return builder.get()
"""


class OnDevice:
    """The session evaluator and the full rebuild of one model on one device."""

    def __init__(self, device: str, folder: Path, golden_bytes: int = GOLDEN_BYTES) -> None:
        self.device, self.catalogue = parse_device(device), load_catalogue()
        (folder / "network.py").write_text(NETWORK)
        model = load_model(str(folder / "network.py"))
        data = np.random.default_rng(4).normal(size=(IMAGES, 1, 3, 8, 8)).astype("float32")
        self.workload = Workload(model.scenario, Samples((data,)))
        self.stages = Stages(Fused(model.module), parse_target(self.device.target))
        self.rebuild = RebuildEvaluator(self.stages, self.workload, self.device, self.catalogue)
        self.unmutated: Evaluation = self.rebuild.evaluate(None, SECONDS).value
        self.scores: Samples = self.unmutated.outputs
        prepared = prepare_session(
            self.stages, self.workload, self.scores, self.device, self.catalogue, folder, golden_bytes, SECONDS
        )
        assert isinstance(prepared, PreparedSession), prepared
        self.prepared = prepared
        self.evaluator = SessionEvaluator(self.stages, self.workload, self.device, self.catalogue, prepared)

    def ending(self, mutant: str, stop: StopRule | None = None, seconds: float = SECONDS) -> Ending:
        return self.evaluator.evaluate(self.catalogue.parse(mutant), seconds, self.unmutated.digest, stop)

    def run(self, mutant: str, stop: StopRule | None = None) -> Evaluation:
        return self.ending(mutant, stop).value

    def rebuilt(self, mutant: str, stop: StopRule | None = None) -> Evaluation:
        return self.rebuild.evaluate(self.catalogue.parse(mutant), SECONDS, self.unmutated.digest, stop).value

    def scores_of(self, run: Evaluation) -> Samples:
        return self.scores if run.outputs is None else run.outputs


@pytest.fixture
def remote(device_servers, tmp_path: Path, install_operators):
    """Sessions over RPC on loopback, with a server for them and one for rebuilding."""
    install_operators(HOSTILE)
    for _ in range(2):
        device_servers.start()
    both = OnDevice(device_servers.device(), tmp_path)
    yield both
    both.evaluator.session.close()


@pytest.fixture
def local(tmp_path: Path, install_operators):
    """The same in a process of this machine, as on a GPU: only who opens the session differs."""
    install_operators(HOSTILE)
    both = OnDevice("llvm", tmp_path)
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


def mutants_of(both: OnDevice, count: int, seed: int, **asked) -> tuple[str, ...]:
    found = survey(both.stages, Specification(sites=f"sample:{count}", seed=seed, **asked), both.catalogue).mutants
    return tuple(mutant for mutant in found if "hostile" not in mutant)


def test_sampled_mutants_give_the_bits_of_the_full_rebuild_over_rpc(remote: OnDevice):
    same_code, rewired = "tir.scale-store{epsilon=1e-08}@matmul#*", "graph.replace-activation{to=tanh}@main#*"
    counts = compared(remote, (*mutants_of(remote, 4, 5), same_code, rewired, "graph.scale-weights@main#0"))
    assert counts["ran"] >= 3
    assert counts["same code"] >= 1


def test_sampled_mutants_give_the_bits_of_the_full_rebuild_in_a_local_session(local: OnDevice):
    counts = compared(local, (*mutants_of(local, 4, 6), *mutants_of(local, 2, 7, slots=("lowered",))))
    assert counts["ran"] >= 3


def test_a_session_gives_the_same_evaluation_as_this_process(local: OnDevice, tmp_path: Path):
    wanted = Preparation(tmp_path / "golden.bin", GOLDEN_BYTES, 0)
    prepared = prepare(local.stages, local.workload, local.scores, wanted, SECONDS).value
    content = ContentEvaluator(local.stages, local.workload, local.catalogue, prepared)
    mutants = (*mutants_of(local, 8, 8), MASKED, NOT_INFECTED)
    told = ("applied", "digest", "proof", "reached", "infected", "masked_by", "kernel_runs", "undefined")
    for mutant in mutants:
        here = content.evaluate(local.catalogue.parse(mutant), SECONDS, local.unmutated.digest).value
        there = local.run(mutant)
        assert [getattr(there, name) for name in told] == [getattr(here, name) for name in told], mutant
        assert there.undefined or local.scores_of(there).tobytes() == local.scores_of(here).tobytes(), mutant


def test_only_the_changed_kernel_is_compiled_and_sent_and_earlier_kernels_do_not_run(
    remote: OnDevice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    log = tmp_path / "log"

    def noted(function, what):
        def call(*arguments, **options):
            with log.open("a") as file:
                file.write(f"{what(*arguments)}\n")
            return function(*arguments, **options)

        return call

    write = noted(evaluate.session.write_library, lambda functions, *_: f"compiled {' '.join(functions)}")
    monkeypatch.setattr(evaluate.session, "write_library", write)
    monkeypatch.setattr(RemoteSession, "load", noted(RemoteSession.load, lambda _session, path: f"sent {path.suffix}"))
    run = remote.run(LAST)
    assert log.read_text().split("\n") == ["compiled matmul", "sent .so", "sent .so", "sent .so", ""]
    assert (run.reached, run.infected, run.kernel_runs, run.undefined) == (True, True, IMAGES, ())
    log.unlink()
    run = remote.run(NOT_INFECTED)
    assert log.read_text().split("\n") == ["compiled fused_conv2d_relu", "sent .so", ""]
    assert (run.reached, run.infected, run.kernel_runs) == (True, False, IMAGES)
    assert run.outputs.tobytes() == remote.scores.tobytes()
    log.unlink()
    again = remote.run(NOT_INFECTED.replace("fused_conv2d_relu", "fused_conv2d_*"))
    assert log.read_text().split("\n") == ["compiled fused_conv2d_relu", ""]  # the same code has been run
    assert again.run_seconds == run.run_seconds


def test_a_crash_and_a_hang_harm_no_other_mutant(remote: OnDevice):
    before = remote.run(LAST).outputs
    ending = remote.ending("tir.hostile-crash@matmul#*")
    assert (ending.kind, ending.stage, ending.reason) == ("died", "run", "SIGSEGV on board")
    assert ending.note.applied
    again = remote.run(LAST.replace("#1", "#*"))
    assert (again.reached, remote.run(OTHER).infected) == (True, True)
    ending = remote.ending("tir.hostile-hang@matmul#*", seconds=2.0)
    assert (ending.kind, ending.stage) == ("timed out", "run")
    assert remote.run(OTHER.replace("#1", "#0")).outputs is not None
    fresh = SessionEvaluator(remote.stages, remote.workload, remote.device, remote.catalogue, remote.prepared)
    ending = fresh.evaluate(remote.catalogue.parse(LAST), SECONDS, remote.unmutated.digest)
    fresh.session.close()
    assert ending.value.outputs.tobytes() == before.tobytes()


def test_a_store_behind_a_buffer_is_named_and_leaves_the_golden_values_alone(local: OnDevice):
    assert local.run(LAST).outputs is not None
    run = local.run("tir.hostile-write-beyond@matmul#*")
    assert WRITE in run.undefined
    assert local.evaluator.session.is_open
    assert local.run(OTHER).outputs.tobytes() == local.rebuilt(OTHER).outputs.tobytes()


def test_a_result_that_is_never_written_is_named_and_is_the_same_garbage_every_time(local: OnDevice):
    runs = []
    for _ in range(2):
        runs.append(local.run("tir.loop-extent@matmul#1"))
        local.evaluator.session.close()
    assert READ in runs[0].undefined
    assert runs[0].outputs.tobytes() == runs[1].outputs.tobytes()


def test_conversions_of_numbers_that_do_not_fit_into_an_integer_are_named(local: OnDevice):
    # Sums of 64 products are in the hundreds.
    assert CONVERSION in local.run("tir.store-through{type=int8}@matmul#*").undefined
    wider = local.run("tir.store-through{type=int16}@matmul#*")
    assert (wider.infected, wider.undefined) == (True, ())


def test_a_mutant_that_overwrites_golden_values_is_detected_and_harms_no_other(
    local: OnDevice, monkeypatch: pytest.MonkeyPatch
):
    run = SessionArena.run

    def trespassing(arena, function, arguments, *options):
        arguments[0].words.copyfrom(np.zeros(arguments[0].words.shape, "uint32"))
        return run(arena, function, arguments, *options)

    monkeypatch.setattr(SessionArena, "run", trespassing)
    assert WRITE in local.run("tir.hostile-write-beyond@matmul#*").undefined
    assert not local.evaluator.session.is_open
    monkeypatch.undo()
    assert local.run(OTHER).outputs.tobytes() == local.rebuilt(OTHER).outputs.tobytes()


def test_a_session_that_is_killed_between_mutants_changes_no_verdict(remote: OnDevice, device_servers):
    remote.run(LAST)
    for server in device_servers.servers:
        for session in psutil.Process(server.pid).children():
            session.kill()
    run = remote.run(OTHER)
    assert run.outputs.tobytes() == remote.rebuilt(OTHER).outputs.tobytes()


def test_golden_values_beyond_the_limit_are_computed_again(local: OnDevice, tmp_path: Path):
    (tmp_path / "cramped").mkdir()
    cramped = OnDevice("llvm", tmp_path / "cramped", golden_bytes=4096)
    assert (cramped.prepared.stored, local.prepared.stored) == (1, IMAGES)
    for mutant in (OTHER, MASKED, "graph.replace-activation{to=tanh}@main#*"):
        assert cramped.run(mutant).outputs.tobytes() == local.run(mutant).outputs.tobytes()
    cramped.evaluator.session.close()


def test_a_mutant_may_be_stopped_at_the_first_input_that_the_oracle_notices(local: OnDevice):
    stop = StopRule(local.scores, parse_oracle("bitwise"), until_killed=True)
    assert len(local.run(OTHER, stop).outputs) == 1


def test_a_model_whose_kernels_give_other_bits_than_the_whole_is_not_evaluated_in_sessions(
    local: OnDevice, tmp_path: Path
):
    others, limit = Samples((local.scores.arrays[0] + 1,)), GOLDEN_BYTES
    found = prepare_session(
        local.stages, local.workload, others, local.device, local.catalogue, tmp_path, limit, SECONDS
    )
    assert found == "the unmutated model gives other bits kernel by kernel than as a whole"
