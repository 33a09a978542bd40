"""Digests of functions: equal in every process, different for structurally different functions."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
from tvm import relax
from tvm.script import tirx as T  # noqa: N812

from tvm_mutate.campaign.function_digests import function_digest

SURVEY = """
import json
from tvm_mutate.kernels import parse_target
from tvm_mutate.campaign import Specification
from tvm_mutate.campaign.survey import survey
from tvm_mutate.model import load_model
from tvm_mutate.operators import load_catalogue
from tvm_mutate.pipeline import Fused, Stages
model = Fused(load_model("zoo://alexnet").module)
for target, text in (("llvm", "code.swap-select@*#*"), ("c", "code.multiply-add{to=fused}@*#*")):
    mutants = (
        "tir.swap-compare{from=lt,to=gt,slot=kernel}@*#*",
        "tir.swap-compare{from=lt,to=gt,slot=lowered}@*#*",
        "tir.swap-compare{from=lt,to=gt,slot=codegen}@*#*",
        "graph.replace-activation{to=tanh}@main#0",
        text,
    )
    stages = Stages(model, parse_target(target))
    print(json.dumps(survey(stages, Specification(mutants=mutants), load_catalogue()).places))
"""


def test_kernels_of_all_slots_and_the_graph_have_the_same_digests_in_every_process():
    command = [sys.executable, "-c", SURVEY]
    environments = [{**os.environ, "PYTHONHASHSEED": seed} for seed in ("1", "2")]
    printed = [
        subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
        for environment in environments
    ]
    assert printed[0] == printed[1]
    for places in map(json.loads, printed[0].splitlines()):
        assert len(places) == len(set(places.values())) == 5
        assert {len(digest) for digest in places.values()} == {64}


def kernel(limit: int):
    @T.prim_func(s_tir=True)
    def main(a: T.Buffer((8,), "float32")):
        for i in range(8):
            a[i] = T.if_then_else(i < limit, a[i], T.float32(0))

    return main


def network(weights: np.ndarray):
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((1, 4), "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            out = builder.emit_output(relax.op.matmul(x, relax.const(weights)))
        builder.emit_func_output(out)
    return builder.get()["main"]


def test_a_digest_depends_on_structure_and_weights_only():
    assert function_digest(kernel(3)) == function_digest(kernel(3)) != function_digest(kernel(4))
    weights = np.ones((4, 2), "float32")
    others = weights + np.eye(4, 2, dtype="float32")
    assert function_digest(network(weights)) == function_digest(network(weights)) != function_digest(network(others))
