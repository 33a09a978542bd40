"""Models of low precision, integers and booleans: evaluation by content has the bits of the full rebuild."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import tvm

from tests.every_dtype import DTYPES, model, samples
from tvm_mutate.evaluate.program import ConstantKeys
from tvm_mutate.model.model import model_from_module

from .conftest import Both

MUTANTS = [
    "graph.scale-weights@main#0",
    "graph.transpose-weights@main#1",
    "graph.reverse-channels{of=output}@main#0",
    "tir.store-zero@fused_tir_clip_cast2#0",
    "tir.offset-store{ulps=4}@fused_matmul_relu#1",
    "tir.scale-store{ulps=4}@fused_cast_add#1",
    "tir.subtract-accumulation@matmul1#0",
    "graph.replace-arithmetic{from=add,to=multiply}@main#1",
]


@pytest.fixture(scope="module")
def every_dtype(tmp_path_factory: pytest.TempPathFactory) -> Both:
    return Both("llvm", tmp_path_factory.mktemp("dtypes"), model=model_from_module(model(), "every"), samples=samples())


def test_mutants_of_every_dtype_have_the_bits_of_the_full_rebuild(every_dtype: Both):
    assert [each.dtype.name for each in every_dtype.scores.arrays] == DTYPES
    changed: Counter[str] = Counter()
    for mutant in MUTANTS:
        found, rebuilt = (every_dtype.scores_of(each(mutant)) for each in (every_dtype.run, every_dtype.rebuilt))
        assert found.has_bits_of(rebuilt), mutant
        for one, other in zip(found.arrays, every_dtype.scores.arrays, strict=True):
            changed[one.dtype.name] += one.tobytes() != other.tobytes()
    assert min(changed[dtype] for dtype in DTYPES) >= 1


def test_constants_of_the_same_bytes_in_another_dtype_have_another_key():
    keys = ConstantKeys()
    found = {keys.of(tvm.runtime.tensor(np.zeros(2, dtype))) for dtype in ("float16", "bfloat16", "int16", "uint16")}
    assert len(found) == 4 and keys.of(tvm.runtime.tensor(np.zeros(2, "bfloat16"))) in found
