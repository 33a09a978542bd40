"""Finds the preprocessing recipe that lies beside a model's file."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from tvm_mutate.model.preprocessing import Preprocessing
from tvm_mutate.model.recipes import layout_of, read_document, read_recipe


def find_preprocessing(model_path: Path, shape: tuple[int, ...]) -> Preprocessing | None:
    """The recipe for the model file at ``model_path``, with input of ``shape``, or None if there is none.

    Looked for in this order: ``<stem>.toml`` and ``<stem>.json`` beside the model; the model's entry in a
    ``models.json`` in its folder, then in the parent folder. Raises UsageError, naming the file, where such a
    file cannot be used.
    """
    for suffix in (".toml", ".json"):
        beside = model_path.with_suffix(suffix)
        if beside.is_file() and beside.name != "models.json":
            return read_recipe(beside, layout_of(shape))
    folder = model_path.resolve().parent
    for listing in (folder / "models.json", folder.parent / "models.json"):
        if listing.is_file():
            entry = _entry(listing, model_path.resolve())
            if entry is not None:
                return _of_entry(entry, shape, f"{listing}: entry {entry.get('name', model_path.stem)!r}")
    return None


def _entry(listing: Path, model_path: Path) -> dict[str, Any] | None:
    entries = read_document(listing)
    if not isinstance(entries, list):
        return None  # some other tool's file of that name
    for entry in entries:
        file = entry.get("file") if isinstance(entry, dict) else None
        if isinstance(file, str) and (listing.parent / file).resolve() == model_path:
            return entry
    return None


def _of_entry(entry: dict[str, Any], shape: tuple[int, ...], where: str) -> Preprocessing | None:
    # Entries describe the whole model (name, data set, shape), so keys of other things are no mistakes here.
    keys = {each.name for each in fields(Preprocessing)}
    recipe = {key: value for key, value in entry.items() if key in keys}
    if not recipe:
        return None
    layout = layout_of(shape)
    return Preprocessing.from_mapping(({} if layout is None else {"layout": layout}) | recipe, where=where)
