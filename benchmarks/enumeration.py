"""How long it takes to find all sites of all operators in a model, slot by slot, and in a whole survey.

Run from the repository's root, on an idle machine: `python benchmarks/enumeration.py model.onnx`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import click
from measuring.output import begin, end, json_option, say, table

from tvm_mutate.campaign import Specification, variants
from tvm_mutate.campaign.survey import all_site_counts, survey
from tvm_mutate.kernels import parse_target
from tvm_mutate.model import load_model
from tvm_mutate.mutant import Slot
from tvm_mutate.operators import load_catalogue
from tvm_mutate.pipeline import Stages

HEAD = ("operators", "slot", "variants", "functions", "sites", "seconds", "processor s")


@click.command()
@click.argument("model")
@click.option("--target", default="llvm", show_default=True, help="The target that it is lowered for.")
@click.option("--repeat", default=3, show_default=True, help="Times that each is measured; the best is told.")
@json_option
def main(model: str, target: str, repeat: int, json_file: str | None) -> None:
    """Counts the sites in MODEL of the default operators, and of all; the time of lowering the model is left out."""
    report, catalogue = begin("enumeration"), load_catalogue()
    stages = Stages(load_model(model).module, parse_target(target))
    rows = []
    for operators in ("default", "*"):
        for slots in ((), *((str(slot),) for slot in Slot)):
            for slot in Slot:
                _ = stages.code() if slot is Slot.TEXT else stages.at(slot)
            asked = list(variants(Specification((operators,), slots=slots), catalogue))
            counts, *times = best(repeat, lambda asked=asked: all_site_counts(stages, asked, catalogue))  # type: ignore[misc]
            functions = len({name for each in counts for name in each})
            sites = sum(sum(each.values()) for each in counts)
            rows.append((operators, *(slots or ("each operator's first",)), len(asked), functions, sites, *times))
    say("seconds without lowering the model, which is done before:", table(HEAD, rows))
    specification = Specification(sites="each")
    found, *times = best(repeat, lambda: survey(stages, specification, catalogue))
    say(f"survey of {len(found.mutants)} mutants of single sites, with their ids and the digests of their places: "
        f"{times[0]:.2f} s ({times[1]:.2f} s of the processor)")  # fmt: skip
    report["slots"] = [dict(zip(HEAD, row, strict=True)) for row in rows]
    end({**report, "model": model, "survey": {"mutants": len(found.mutants), "seconds": times}}, json_file)


def best(repeat: int, task: Callable[[], Any]) -> tuple[Any, float, float]:
    """What a task gives, and the shortest of its times: by the clock, and of the processor."""
    clock, processor = [], []
    for _ in range(repeat):
        began, spent = time.perf_counter(), time.process_time()
        value = task()
        clock.append(time.perf_counter() - began)
        processor.append(time.process_time() - spent)
    return value, min(clock), min(processor)


if __name__ == "__main__":
    main()
