"""Faults in TVM's own lists of passes: which can be there without anyone noticing, and which change results.

Run from the repository's root: `python benchmarks/pipeline_faults.py`, or with some models of the zoo only:
`python benchmarks/pipeline_faults.py zoo://alexnet zoo://resnet --target llvm`. Each pass of the Relax and the TIR
pipeline is left out, run twice, exchanged with the next, and given other options, at all its places at once. With
--keep, the same command goes on where it was.
"""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from typing import Any

import click
from measuring.campaigns import Subject, run_campaign, workplace
from measuring.output import begin, end, json_option, say, table
from measuring.pipeline import CLASSES, SAME_CODE, by_fault, counts, loudest, told

from tvm_mutate.model.zoo import ZOO_NAMES

MODELS = tuple(f"zoo://{name}" for name in ZOO_NAMES)


def tell(faults: dict[tuple[str, str], Any]) -> None:
    """Prints the faults of each class but that of those without any effect, of which there are most."""
    devices: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for (mutant, device), classes in faults.items():
        devices[mutant][device] = classes
    for each in CLASSES:
        named = [mutant for mutant, found in devices.items() if loudest(sum(found.values(), start=Counter())) == each]
        if each == SAME_CODE:
            say(f"\n{each}: {len(named)} faults")
        elif named:
            say(f"\n{each}:", *(f"  {told(mutant.removesuffix('@*#*'), devices[mutant])}" for mutant in named))


@click.command()
@click.argument("models", nargs=-1)
@click.option("--target", "targets", multiple=True, help="Repeatable. Default: llvm and c.")
@click.option("--timeout", default=120, show_default=True, help="Seconds; many a fault is in all kernels at once.")
@click.option("--inputs", default=20, show_default=True, help="How many.")
@click.option("--workers", default=0, help="Worker processes. Default: one a core.")
@click.option("--more", default="", help="More options of `run`, as one text: '--rebuild'.")
@click.option("--keep", help="Keep the campaigns' outputs in this folder.")
@json_option
def main(models: tuple[str, ...], targets: tuple[str, ...], inputs: int, **options: Any) -> None:
    """Tries every fault in the lists of passes on MODELS (default: the whole zoo), and counts what came of it."""
    report = begin("pipeline faults")
    rows = []
    with workplace(options["keep"]) as folder:
        for target in targets or ("llvm", "c"):
            for text in models or MODELS:
                subject = Subject.parse(text)
                arguments = [*subject.arguments(inputs), "--operators", "pipeline", "--target", target]
                arguments += ["--workers", str(options["workers"]), "--timeout", str(options["timeout"])]
                arguments += shlex.split(options["more"])
                rows += run_campaign(arguments, folder / f"pipeline-{subject.name}-{target}", resume=True).rows
    faults = by_fault(rows)
    found = counts(faults)
    lines = [
        (operator, device, sum(each.values()), *(each[name] for name in CLASSES))
        for (operator, device), each in found.items()
    ]
    say(table(("operator", "device", "faults", *CLASSES), lines))
    tell(faults)
    report["faults"] = [
        {"id": mutant, "device": device, "models": dict(each)} for (mutant, device), each in faults.items()
    ]
    end(report, options["json_file"])


if __name__ == "__main__":
    main()
