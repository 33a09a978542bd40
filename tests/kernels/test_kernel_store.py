"""The store of compiled kernels on disk, and libraries built through it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tvm
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tvm_mutate.evaluate.program import take_program
from tvm_mutate.kernels import KernelStore, build_library, parse_target
from tvm_mutate.kernels.kernels import library_key
from tvm_mutate.model import Workload, load_inputs, load_model
from tvm_mutate.mutant import Slot
from tvm_mutate.pipeline import Stages

POOLED = (1, 24, 16, 16), (1, 24, 8, 8)
WRITER = """
import sys
from pathlib import Path
from tvm_mutate.kernels import KernelStore
store = KernelStore(Path(sys.argv[1]))
for number in range(40):
    content = f"{number}".encode() * 50_000
    store.put(f"key-{number}", content)
    assert store.get(f"key-{number}") in (content, None)
"""


@pytest.fixture(scope="module")
def kernels() -> dict[str, tvm.tirx.PrimFunc]:
    model = load_model("zoo://alexnet")
    workload = Workload(model.scenario, load_inputs("zoo://digits", model, limit=1).samples)
    program = take_program(Stages(model.module, parse_target("llvm")).at(Slot.KERNEL), workload)
    return {name: program.kernels[name] for name in ("fused_conv2d_add_relu", "max_pool2d", "max_pool2d1")}


def result(library, name: str) -> bytes:
    """What a pooling kernel of the library makes of fixed numbers."""
    run = library.load()[name].run
    given, result = POOLED
    source = tvm.runtime.tensor(np.arange(np.prod(given), dtype="float32").reshape(given))
    target = tvm.runtime.tensor(np.zeros(result, "float32"))
    run(source, target)
    assert target.numpy().any()
    return target.numpy().tobytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=20), st.binary(max_size=200), max_size=8))
def test_a_store_gives_back_stored_bytes(tmp_path: Path, entries: dict[str, bytes]):
    store = KernelStore(tmp_path / "store")
    for key, content in entries.items():
        store.put(key, content)
    assert {key: store.get(key) for key in entries} == entries
    assert store.get("never put: " + "x" * 30) is None


def test_a_store_stays_within_its_limit(tmp_path: Path):
    store = KernelStore(tmp_path, limit_bytes=2_000_000)
    for number in range(60):
        store.put(f"{number}", bytes([number]) * 100_000)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 3_000_000
    assert store.get("59") == bytes([59]) * 100_000


def test_a_corrupted_entry_counts_as_missing(tmp_path: Path):
    store = KernelStore(tmp_path)
    store.put("key", b"kernel" * 20_000)
    (entry,) = tmp_path.rglob("*.val")
    content = bytearray(entry.read_bytes())
    content[1000] ^= 1
    entry.write_bytes(content)
    assert store.get("key") is None
    entry.write_bytes(content[:100])
    assert store.get("key") is None


def test_a_store_with_a_corrupted_database_counts_as_empty(tmp_path: Path):
    (tmp_path / "cache.db").write_bytes(b"no database at all" * 1000)
    store = KernelStore(tmp_path)
    store.put("key", b"content")
    assert store.get("key") is None


def test_processes_use_one_store_at_the_same_time(tmp_path: Path):
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)]) for _ in range(3)]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0, 0]
    assert KernelStore(tmp_path).get("key-7") == b"7" * 50_000


@pytest.mark.parametrize("target", ["llvm", "c"])
def test_a_library_from_the_store_is_the_one_that_was_built(kernels, target: str, tmp_path: Path):
    store = KernelStore(tmp_path / "store")
    built = build_library(kernels, parse_target(target), tmp_path / "first", store)
    found = build_library(kernels, parse_target(target), tmp_path / "second", store)
    assert not list((tmp_path / "second").glob("*.build"))
    assert (found.digests, Path(found.path).read_bytes()) == (built.digests, Path(built.path).read_bytes())
    assert result(found, "max_pool2d") == result(built, "max_pool2d")


def test_a_library_without_a_c_compiler_is_kept_as_llvm_ir(kernels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store = KernelStore(tmp_path / "store")
    linked = build_library(kernels, parse_target("llvm"), tmp_path / "linked", store)
    monkeypatch.setenv("CC", "no-such-compiler")
    kept = build_library(kernels, parse_target("llvm"), tmp_path / "kept", store)
    assert (Path(linked.path).suffix, Path(kept.path).suffix) == (".so", ".ll")
    assert kept.digests == linked.digests
    assert result(kept, "max_pool2d") == result(linked, "max_pool2d")


def test_the_key_of_a_library_is_the_same_in_every_process_and_tells_targets_apart(kernels):
    script = (
        "import sys; sys.path.insert(0, '.')\n"
        "from tests.kernels.test_kernel_store import kernels, library_key, parse_target\n"
        "print(library_key(kernels.__wrapped__(), parse_target('llvm')))"
    )
    root = Path(__file__).resolve().parents[2]
    told = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=False)
    assert told.stdout.strip() == library_key(kernels, parse_target("llvm")), told.stderr
    others = [parse_target('{"kind":"llvm","mcpu":"x86-64-v3"}'), parse_target("c")]
    assert len({library_key(kernels, target) for target in [parse_target("llvm"), *others]}) == 3
