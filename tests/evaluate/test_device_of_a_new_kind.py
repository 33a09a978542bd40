"""A device of a new kind only needs a memory, and gives the bits of the host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tvm.tirx import PrimFunc

from tvm_mutate.evaluate import Evaluation
from tvm_mutate.evaluate.builder import Built, MutantBuilder
from tvm_mutate.evaluate.program import GoldenKeys
from tvm_mutate.evaluate.program_run import ProgramRun, run_calls
from tvm_mutate.kernels import write_library
from tvm_mutate.passes import selections_by_slot
from tvm_mutate.pipeline.flow import TVM_FLOW, Flow

from .conftest import CATALOGUE, Both
from .process_memory import ProcessKernel, ProcessMemory, ProcessRow


class InAnotherProcess:
    """Evaluates mutants of the shared model on kernels of another process."""

    def __init__(self, both: Both, folder: Path) -> None:
        self._both, self._folder, program = both, folder, both.content.program
        plain = self._compile(program.called(), folder, TVM_FLOW)
        self._builder = MutantBuilder(
            both.stages, both.workload, program, plain, {each.digest: each for each in plain.values()}, self._compile
        )
        self.memory = ProcessMemory()
        self._keys = GoldenKeys.of(program, self._builder.keys)
        self._constants = self._uploaded(program.constants)
        self._rows = []
        for position in range(len(both.workload)):
            sample = both.workload.samples[position]
            values = dict(zip(program.inputs, map(self.memory.upload, sample), strict=True)) | self._constants
            for _ in run_calls(program, plain, self.memory, values):
                pass
            self._rows.append(ProcessRow(self.memory, values))

    def _uploaded(self, constants: Mapping[int, object]) -> dict:
        return {number: self.memory.upload(tensor.numpy()) for number, tensor in constants.items()}

    def _compile(self, functions: Mapping[str, PrimFunc], folder: Path, flow: Flow) -> dict[str, ProcessKernel]:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"kernels-{len(list(folder.iterdir()))}.so"
        digests = write_library(functions, self._both.stages.target, path, flow=flow).digests
        return {name: ProcessKernel(str(path), name, digest) for name, digest in digests.items()}

    def run(self, mutant: str) -> Evaluation:
        """What the evaluation gives."""
        selections = selections_by_slot(CATALOGUE.parse(mutant).mutations, CATALOGUE)
        folder = self._folder / f"mutant-{len(list(self._folder.iterdir()))}"
        built = self._builder.build(selections, lambda *_: None, self._both.unmutated.digest, folder)
        if not isinstance(built, Built):
            return built
        kernels, constants = built.mutated.kernels, self._uploaded(built.mutated.program.constants)
        program_run = ProgramRun(
            built.mutated, self._keys, self.memory, kernels.__getitem__, {}, constants, built.harmless, is_rewired=False
        )
        return built.evaluation.completed(program_run.run(self._rows.__getitem__, len(self._rows), None, lambda: None))


@pytest.fixture(scope="module")
def elsewhere(both: Both, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InAnotherProcess]:
    evaluator = InAnotherProcess(both, tmp_path_factory.mktemp("elsewhere"))
    yield evaluator
    evaluator.memory.close()


@pytest.mark.parametrize(
    "mutant",
    [
        "tir.offset-store@fused_matmul1_add4_relu4#2",
        "graph.replace-pooling{from=max,to=avg}@main#0",
        "tir.scale-store@fused_matmul2_add5#0",
        "tir.shift-threshold@fused_conv2d1_add1_relu1#0",
        "canary.no-op@*#*",
    ],
)
def test_a_mutant_has_the_same_bits_and_trace_as_on_the_host(both: Both, elsewhere: InAnotherProcess, mutant: str):
    there, here = elsewhere.run(mutant), both.run(mutant)
    assert both.scores_of(there).tobytes() == both.scores_of(here).tobytes()
    assert (there.reached, there.infected, there.masked_by, there.kernel_runs, there.undefined) == (
        here.reached,
        here.infected,
        here.masked_by,
        here.kernel_runs,
        here.undefined,
    )
