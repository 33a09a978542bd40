"""The report ``results.json``, from which every other report can be made again."""

from __future__ import annotations

import functools
import json
import operator
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema

from tvm_mutate.campaign.results import SCHEMA_VERSION, Results, Row
from tvm_mutate.errors import UsageError
from tvm_mutate.report.atomic import write_whole

FILE_NAME = "results.json"
_ROWS_SORTED_BY = {
    "baselines": ("model", "device"),
    "canaries": ("model", "device", "canary"),
    "mutants": ("model", "device", "id"),
    "absent": ("model", "device", "id"),
    "discrepancies": ("model", "id", "devices"),
    "agreements": ("model", "devices"),
    "undefined": ("model", "id"),
}


def write_json(results: Results, folder: str | Path) -> Path:
    """Writes ``results.json`` into the folder, one row a line, rows and names sorted; returns its path.

    Equal results make equal files. Raises ValueError for results that the schema does not allow or that hold NaN,
    and UsageError where the file cannot be written; an older file is untouched then.
    """
    mapping = json.loads(json.dumps(results.to_mapping(), allow_nan=False))  # a copy, and lists for tuples
    fault = find_fault(mapping)
    if fault:
        raise ValueError(f"these are not the results of a campaign: {fault}")
    return write_whole(Path(folder) / FILE_NAME, json_lines(_sorted(mapping)))


def read_json(path: str | Path) -> Results:
    """The results in a ``results.json``, or in the folder that holds one.

    Raises UsageError for a file that is missing, broken, or of another version of the schema.
    """
    file = Path(path) / FILE_NAME if Path(path).is_dir() else Path(path)
    mapping = _parse(file)
    version = mapping.get("schema_version")
    if version != SCHEMA_VERSION:
        raise UsageError(f"{file} has version {version!r} of the results; this tvm_mutate reads {SCHEMA_VERSION} only")
    fault = find_fault(mapping)
    if fault:
        raise UsageError(f"{file} does not hold the results of a campaign: {fault}")
    del mapping["schema_version"]
    fields: Row = {name: tuple(value) if isinstance(value, list) else value for name, value in mapping.items()}
    return Results(**fields)


def load_schema() -> Row:
    """The JSON Schema (draft 2020-12) of ``results.json``; a copy of its own for every caller."""
    text = files("tvm_mutate.report").joinpath("results.schema.json").read_text(encoding="utf-8")
    return json.loads(text)


def find_fault(mapping: Any) -> str | None:
    """What is wrong with the content of a ``results.json``, in one line; None if nothing is."""
    error = jsonschema.exceptions.best_match(_validator().iter_errors(mapping))
    if error is None:
        return None
    message = error.message if len(error.message) <= 200 else f"{error.message[:120]} ... {error.message[-70:]}"
    return f"{error.json_path}: {message}"


@functools.cache
def _validator() -> Any:
    return jsonschema.Draft202012Validator(load_schema())


def _parse(file: Path) -> Row:
    try:
        mapping = json.loads(file.read_text(encoding="utf-8"), parse_constant=_refuse)
    except OSError as error:
        raise UsageError(f"{file} cannot be read ({error.strerror or error}); name a {FILE_NAME}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file} is not JSON ({error}); was it written by tvm_mutate?") from None
    if not isinstance(mapping, dict):
        raise UsageError(f"{file} does not hold the results of a campaign: it is not a JSON object")
    return mapping


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number of JSON")


def _sorted(mapping: Row) -> Row:
    for name, keys in _ROWS_SORTED_BY.items():
        mapping[name].sort(key=operator.itemgetter(*keys))
    return mapping


def json_lines(mapping: Row) -> Iterator[str]:
    """The mapping as JSON text, with a line for every row."""
    before = "{\n"
    for name, value in sorted(mapping.items()):
        yield f"{before}{json.dumps(name)}: "
        before = ",\n"
        if isinstance(value, list) and value:
            yield "[\n"
            yield ",\n".join(_compact(row) for row in value)
            yield "\n]"
        else:
            yield _compact(value)
    yield "\n}\n"


def _compact(value: Any) -> str:
    return json.dumps(value, sort_keys=True, allow_nan=False)
