"""Prints docs/real-bugs.md, made from the files of the bugs: ``python -m tests.real_bugs > docs/real-bugs.md``."""

from __future__ import annotations

from collections.abc import Sequence

from tests.real_bugs.real_bug import Made, RealBug, real_bugs

_HEAD = """# Real bugs

Made by `python -m tests.real_bugs`. Each row is a wrong-code bug that a compiler really had. The mutant makes the bug
again in a small program (`tests/real_bugs/bugs`): a test compares the mutated program with the wrong one, and runs both
on an input for which their values differ. *Exactly*: the same change in the same kind of place. *Nearly*: the same kind
of change; the last column says what differs. Which oracles and random inputs notice each bug, and whether tests that
kill mutants find it, is measured: [benchmarks/README.md](../benchmarks/README.md#real-bugs-and-mutants-couplingpy).
"""


def document(bugs: Sequence[RealBug]) -> str:
    """The table of all bugs, with the count of each kind."""
    counts = ", ".join(f"{sum(bug.made is made for bug in bugs)} {made.value}" for made in Made)
    rows = "".join(
        f"| [{bug.reference.removeprefix('apache/tvm')}]({bug.url}) | {bug.area} | {bug.title} | {bug.made.value} "
        f"| {f'`{bug.mutant}`' if bug.mutant else ''} | {bug.remark} |\n"
        for bug in bugs
    )
    return (
        f"{_HEAD}\nOf {len(bugs)} bugs: {counts}.\n\n"
        "| bug | part | what went wrong | made | mutant | remark |\n|-|-|-|-|-|-|\n" + rows
    )


if __name__ == "__main__":
    print(document(real_bugs()), end="")
