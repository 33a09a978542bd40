from __future__ import annotations

import pytest
import tvm
from tvm import te


def doubling(name: str = "main", size: int = 16) -> tvm.IRModule:
    given = te.placeholder((size,), name="A")
    doubled = te.compute((size,), lambda i: given[i] * 2.0 + 1.0, name="B")
    return tvm.IRModule({name: te.create_prim_func([given, doubled]).with_attr("global_symbol", name)})


@pytest.fixture
def kernels() -> tvm.IRModule:
    return doubling()
