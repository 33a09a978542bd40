"""Turns a model and inputs, as a user names them, into a subject that workers can load."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tvm_mutate.campaign.subject import Subject
from tvm_mutate.model import Inputs, Model, Preprocessing, load_inputs, load_model, parse_preprocessing


def prepare_subject(
    reference: str,
    inputs: str | Path,
    folder: Path,
    *,
    labels: str | Path | None = None,
    limit: int | None = None,
    shape: Mapping[str, Sequence[int]] | None = None,
    recipe: str | None = None,
    preprocessing: Mapping[str, Any] | None = None,
) -> Subject:
    """The subject of a model reference and an inputs path; the preprocessed inputs are written into ``folder``.

    ``recipe`` names the preprocessing in place of the model's own, ``preprocessing`` has keys that differ. Raises
    UsageError for a model or inputs that cannot be used.
    """
    model = load_model(reference, shape=shape, preprocessing=parse_preprocessing(recipe) if recipe else None)
    if preprocessing:
        mapping = {**model.preprocessing.to_mapping(), **preprocessing}
        model = replace(model, preprocessing=Preprocessing.from_mapping(mapping, where="options"))
    return subject_of(model, load_inputs(inputs, model, limit=limit, labels=labels), reference, folder, shape)


def subject_of(
    model: Model,
    inputs: Inputs,
    reference: str,
    folder: Path,
    shape: Mapping[str, Sequence[int]] | None = None,
) -> Subject:
    """The subject of a loaded model and loaded inputs, the inputs written into ``folder`` for the workers."""
    name = re.sub(r"[^\w.-]+", "-", model.name)
    path = folder / f"inputs-{name}.npy"
    np.save(path, inputs.data)
    return Subject(
        name=name,
        reference=reference,
        model_digest=model.digest,
        inputs=str(path),
        inputs_digest=inputs.digest,
        input_count=len(inputs),
        labels=None if inputs.labels is None else tuple(int(label) for label in inputs.labels),
        shape=tuple((key, tuple(value)) for key, value in (shape or {}).items()),
    )
