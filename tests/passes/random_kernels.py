"""Small random kernels as TVMScript: loops, blocks, bindings, and conditions on affine expressions and on loads."""

from __future__ import annotations

import random

COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")


class KernelWriter:
    """Writes one kernel, with all that is random in it taken from ``source``."""

    def __init__(self, source: random.Random) -> None:
        self.source = source
        self.count = 0

    def kernel(self) -> str:
        head = "@T.prim_func(s_tir=True)\ndef main(A: T.Buffer((8,), 'int32'), B: T.Buffer((8,), 'int32')):\n"
        return head + self.loop(1, [], 3)

    def statement(self, depth: int, names: list[str], budget: int) -> str:
        if budget == 0:
            return self.store(depth, names)
        kinds = (self.loop, self.branch, self.branch, self.binding, self.block, self.both)
        return self.source.choice(kinds)(depth, names, budget - 1)

    def loop(self, depth: int, names: list[str], budget: int) -> str:
        name, start = self.name("i"), self.source.choice((0, 0, 0, 1, -2))
        body = self.statement(depth + 1, [*names, name], budget)
        return f"{'    ' * depth}for {name} in range({start}, {start + self.source.randint(1, 6)}):\n{body}"

    def branch(self, depth: int, names: list[str], budget: int) -> str:
        pad = "    " * depth
        text = f"{pad}if {self.condition(names)}:\n{self.statement(depth + 1, names, budget)}"
        if self.source.random() < 0.4:
            text += f"{pad}else:\n{self.statement(depth + 1, names, budget)}"
        return text

    def binding(self, depth: int, names: list[str], budget: int) -> str:
        name = self.name("x")
        value = self.number(names) if self.source.random() < 0.8 else self.load(names)
        rest = self.statement(depth, [*names, name], budget)
        return f"{'    ' * depth}{name}: T.let[T.int32] = {value}\n{rest}"

    def block(self, depth: int, names: list[str], budget: int) -> str:
        pad, name = "    " * (depth + 1), self.name("v")
        head = f"{'    ' * depth}with T.sblock('{self.name('block')}'):\n"
        head += f"{pad}{name} = T.axis.opaque(64, {self.number(names)})\n"
        if self.source.random() < 0.5:
            head += f"{pad}T.where({self.condition(names)})\n"
        return f"{head}{pad}T.reads()\n{pad}T.writes()\n{self.statement(depth + 1, [name], budget)}"

    def both(self, depth: int, names: list[str], budget: int) -> str:
        return self.statement(depth, names, budget) + self.statement(depth, names, budget)

    def store(self, depth: int, names: list[str]) -> str:
        call = self.source.choice(("T.if_then_else", "T.Select"))
        value = f"{call}({self.condition(names)}, {self.number(names)}, {self.source.randint(-9, 9)})"
        return f"{'    ' * depth}B[{self.source.choice(names)}] = {value}\n"

    def condition(self, names: list[str], budget: int = 2) -> str:
        kind = self.source.random()
        if budget and kind < 0.25:
            joint = self.source.choice(("and", "or"))
            return f"({self.condition(names, budget - 1)} {joint} {self.condition(names, budget - 1)})"
        if budget and kind < 0.32:
            return f"(not {self.condition(names, budget - 1)})"
        left = self.load(names) if kind > 0.9 else self.number(names)
        right = self.number(names) if self.source.random() < 0.2 else str(self.source.randint(-4, 12))
        return f"{left} {self.source.choice(COMPARISONS)} {right}"

    def number(self, names: list[str]) -> str:
        name, other = self.source.choice(names), self.source.choice(names)
        forms = (
            name,
            name,
            f"{name} + {self.source.randint(-3, 5)}",
            f"{name} * {self.source.randint(2, 5)} + {other}",
            f"{self.source.randint(0, 6)} - {name}",
            f"{name} // {self.source.randint(2, 4)}",
            f"({name} + {other}) % {self.source.randint(2, 5)}",
            f"T.min({name}, {self.source.randint(0, 5)})",
        )
        return self.source.choice(forms)

    def load(self, names: list[str]) -> str:
        return f"{self.source.choice('AB')}[{self.source.choice(names)}]"

    def name(self, stem: str) -> str:
        self.count += 1
        return f"{stem}{self.count}"
