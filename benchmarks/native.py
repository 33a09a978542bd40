"""The passes in C++ against those in Python: the same sites and the same IR, on every kernel.

Run from the repository's root, with the native library built; the whole zoo without MODELS:
`python benchmarks/native.py zoo://resnet mobilenetv2.onnx --target llvm`. The exit code is 1 if any mutant differs.
"""

from __future__ import annotations

from dataclasses import asdict

import click
from measuring.campaigns import Subject
from measuring.native import Compared, compare, native_selections
from measuring.output import begin, end, json_option, listed, say, table

from tvm_mutate.errors import MutateError
from tvm_mutate.kernels import parse_target
from tvm_mutate.model import load_model
from tvm_mutate.model.zoo import ZOO_NAMES
from tvm_mutate.mutant import Slot
from tvm_mutate.native import native_library
from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.passes import native_operators
from tvm_mutate.pipeline import Fused, LoweringCache, Stages, kernels_of

SLOTS = (Slot.KERNEL, Slot.LOWERED, Slot.CODEGEN)
HEAD = ("model", "slot", "kernels", "sites", "compared", "rewritten", "differ", "Python s", "C++ s", "ratio")


def figures(model: str, slot: str, found: Compared) -> list[object]:
    """The row of one model and slot under HEAD."""
    return [
        model, slot, found.kernels, found.sites, found.passes, found.rewritten, len(found.different), found.python,
        found.native, found.native / max(found.python, 1e-9),
    ]  # fmt: skip


@click.command()
@click.argument("models", nargs=-1)
@click.option("--target", "targets", multiple=True, default=["llvm"], show_default=True, help="Repeatable.")
@click.option("--single", type=int, help="At most so many single sites of a variant in a kernel. Default: all.")
@json_option
@click.pass_context
def main(
    context: click.Context, models: tuple[str, ...], targets: tuple[str, ...], single: int | None, json_file: str | None
) -> None:
    """Mutates every kernel of MODELS in both languages, all sites at once and each alone, and compares the two."""
    report = begin("native")
    library = native_library()
    if not library:
        raise click.ClickException(str(library.obstacle))
    catalogue, cache = builtin_catalogue(), LoweringCache()
    say(f"{len(native_operators())} operators, built for apache-tvm-ffi {library.built_for}")
    everything, rows = Compared(), []
    for text in models or [f"zoo://{name}" for name in ZOO_NAMES]:
        fused = Fused(load_model(text).module, cache)
        for target in targets:
            stages = Stages(fused, parse_target(target))
            for slot in SLOTS:
                found = compare(kernels_of(stages.at(slot)), list(native_selections(catalogue, slot)), single)
                name = f"{Subject(text).name} on {stages.target.kind.name}"
                rows.append(figures(name, str(slot), found))
                say(f"  {name}, {slot}: {found.passes} compared, {len(found.different)} differ")
                say(listed("differ", found.different))
                everything.add(found)
    say("", table(HEAD, [*rows, figures("all", "", everything)]))
    report["models"] = [dict(zip(HEAD, row, strict=True)) for row in rows]
    end({**report, "all": asdict(everything)}, json_file)
    context.exit(int(bool(everything.different)))


if __name__ == "__main__":
    try:
        main()
    except MutateError as error:
        raise SystemExit(f"error: {error}") from None
