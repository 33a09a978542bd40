"""Mutation testing of this package itself: which faults in its own bookkeeping do the unit tests miss?

mutmut (pip install mutmut) mutates the ids of mutants, the oracles with their statistics, the results with their
score, and the sharding. Only the unit tests of these parts judge the mutants, and none of these tests builds a model.
The command works in a temporary copy of the repository and prints the score and the survivors.
"""

from __future__ import annotations

import collections
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]
# Mutated folders and files of the package. Names that do not exist are left out.
MUTATED = ("mutant", "oracle", "results", "campaign/shard.py")
# The tests that judge. Each of them takes milliseconds.
JUDGES = ("mutant", "oracle", "results", "report/test_json_report.py", "campaign/test_plan.py")
# A mutant that hangs or crashes is killed, as is one whose test fails.
KILLED = ("killed", "timeout", "segfault")
SURVIVED = ("survived", "no tests")


def mutated_files(root: Path, parts: tuple[str, ...] = MUTATED) -> list[str]:
    """The files of the parts, as patterns of mutmut."""
    found = [root / "tvm_mutate" / name for name in parts]
    return [f"{path.relative_to(root)}{'/*' if path.is_dir() else ''}" for path in found if path.exists()]


def judging_tests(root: Path) -> list[str]:
    """The folders and files of the judging tests."""
    return [f"tests/{name}" for name in JUDGES if (root / "tests" / name).exists()]


def prepare(root: Path, copy: Path, parts: tuple[str, ...]) -> None:
    """Copies the repository and adds mutmut's settings; mutmut runs pytest in its own process, without workers."""
    ignored = shutil.ignore_patterns("__pycache__", ".*", "mutants")
    shutil.copytree(root, copy, ignore=ignored, dirs_exist_ok=True)
    (copy / "mutants").mkdir()  # Python ignores entries of its path that do not exist when it starts
    settings = copy / "pyproject.toml"
    text = settings.read_text().replace("-n auto --dist worksteal", "-p no:xdist -p no:randomly")
    lines = ["", "[tool.mutmut]", 'source_paths = ["tvm_mutate"]', f"only_mutate = {mutated_files(root, parts)}"]
    lines += [f"pytest_add_cli_args_test_selection = {judging_tests(root)}"]
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
    """The part of the package to which a mutant belongs."""
    return name.split(".")[1]


@click.command(help=__doc__)
@click.argument("parts", nargs=-1, type=click.Choice(MUTATED))
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
        prepare(root.resolve(), copy, parts or MUTATED)
        mutmut(copy, "run", "--max-children", str(processes))
        judged = statuses(mutmut(copy, "results", "--all", "true"))
        survivors = [name for name, status in judged.items() if status in SURVIVED]
        if output:
            output.write_text("".join(f"{name}: {status}\n" for name, status in judged.items()))
        for name in survivors:
            print(f"{judged[name]}: {name}")
            if diffs:
                print(mutmut(copy, "show", name))
    killed = collections.Counter(part_of(name) for name, status in judged.items() if status in KILLED)
    total = collections.Counter(part_of(name) for name, status in judged.items() if status in KILLED + SURVIVED)
    for part in sorted(total):
        print(f"{part}: {killed[part]} of {total[part]} killed ({killed[part] / total[part]:.1%})")
    print(f"score: {killed.total()} of {total.total()} killed ({killed.total() / max(1, total.total()):.1%})")


if __name__ == "__main__":
    main()
