"""The files of results: ``results.json`` and ``suite.json``, their schemas, and how a file is written as a whole."""

from __future__ import annotations

import json
import operator
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from tvm_mutate.errors import UsageError
from tvm_mutate.results.rows import SCHEMA_VERSION, Results
from tvm_mutate.results.suite_rows import SuiteResults

RESULTS_FILE, SUITE_FILE = "results.json", "suite.json"
SUITE_VERSION = 1
_Kind = TypeVar("_Kind")
_SORTED_BY = {
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
    and UsageError if the file cannot be written; an older file is untouched then.
    """
    mapping: dict[str, Any] = msgspec.to_builtins(results)
    for name, keys in _SORTED_BY.items():
        mapping[name] = sorted(mapping[name], key=operator.itemgetter(*keys))
    return _write_checked(mapping, Results, Path(folder) / RESULTS_FILE, "a campaign")


def write_suite_json(results: SuiteResults, folder: str | Path) -> Path:
    """Writes ``suite.json`` into the folder, one row a line; raises as :func:`write_json` does."""
    return _write_checked(msgspec.to_builtins(results), SuiteResults, Path(folder) / SUITE_FILE, "a suite")


def read_json(path: str | Path) -> Results:
    """The results in a ``results.json``, or in the folder that holds one.

    Raises UsageError for a file that is missing, broken, or of another version of the schema.
    """
    return _read(Path(path), RESULTS_FILE, Results, SCHEMA_VERSION, "a campaign")


def read_suite_json(path: str | Path) -> SuiteResults:
    """The results in a ``suite.json``, or in the folder that holds one; raises as :func:`read_json` does."""
    return _read(Path(path), SUITE_FILE, SuiteResults, SUITE_VERSION, "a suite")


def _read(path: Path, name: str, kind: type[_Kind], known: int, what: str) -> _Kind:
    file = path / name if path.is_dir() else path
    try:
        mapping = msgspec.json.decode(file.read_bytes())
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(f"{file} cannot be read ({reason}); name a {name} or its folder") from None
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UsageError(f"{file} is not JSON ({error}); was it written by tvm_mutate?") from None
    if not isinstance(mapping, dict):
        raise UsageError(f"{file} does not hold the results of {what}: it is not a JSON object")
    version = mapping.get("schema_version")
    if version != known:
        raise UsageError(f"{file} has version {version!r} of the results; this tvm_mutate reads {known} only")
    if fault := find_fault(mapping, kind):
        raise UsageError(f"{file} does not hold the results of {what}: {fault}")
    return msgspec.convert(mapping, kind)


def find_fault(mapping: Any, kind: type[Any] = Results) -> str | None:
    """What is wrong with the content of a ``results.json`` or ``suite.json``, in one line; None if nothing is."""
    try:
        msgspec.convert(mapping, kind)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `")
        return f"{place.removesuffix('`') or '$'}: {message}"
    return None


def results_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of ``results.json``."""
    return _schema(Results, "results", SCHEMA_VERSION, "Results of a tvm_mutate campaign")


def suite_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of ``suite.json``."""
    return _schema(SuiteResults, "suite", SUITE_VERSION, "Results of tvm_mutate on a test-suite")


def write_whole(path: Path, parts: Iterable[str]) -> Path:
    """Writes a text file in one step: after any error or interruption an older file of that name is as it was.

    The folder is made if it is missing. Raises UsageError if the system does not let the file be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # A reason can quote text that is not valid Unicode: that text is escaped.
            with temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
                file.writelines(parts)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)  # noqa: PTH105
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror or error})") from None
    return path


def json_lines(mapping: dict[str, Any]) -> Iterator[str]:
    """The mapping as JSON text, with a line for every row; raises ValueError for NaN."""
    before = "{\n"
    for name, value in sorted(mapping.items()):
        rows = isinstance(value, Sequence) and not isinstance(value, str) and len(value) > 0
        text = ("[\n" + ",\n".join(map(_compact, value)) + "\n]") if rows else _compact(value)
        yield f"{before}{json.dumps(name)}: {text}"
        before = ",\n"
    yield "\n}\n"


def _compact(value: Any) -> str:
    return json.dumps(value, sort_keys=True, allow_nan=False)


def _write_checked(mapping: dict[str, Any], kind: type[Results] | type[SuiteResults], path: Path, what: str) -> Path:
    parts = list(json_lines(mapping))
    if fault := find_fault(mapping, kind):
        raise ValueError(f"these are not the results of {what}: {fault}")
    return write_whole(path, parts)


def _schema(kind: type, name: str, version: int, title: str) -> dict[str, Any]:
    (schema,), definitions = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    top = definitions.pop(schema["$ref"].rpartition("/")[2])
    identity = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"urn:tvm-mutate:{name}:{version}"}
    return {**identity, **top, "title": title, "$defs": definitions}
