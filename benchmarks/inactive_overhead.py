"""What it costs that tvm_mutate is installed where no mutant is active: importing TVM, building, running.

Run from the repository's root, on an idle machine, with a Python that has TVM and in which tvm_mutate is not installed:
`python benchmarks/inactive_overhead.py --repeat 20`. The exit code is 1 if the code that is built is not the same.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click
from measuring.output import begin, end, json_option, say, table

ROOT = Path(__file__).resolve().parents[1]
GROUP, ENTRY = "tvm.backends", "tvm_mutate.autoload:autoload"
HEAD = ("what", "time", "without ms", "with ms", "ratio", "quartiles of the pairs' ratios")
PROGRAM = """
import hashlib, json, sys, time

def timed(task, repeat):
    times = []
    for _ in range(repeat):
        began, spent = time.perf_counter(), time.process_time()
        value = task()
        times.append((time.perf_counter() - began, time.process_time() - spent))
    return value, [sorted(each)[len(each) // 2] for each in zip(*times)]

def start():
    import tvm
    return tvm

tvm, importing = timed(start, 1)
import numpy as np
from tvm import te

rows, inner = te.placeholder((128, 128), name="A"), te.reduce_axis((0, 128), name="k")
product = te.compute((128, 128), lambda i, j: te.sum(rows[i, inner] * rows[inner, j], axis=inner), name="C")
kernel = te.create_prim_func([rows, product])
given, result = (tvm.runtime.tensor(np.ones((128, 128), "float32")) for _ in range(2))
library, building = timed(lambda: tvm.compile(kernel, target="llvm"), 25)
_, running = timed(lambda: library(given, result), 200)
code = hashlib.sha256(library.mod.inspect_source("asm").encode()).hexdigest()
print(json.dumps({"import": importing, "build": building, "run": running, "code": code,
                  "installed": "tvm_mutate.autoload" in sys.modules}))
"""


@click.command()
@click.option("--repeat", default=10, show_default=True, help="Pairs of fresh processes.")
@json_option
@click.pass_context
def main(context: click.Context, repeat: int, json_file: str | None) -> None:
    """Fresh processes with and without the package take turns; ratios are of medians, and of the pairs."""
    report = begin("inactive_overhead")
    if any(each.value == ENTRY for each in entry_points(group=GROUP)):
        raise click.ClickException("tvm_mutate is installed in this Python, so that there is nothing to compare with")
    pairs: list[dict[bool, dict[str, Any]]] = []
    with tempfile.TemporaryDirectory() as folder:
        describe(Path(folder))
        for number in range(repeat):
            order = (False, True) if number % 2 else (True, False)
            pairs.append({installed: measured(installed, folder) for installed in order})
    rows = [row(pairs, what, at) for what in ("import", "build", "run") for at in (0, 1)]
    codes = {each["code"] for pair in pairs for each in pair.values()}
    same = "the same" if len(codes) == 1 else "NOT the same"
    say(f"{repeat} pairs of processes; the code that they built is {same}", table(HEAD, rows))
    end({**report, "figures": [dict(zip(HEAD, each, strict=True)) for each in rows], "codes": len(codes)}, json_file)
    context.exit(int(len(codes) > 1))


def describe(folder: Path) -> None:
    """Writes what an installed package tells of its entry points."""
    information = folder / "tvm_mutate-0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: tvm-mutate\nVersion: 0\n")
    (information / "entry_points.txt").write_text(f"[{GROUP}]\ntvm-mutate = {ENTRY}\n")


def measured(installed: bool, folder: str) -> dict[str, Any]:
    """The figures of a fresh process."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith("TVM_MUTATE")}
    environment.pop("PYTHONPATH", None)
    environment |= {"TVM_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([folder, str(ROOT)]) if installed else ""}
    command = [sys.executable, "-c", PROGRAM]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd="/")
    if finished.returncode:
        raise click.ClickException(finished.stderr)
    figures: dict[str, Any] = json.loads(finished.stdout)
    assert figures["installed"] == installed, "the entry point was not found, or found where it should not be"
    return figures


def row(pairs: list[dict[bool, dict[str, Any]]], what: str, at: int) -> tuple[object, ...]:
    """The row under HEAD of one figure, by the clock (0) or of the processor (1)."""
    without, installed = ([pair[each][what][at] for pair in pairs] for each in (False, True))
    ratios = [new / old for old, new in zip(without, installed, strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else (ratios[0],) * 3
    medians = statistics.median(without), statistics.median(installed)
    clock = ("clock", "processor")[at]
    return (what, clock, *(f"{1e3 * each:.3f}" for each in medians), f"{medians[1] / medians[0]:.4f}",
            f"{low:.4f} to {high:.4f}")  # fmt: skip


if __name__ == "__main__":
    main()
