"""``tvm-mutate list``: every mutant of a model, without building any."""

from __future__ import annotations

import json
from typing import Any

import click

from tvm_mutate.campaign.shard import take_shard
from tvm_mutate.campaign.subject import Pair
from tvm_mutate.campaign.survey import survey
from tvm_mutate.cli.options import selection_options, shape_option, shapes_of, specification_of
from tvm_mutate.kernels import parse_target
from tvm_mutate.model import load_model
from tvm_mutate.operators import load_catalogue
from tvm_mutate.pipeline import Stages


@click.command("list")
@click.argument("model")
@selection_options
@click.option("--target", default="llvm", show_default=True, help="The target whose slots are looked at.")
@shape_option
@click.option("--json", "as_json", is_flag=True, help="JSON, with the variants that have no site and why.")
def list_mutants(model: str, target: str, as_json: bool, **options: Any) -> None:
    """List every mutant of MODEL; nothing is built.

    MODEL is the path of an .onnx or .py file, zoo://NAME or real://NAME.
    """
    specification = specification_of(options)
    catalogue = load_catalogue()
    parsed = parse_target(target)
    loaded = load_model(model, shape=shapes_of(options))
    pair = Pair(loaded.name, target)
    whole = {pair: survey(Stages(loaded.module, parsed), specification, catalogue)}
    found = take_shard(whole, specification.shard)[pair]
    if as_json:
        content = {"model": loaded.name, "target": target, "mutants": found.mutants, "absent": found.absent}
        click.echo(json.dumps(content, indent=2))
        return
    for mutant in found.mutants:
        click.echo(mutant)
    if found.absent:
        click.echo(
            f"{len(found.mutants)} mutants; {len(found.absent)} variants have no site (--json lists them)", err=True
        )
