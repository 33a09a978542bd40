"""Mutation testing of this package itself: which faults in its own bookkeeping do the unit tests miss?

mutmut (pip install mutmut) mutates the ids of mutants, the oracles with their statistics, the results with their
score, and the sharding. Only the unit tests of these parts judge the mutants, and none of these tests builds a model.
The command works in a temporary copy of the repository and prints the score and the survivors.
"""

from __future__ import annotations

import collections
import fnmatch
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]
# The parts: the files to mutate, and the mutants in these files that count, both as patterns of mutmut.
PARTS = {
    "mutant": (["tvm_mutate/mutant/*"], ["tvm_mutate.mutant.*"]),
    "oracle": (["tvm_mutate/oracle/*"], ["tvm_mutate.oracle.*"]),
    "results": (["tvm_mutate/results/*"], ["tvm_mutate.results.*"]),
    "shards": (
        ["tvm_mutate/campaign/plan.py", "tvm_mutate/campaign/survey.py"],
        ["tvm_mutate.campaign.plan.x_parse_s*", "tvm_mutate.campaign.survey.x_take_shard*"],
    ),
}
# The tests that judge. Each of them takes milliseconds.
JUDGES = [
    "tests/mutant",
    "tests/oracle",
    "tests/results",
    "tests/report/test_json_report.py",
    "tests/campaign/test_plan.py",
]
# A mutant that hangs or crashes is killed, as is one whose test fails.
KILLED = ("killed", "timeout", "segfault")
SURVIVED = ("survived", "no tests")


def prepare(root: Path, copy: Path, files: list[str]) -> None:
    """Copies the repository and adds mutmut's settings; mutmut runs pytest in its own process, without workers."""
    ignored = shutil.ignore_patterns("__pycache__", ".*", "mutants")
    shutil.copytree(root, copy, ignore=ignored, dirs_exist_ok=True)
    (copy / "mutants").mkdir()  # Python ignores entries of its path that do not exist when it starts
    settings = copy / "pyproject.toml"
    text = settings.read_text().replace("-n auto --dist worksteal", "-p no:xdist -p no:randomly")
    lines = ["", "[tool.mutmut]", 'source_paths = ["tvm_mutate"]', f"only_mutate = {files}"]
    lines += [f"pytest_add_cli_args_test_selection = {JUDGES}"]
    lines += ['also_copy = ["benchmarks", "README.md"]', "use_git_change_detection = false", "use_setproctitle = false"]
    settings.write_text(text + "\n".join(lines).replace("'", '"') + "\n")


def mutmut(copy: Path, *arguments: str) -> str:
    """Runs mutmut in the copy and returns what it prints. Raises SystemExit if mutmut fails."""
    environment = os.environ | {"PYTHONPATH": str(copy / "mutants"), "TVM_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "mutmut", *arguments]
    finished = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    if finished.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{finished.stdout[-3000:]}\n{finished.stderr[-3000:]}")
    return finished.stdout


def statuses(listing: str) -> dict[str, str]:
    """The status of each mutant in the listing ``name: status`` of ``mutmut results``."""
    pairs = (line.strip().rpartition(": ") for line in listing.splitlines() if line.strip().startswith("tvm_mutate."))
    return {name: status for name, _, status in pairs}


def part_of(name: str) -> str:
    """The part to which a mutant belongs."""
    return next(part for part, (_, names) in PARTS.items() if any(fnmatch.fnmatchcase(name, each) for each in names))


@click.command(help=__doc__)
@click.argument("parts", nargs=-1, type=click.Choice([*PARTS]))
@click.option("--root", type=click.Path(path_type=Path), default=ROOT, help="A checkout of the repository.")
@click.option("--processes", default=1, help="How many mutants are judged at a time.", show_default=True)
@click.option("--diffs", is_flag=True, help="Print the diff of each survivor.")
@click.option(
    "--output", type=click.Path(path_type=Path), help="Write `mutant: status` of every mutant into this file."
)
def main(parts: tuple[str, ...], root: Path, processes: int, diffs: bool, output: Path | None) -> None:
    """Mutates, judges, prints."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        chosen = [PARTS[part] for part in parts or PARTS]
        prepare(root.resolve(), copy, [file for files, _ in chosen for file in files])
        mutmut(copy, "run", "--max-children", str(processes), *(name for _, names in chosen for name in names))
        listed = statuses(mutmut(copy, "results", "--all", "true"))
        judged = {name: status for name, status in listed.items() if status in KILLED + SURVIVED}
        survivors = [name for name, status in judged.items() if status in SURVIVED]
        if output:
            output.write_text("".join(f"{name}: {status}\n" for name, status in judged.items()))
        for name in survivors:
            print(f"{judged[name]}: {name}")
            if diffs:
                print(mutmut(copy, "show", name))
    killed = collections.Counter(part_of(name) for name, status in judged.items() if status in KILLED)
    total = collections.Counter(part_of(name) for name in judged)
    for part in sorted(total):
        print(f"{part}: {killed[part]} of {total[part]} killed ({killed[part] / total[part]:.1%})")
    print(f"score: {killed.total()} of {total.total()} killed ({killed.total() / max(1, total.total()):.1%})")


if __name__ == "__main__":
    main()
