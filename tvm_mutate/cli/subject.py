"""The options that name the inputs of a model, and the subject that they and the model make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tvm_mutate.campaign import Subject
from tvm_mutate.campaign.preparation import prepare_subject
from tvm_mutate.cli.options import Command, preprocessing_changes, shapes_of, with_options
from tvm_mutate.errors import UsageError

_ZOO = "zoo://"
_ZOO_INPUTS = "zoo://digits"


def input_options(command: Command) -> Command:
    """The options that say which inputs a model is run on."""
    return with_options(
        command,
        click.option("--inputs", help=f"Images: a folder, .npz, .npy or {_ZOO_INPUTS}, the default for zoo models."),
        click.option("--labels", help="With --inputs: a CSV file with the columns file and class_index."),
        click.option("--limit", type=click.IntRange(min=1), help="Use this many inputs, evenly spread."),
    )


def subject_of(model: str, inputs: str, options: dict[str, Any], folder: Path) -> Subject:
    """The subject of a model on inputs as the model and input options ask for it, its data in ``folder``."""
    return prepare_subject(
        model,
        inputs,
        folder,
        labels=options["labels"],
        limit=options["limit"],
        shape=shapes_of(options),
        recipe=options["recipe"],
        changes=preprocessing_changes(options),
    )


def inputs_of(model: str, options: dict[str, Any]) -> str:
    """The inputs that the options name, or the zoo's for a model of the zoo; raises UsageError where none are."""
    inputs: str | None = options["inputs"]
    if inputs is None and not model.startswith(_ZOO):
        raise UsageError(f"--inputs is missing: name the images for {model}, or {_ZOO_INPUTS} if it takes those")
    if options["labels"] is not None and inputs in (None, _ZOO_INPUTS):
        raise UsageError(f"--labels needs --inputs with images of your own; {_ZOO_INPUTS} has its labels")
    return _ZOO_INPUTS if inputs is None else inputs
