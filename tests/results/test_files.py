"""The files of results: JSON text, schemas, faults and whole files."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from tests.report.results_by_hand import results_of_one_device
from tvm_mutate.errors import UsageError
from tvm_mutate.results import (
    Environment,
    SuiteEffort,
    SuiteMode,
    SuiteResults,
    SuiteSettings,
    find_fault,
    json_lines,
    read_json,
    results_schema,
    suite_schema,
    write_json,
    write_suite_json,
    write_whole,
)

DIALECT = "https://json-schema.org/draft/2020-12/schema"
EMPTY_SUITE = SuiteResults(
    settings=SuiteSettings(mode=next(iter(SuiteMode))),
    environment=Environment(versions={}),
    effort=SuiteEffort(),
    tests=(),
    kernels=(),
    mutants=(),
    operators_without_site=(),
)


def test_each_row_of_json_is_a_line_and_names_are_sorted():
    mapping = {"rows": [{"b": 1, "a": 2}, {"c": []}], "one": [3], "none": [], "text": "ab", "pair": {"y": 1, "x": None}}
    assert "".join(json_lines(mapping)) == (
        '{\n"none": [],\n"one": [\n3\n],\n"pair": {"x": null, "y": 1},\n'
        '"rows": [\n{"a": 2, "b": 1},\n{"c": []}\n],\n"text": "ab"\n}\n'
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [float("nan")]])
def test_a_number_that_json_lacks_is_refused(value: object):
    with pytest.raises(ValueError, match="Out of range float values are not JSON compliant"):
        list(json_lines({"value": value}))


@pytest.mark.parametrize(
    ("make", "name", "title"),
    [
        (results_schema, "urn:tvm-mutate:results:2", "Results of a tvm_mutate campaign"),
        (suite_schema, "urn:tvm-mutate:suite:1", "Results of tvm_mutate on a test-suite"),
    ],
)
def test_a_schema_has_its_dialect_name_and_title_and_defines_what_it_refers_to(make, name: str, title: str):
    schema = make()
    assert (schema["$schema"], schema["$id"], schema["title"]) == (DIALECT, name, title)
    references = {part.split('"')[0] for part in json.dumps(schema).split('"$ref": "')[1:]}
    assert references and references <= {f"#/$defs/{each}" for each in schema["$defs"]}
    assert schema["type"] == "object" and "schema_version" in schema["properties"]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"models": 3}, "$.models: Expected `array`, got `int`"),
        ({"environment": {"versions": {"numpy": 2}}}, "$.environment.versions[...]: Expected `str`, got `int`"),
        ({"surprise": 1}, "$: Object contains unknown field `surprise`"),
    ],
)
def test_a_fault_is_one_line_with_its_place(change: dict, fault: str):
    mapping = msgspec.to_builtins(results_of_one_device())
    assert find_fault(mapping) is None
    assert find_fault({**mapping, **change}) == fault


def test_the_results_of_a_suite_are_written_with_their_schema_checked(tmp_path: Path):
    path = write_suite_json(EMPTY_SUITE, tmp_path)
    assert path == tmp_path / "suite.json"
    assert find_fault(json.loads(path.read_text()), SuiteResults) is None
    wrong = msgspec.structs.replace(EMPTY_SUITE, tests=(3,))
    with pytest.raises(ValueError, match=r"^these are not the results of a suite: \$\.tests\[0\]: "):
        write_suite_json(wrong, tmp_path)


def test_wrong_results_of_a_campaign_are_refused_by_name(tmp_path: Path):
    wrong = msgspec.structs.replace(results_of_one_device(), models=(3,))
    with pytest.raises(ValueError, match=r"^these are not the results of a campaign: \$\.models\[0\]: "):
        write_json(wrong, tmp_path)


def test_the_error_for_a_missing_file_says_why_and_what_to_name(tmp_path: Path):
    with pytest.raises(UsageError) as raised:
        read_json(tmp_path / "gone.json")
    assert str(raised.value).endswith(
        "gone.json cannot be read (No such file or directory); name a results.json or its folder"
    )


def test_a_whole_file_has_the_bytes_of_its_parts_in_a_new_folder(tmp_path: Path):
    path = write_whole(tmp_path / "new" / "folder" / "file", ["a\r\n", "ü\n", "\udcff"])
    assert path.read_bytes() == b"a\r\n\xc3\xbc\n\\udcff"
    assert [each.name for each in path.parent.iterdir()] == ["file"]
    assert write_whole(path, []).read_bytes() == b""


def test_a_file_whose_parts_cannot_be_made_is_left_as_it_was(tmp_path: Path):
    def parts():
        yield "new"
        raise ValueError("no more")

    path = write_whole(tmp_path / "file", ["old"])
    with pytest.raises(ValueError, match="no more"):
        write_whole(path, parts())
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
