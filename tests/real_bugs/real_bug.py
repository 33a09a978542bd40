"""Real wrong-code bugs of compilers, each with a mutant that makes the bug again in a small program.

Each file in ``bugs`` is a bug: it defines ``BUG``. To add a bug, add such a file and make the document again with
``python -m tests.real_bugs > docs/real-bugs.md``. ``test_real_bugs.py`` holds every bug to the rules below.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np


class Made(Enum):
    """How much of the bug the mutant makes."""

    EXACTLY = "exactly"  # the same change in the same kind of place
    NEARLY = "nearly"  # the same kind of change; ``remark`` says what differs
    NOT = "not"  # no mutant; ``remark`` says why


@dataclass(frozen=True)
class RealBug:
    """A bug: what went wrong, and a mutant that turns a right program of ours into one with the bug.

    ``reference`` is a pull request or an issue on GitHub, as in ``apache/tvm#19512``. ``right`` and ``wrong`` are
    TVMScript: a function ``main`` in TIR, or a module with a Relax function ``main``. The mutated program equals
    ``wrong`` structurally, and gives other values than ``right`` for ``inputs``, which are the first arguments of
    ``main``; a kernel writes to the buffers behind them.
    """

    reference: str
    area: str
    title: str
    made: Made
    mutant: str = ""
    right: str = ""
    wrong: str = ""
    inputs: Sequence[np.ndarray] = ()
    remark: str = ""

    @property
    def url(self) -> str:
        repository, _, number = self.reference.partition("#")
        return f"https://github.com/{repository}/issues/{number}"  # GitHub redirects from issues to pull requests

    @property
    def order(self) -> tuple[bool, str, int]:
        """TVM's bugs first, then by project and number."""
        repository, _, number = self.reference.partition("#")
        return repository != "apache/tvm", repository, int(number)


def real_bugs() -> list[RealBug]:
    """All bugs, TVM's first."""
    names = sorted(file.stem for file in (Path(__file__).parent / "bugs").glob("*_*.py"))
    bugs = [importlib.import_module(f"tests.real_bugs.bugs.{name}").BUG for name in names]
    return sorted(bugs, key=lambda bug: bug.order)


def kernel(signature: str, body: str) -> str:
    """TVMScript of a kernel; in the signature ``A: (16, 8) float16`` stands for a buffer, float32 without a type."""
    parameters = re.sub(
        r"(?P<shape>\([\d, ]+\)) ?(?P<type>\w*)",
        lambda each: f'T.Buffer({each["shape"]}, "{each["type"] or "float32"}")',
        signature,
    )
    lines = "".join(f"    {line}\n" for line in body.strip("\n").splitlines())
    return f"@T.prim_func(s_tir=True)\ndef main({parameters}):\n{lines}"


def graph(signature: str, lines: str) -> str:
    """TVMScript of a Relax function, as in ``graph("x: (2, 3)", "lv = R.exp(x)")``; the last line is the result."""
    parameters = re.sub(
        r"(?P<shape>\([\d, ]+\)) ?(?P<type>\w*)",
        lambda each: f'R.Tensor({each["shape"]}, "{each["type"] or "float32"}")',
        signature,
    )
    *first, last = [line.strip() for line in lines.strip().splitlines()]
    body = "".join(f"            {line}\n" for line in [*first, f"gv = {last}", "R.output(gv)"])
    return (
        f"@I.ir_module\nclass Module:\n    @R.function\n    def main({parameters}):\n"
        f"        with R.dataflow():\n{body}        return gv\n"
    )
