"""CUDA code without a GPU: what becomes of mutants in the source, in PTX and in machine code.

Run from the repository's root: `python benchmarks/cuda_code.py zoo://resnet mobilenetv2.onnx`, the whole zoo without
MODELS. It needs NVRTC (`pip install cuda-bindings 'nvidia-cuda-nvrtc==13.*'`) or nvcc. With --keep, the same command
goes on where it was. The exit code is 1 if an unmutated kernel does not compile.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

os.environ["TVM_NUM_THREADS"] = "1"  # code is generated in forked children

import click
from measuring.campaigns import Subject
from measuring.cuda_compiler import cuda_compiler
from measuring.device_code import FATES, REFUSED, Compiler, DeviceCode
from measuring.output import begin, end, json_option, listed, say, table

from tvm_mutate.campaign import Specification
from tvm_mutate.campaign.survey import survey
from tvm_mutate.errors import MutateError
from tvm_mutate.kernels import parse_target
from tvm_mutate.model import load_model
from tvm_mutate.model.zoo import ZOO_NAMES
from tvm_mutate.mutant import Mutant
from tvm_mutate.operators import load_catalogue
from tvm_mutate.pipeline import Fused, LoweringCache, Stages

Row = dict[str, str]
EVERY = 20  # mutants from one line of progress to the next


def mutants_of(stages: Stages, name: str, options: Any) -> tuple[str, ...]:
    """The ids of a model's mutants: variants at all sites at once, and a sample of single sites."""
    catalogue, operators = load_catalogue(), tuple(options["operators"].split(","))
    seed = random.Random(f"{options['seed']} {name}").getrandbits(32)  # other variants from model to model
    found = survey(stages, Specification(operators), catalogue).mutants
    if options["variants"] is not None:
        found = tuple(random.Random(seed).sample(found, min(options["variants"], len(found))))
    if options["singles"]:
        sample = f"sample:{options['singles']}"
        found += survey(stages, Specification(operators, sites=sample, seed=seed), catalogue).mutants
    return tuple(dict.fromkeys(found))


def operators_of(mutants: Iterable[str]) -> set[str]:
    """The names of the operators that mutants are of."""
    return {Mutant.parse(mutant).mutations[0].operator for mutant in mutants}


def fates(rows: Iterable[Row]) -> list[int]:
    """How many rows there are, and with each fate."""
    found = Counter(row["fate"] for row in rows)
    return [found.total(), *(found[each] for each in FATES)]


def rows_of(code: DeviceCode, mutant: str, options: Any, compiler: Compiler) -> Iterator[Row]:
    """A row for each kernel that is drawn of those that a mutant changes."""
    parsed, most = Mutant.parse(mutant), options["kernels"]
    row = {"mutant": mutant, "operator": parsed.mutations[0].operator}
    try:
        changed = code.changed(parsed)
    except Exception as error:  # TVM raises what its C++ threw
        complaint = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        yield {**row, "kernel": "", "fate": REFUSED, "complaint": complaint}
        return
    for name in random.Random(f"{options['seed']} {mutant}").sample(
        sorted(changed), min(most or len(changed), len(changed))
    ):
        fate, complaint = code.fate(name, code.mutated(parsed, name, changed[name]), compiler)
        yield {**row, "kernel": name, "fate": fate, "complaint": complaint}


def broken(code: DeviceCode, compiler: Compiler) -> list[str]:
    """The unmutated kernels without CUDA code that compiles, with the complaints."""
    complaints = {}
    for name in code.kernels:
        made = code.unmutated(name)
        complaints[name] = made.refusal or compiler(made.source).complaint
    return [f"{name}: {complaint}" for name, complaint in complaints.items() if complaint]


def rows_of_model(
    name: str, code: DeviceCode, compiler: Compiler, mutants: tuple[str, ...], options: Any
) -> Iterator[Row]:
    """The rows of all mutants of a model; those in a journal that is kept are not made again."""
    journal = Path(options["keep"] or os.devnull).absolute()
    if options["keep"]:
        journal.mkdir(parents=True, exist_ok=True)
        journal /= f"cuda-code-{name}-{options['arch']}.jsonl"
        journal.touch()
    known = [json.loads(line) for line in journal.read_text().splitlines()]
    for number, mutant in enumerate(mutants, 1):
        found = [row for row in known if row["mutant"] == mutant]
        if not found:
            found = [{"model": name, **row} for row in rows_of(code, mutant, options, compiler)]
            with journal.open("a") as file:
                file.writelines(json.dumps(row) + "\n" for row in found)
        yield from found
        if number % EVERY == 0 or number == len(mutants):
            click.echo(f"  {name}: {number}/{len(mutants)} mutants, {compiler.runs} compiled", err=True)


@click.command()
@click.argument("models", nargs=-1)
@click.option("--arch", default="sm_80", show_default=True, help="The GPU's architecture.")
@click.option("--operators", default="default", show_default=True, help="Words or globs, with commas between them.")
@click.option("--variants", type=int, help="Mutants at all sites at once a model, drawn by seed. Default: all.")
@click.option("--singles", default=40, show_default=True, help="Mutants of single sites a model.")
@click.option("--kernels", default=1, show_default=True, help="Kernels of a mutant, drawn by seed; 0 for all.")
@click.option("--seed", default=0, show_default=True, help="Seed of what is drawn.")
@click.option("--keep", type=click.Path(file_okay=False), help="Keep rows in this folder, and go on from there.")
@json_option
@click.pass_context
def main(context: click.Context, models: tuple[str, ...], json_file: str | None, **options: Any) -> None:
    """Generates and compiles the CUDA code of MODELS (default: the zoo), unmutated and with mutants."""
    report, catalogue, cache = begin("cuda code"), load_catalogue(), LoweringCache()
    version, compile_source = cuda_compiler(options["arch"])
    target = parse_target({"kind": "cuda", "arch": options["arch"]})
    rows, wrong, lines, here, there = [], [], [], set(), set()
    say(f"{version}, {options['arch']}")
    for text in models or [f"zoo://{name}" for name in ZOO_NAMES]:
        fused, compiler = Fused(load_model(text).module, cache), Compiler(compile_source)
        code, name = DeviceCode(Stages(fused, target), catalogue), Subject(text).name
        wrong += (failed := [f"{name}, {each}" for each in broken(code, compiler)])
        mutants = mutants_of(code.stages, name, options)
        for stages, names in ((code.stages, here), (Stages(fused, parse_target("llvm")), there)):
            names |= operators_of(mutants_of(stages, name, {**options, "variants": None, "singles": 0}))
        found = list(rows_of_model(name, code, compiler, mutants, options))
        lines.append((name, len(code.kernels), len(failed), len(mutants), *fates(found)))
        rows += found
    lines.append(("all", *(sum(line[column] for line in lines) for column in (1, 2, 3)), *fates(rows)))
    say("", table(("model", "kernels", "broken", "mutants", "drawn", *FATES), lines), "")
    operators = [
        (name, *fates([row for row in rows if row["operator"] == name]))
        for name in sorted({row["operator"] for row in rows})
    ]
    say(table(("operator", "drawn", *FATES), operators), "")
    say(f"  on GPUs only: {', '.join(sorted(here - there))}", f"  on CPUs only: {', '.join(sorted(there - here))}")
    complaints = Counter(f"{row['operator']}: {row['complaint']}" for row in rows if row["complaint"])
    say(
        listed("complaints", [f"{count} x {text}" for text, count in complaints.most_common()]), listed("broken", wrong)
    )
    end({**report, "compiler": version, "rows": rows, "broken": wrong}, json_file)
    context.exit(int(bool(wrong)))


if __name__ == "__main__":
    try:
        main()
    except MutateError as error:
        raise SystemExit(f"error: {error}") from None
