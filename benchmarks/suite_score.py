"""Scores test-suites with the pytest plugin: the small suite that lies here, and TVM's own where you have it.

Run from the repository's root, with the package installed: `python benchmarks/suite_score.py`, or for TVM's tests
`python benchmarks/suite_score.py --tvm-tests tvm/tests/python --sample 300`. Each suite is scored twice: the second
time nothing has changed, and what is known is not asked again. With --keep, the same command goes on where it was.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import click
from measuring.campaigns import workplace
from measuring.output import begin, end, json_option, listed, say, table

HERE = Path(__file__).resolve().parent
SMALL = HERE / "small_suite"
# Those of TVM's files whose tests run what they build on a processor.
TVM_FILES = (
    "codegen/test_target_codegen_c_host.py",
    "codegen/test_target_codegen_llvm.py",
    "codegen/test_target_codegen_x86.py",
    "relax/test_vm_build.py",
    "relax/test_op_take.py",
    "relax/test_op_inspect.py",
    "relax/test_relax_operators.py",
    "relax/test_transform_gradient_numeric.py",
    "relax/test_frontend_onnx_backend.py",
    "s_tir/schedule",
    "te/test_te_create_primfunc.py",
)


def score(folder: Path, files: list[str], output: Path, options: list[str]) -> tuple[dict[str, Any], float]:
    """The report of a session of the plugin on these files, and its seconds, collection and all."""
    command = [sys.executable, "-m", "pytest", *_plugin(), "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "addopts="]
    command += [*files, f"--tvm-output={output.resolve()}", "--continue-on-collection-errors", *options]
    started = time.monotonic()
    finished = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if finished.returncode > 1:  # 1: some files could not be collected
        raise SystemExit(f"{shlex.join(command)} ended with {finished.returncode}:\n{finished.stdout[-3000:]}")
    return json.loads((output / "suite.json").read_text()), time.monotonic() - started


def _plugin() -> list[str]:
    """What loads the plugin where the package is not installed."""
    from importlib.metadata import entry_points

    installed = any(each.value == "tvm_mutate.plugin.hooks" for each in entry_points(group="pytest11"))
    return [] if installed else ["-p", "tvm_mutate.plugin.hooks"]


def figures(report: dict[str, Any], seconds: float, again: dict[str, Any], again_seconds: float) -> dict[str, Any]:
    """What is told of a suite."""
    tests = [row for row in report["tests"] if row["outcome"] == "passed"]
    mutants = [row for row in report["mutants"] if row["slot"] != "pipeline"]
    verdicts = Counter(row["verdict"] for row in mutants)
    return {
        "tests": len(report["tests"]),
        "passing": len(tests),
        "kernels": len(report["kernels"]),
        "sites": sum(row["sites"] for row in report["kernels"]),
        "build only": sum(bool(row["kernels"]) and row["kernels_executed"] == 0 for row in tests),
        "notice nothing": sum(row["vanished"] == "passed" and bool(row["kernels_executed"]) for row in tests),
        "mutants": len(mutants),
        "killed": verdicts["killed"],
        "survived": verdicts["survived"],
        "s": seconds,
        "s/mutant": report["effort"]["seconds_judging"] / max(1, len(report["mutants"])),
        "again s": again_seconds,
        "from cache": again["effort"]["trials_reused"],
        "not from it": again["effort"]["trials"],
    }


@click.command()
@click.option("--tvm-tests", type=click.Path(exists=True, file_okay=False, path_type=Path), help="TVM's tests/python.")
@click.option("--file", "files", multiple=True, help="One of TVM's files, in its folder; repeatable.")
@click.option("--sample", default=60, show_default=True, help="Single sites a suite.")
@click.option("--seed", default=0, show_default=True, help="Seed of the sample.")
@click.option("--operators", default="default", show_default=True, help="As for --tvm-operators.")
@click.option("--more", default="", help="More options of pytest, as one text: '--tvm-budget=600s'.")
@click.option("--keep", help="Keep journals and reports in this folder.")
@json_option
def main(tvm_tests: Path | None, files: tuple[str, ...], **options: Any) -> None:
    """Scores the small suite of this folder and, with --tvm-tests, TVM's."""
    report = begin("suite score")
    chosen = [f"--tvm-operators={options['operators']}", f"--tvm-sites=sample:{options['sample']}"]
    chosen += [f"--tvm-seed={options['seed']}", "--tvm-mutate=run", *shlex.split(options["more"])]
    suites = [("small", SMALL.parent, [SMALL.name])]
    if tvm_tests is not None:
        suites.append(("tvm", tvm_tests, [each for each in files or TVM_FILES if (tvm_tests / each).exists()]))
    told, silent = {}, []
    with workplace(options["keep"]) as place:
        for name, folder, paths in suites:
            output = place / f"suite-{name}"
            first, again = (score(folder, paths, output, chosen) for _ in range(2))
            told[name] = figures(*first, *again)
            silent += [
                row["test"] for row in first[0]["tests"] if row["vanished"] == "passed" and row["kernels_executed"]
            ]
    head = list(next(iter(told.values())))
    say(table(("figure", *told), [(each, *(found[each] for found in told.values())) for each in head]))
    say(listed("tests that run kernels and pass with every store removed", silent))
    report["suites"], report["silent"] = told, silent
    end(report, options["json_file"])


if __name__ == "__main__":
    main()
