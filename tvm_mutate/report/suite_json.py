"""The report ``suite.json``, from which every other report of a suite can be made again."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema

from tvm_mutate.results import json_lines, write_whole
from tvm_mutate.suite.results import SuiteResults

FILE_NAME = "suite.json"


def write_suite_json(results: SuiteResults, folder: str | Path) -> Path:
    """Writes ``suite.json`` into the folder, one row a line; returns its path.

    Raises ValueError for results that the schema does not allow, and UsageError where the file cannot be written.
    """
    mapping = json.loads(json.dumps(results.to_mapping(), allow_nan=False))
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(load_suite_schema()).iter_errors(mapping))
    if error is not None:
        raise ValueError(f"these are not the results of a suite: {error.json_path}: {error.message[:200]}")
    return write_whole(Path(folder) / FILE_NAME, json_lines(mapping))


def load_suite_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of ``suite.json``."""
    return json.loads(files("tvm_mutate.report").joinpath("suite.schema.json").read_text(encoding="utf-8"))
