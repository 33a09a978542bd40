"""The digest of a whole program: equal wherever it is built, different for whatever decides what it computes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tvm_mutate
from tvm_mutate.device import parse_device
from tvm_mutate.evaluate import RebuildEvaluator
from tvm_mutate.kernels import parse_target
from tvm_mutate.model import Workload, load_inputs, load_model
from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.pipeline import Stages

BUILD = """
import os, pathlib, tempfile
from tvm_mutate.kernels import CompiledModel, parse_target
from tvm_mutate.model import load_model
from tvm_mutate.mutant import Slot
from tvm_mutate.pipeline import Stages
for target in ("llvm", "c"):
    stages = Stages(load_model("zoo://alexnet").module, parse_target(target))
    folder = pathlib.Path(tempfile.mkdtemp())
    print(CompiledModel(stages.runnable(stages.at(Slot.KERNEL)), stages.target, folder).digest)
"""


def test_the_same_model_has_the_same_digest_in_every_process():
    folder = str(Path(tvm_mutate.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": folder}
    digests = {
        subprocess.run(
            [sys.executable, "-c", BUILD], capture_output=True, text=True, check=True, env=environment
        ).stdout
        for _ in range(2)
    }
    assert len(digests) == 1
    assert [len(digest) for digest in digests.pop().split()] == [64, 64]


@pytest.mark.parametrize(
    ("mutant", "same"),
    [
        ("tir.scale-store{epsilon=1e-08}@*#*", True),
        ("graph.insert-transpose{argument=1,before=conv2d}@main#*", False),
        ("tir.offset-store@*#*", False),
    ],
)
def test_a_mutant_has_the_digest_of_the_unmutated_model_only_if_code_and_weights_are_the_same(mutant: str, same: bool):
    model = load_model("zoo://alexnet")
    device = parse_device("llvm")
    catalogue = builtin_catalogue()
    workload = Workload(model.scenario, load_inputs("zoo://digits", model, limit=2).samples)
    evaluator = RebuildEvaluator(Stages(model.module, parse_target("llvm")), workload, device, catalogue)
    unmutated, mutated = (evaluator.evaluate(each, 120).value.digest for each in (None, catalogue.parse(mutant)))
    assert (unmutated == mutated) == same
