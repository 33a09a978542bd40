from __future__ import annotations

import copy
import errno
import json
import os
from pathlib import Path

import jsonschema
import msgspec
import numpy as np
import pytest

from tvm_mutate.campaign import Pair
from tvm_mutate.campaign.mutant_rows import Baseline, lost_row, mutant_row
from tvm_mutate.device import Ending, EndingKind
from tvm_mutate.errors import UsageError
from tvm_mutate.evaluate import RUNNING, Evaluation
from tvm_mutate.mutant import Category, Slot
from tvm_mutate.operators import load_catalogue
from tvm_mutate.oracle import Outcome, Rung, Verdict, parse_oracle
from tvm_mutate.results import SCHEMA_VERSION, Results, find_fault, read_json, results_schema, write_json
from tvm_mutate.samples import Samples


def plain(results: Results) -> dict:
    return json.loads(json.dumps(msgspec.to_builtins(results)))


def test_the_schema_is_a_schema_of_the_version_that_results_have():
    schema = results_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["properties"]["schema_version"]["enum"] == [SCHEMA_VERSION]
    assert schema["$id"].endswith(f":{SCHEMA_VERSION}")


@pytest.mark.parametrize(
    ("name", "words"),
    [("Category", Category), ("Slot", Slot), ("Outcome", Outcome), ("Verdict", Verdict), ("Rung", Rung)],
)
def test_the_schema_knows_the_words_of_the_code_and_no_others(name, words):
    listed = [word for word in results_schema()["$defs"][name]["enum"] if word is not None]
    assert sorted(listed) == sorted(map(str, words))


def test_the_schema_accepts_results_with_crashes_timeouts_and_compile_errors(three_devices, one_device):
    assert find_fault(plain(three_devices)) is None
    assert find_fault(plain(one_device)) is None


@pytest.mark.parametrize(
    "list_name",
    ["models", "devices", "baselines", "canaries", "mutants", "absent", "discrepancies", "agreements", "undefined"],
)
def test_the_schema_wants_every_name_of_every_row_and_no_other(three_devices, list_name):
    mapping = plain(three_devices)
    fields = msgspec.structs.fields(type(getattr(three_devices, list_name)[0]))
    for name in mapping[list_name][0].keys() - {field.name for field in fields if not field.required}:
        broken = copy.deepcopy(mapping)
        del broken[list_name][0][name]
        assert f"`{name}`" in find_fault(broken)
    mapping[list_name][0]["surprise"] = 1
    assert "surprise" in find_fault(mapping)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("verdict", "slain"),
        ("outcome", None),
        ("rung", "top"),
        ("dissimilarity", 1.5),
        ("category", "Other"),
        ("id", ""),
    ],
)
def test_the_schema_rejects_an_impossible_word_or_figure(three_devices, name, value):
    mapping = plain(three_devices)
    mapping["mutants"][3][name] = value
    assert find_fault(mapping).startswith(f"$.mutants[3].{name}: ")


def test_the_schema_fits_the_rows_that_campaigns_make(three_devices, tmp_path):
    scores = Samples((np.array([[1.0, 0.0], [0.0, 1.0]]),))
    scores.save(tmp_path / "golden")
    baseline = Baseline(Pair("resnet", "llvm"), "ab", str(tmp_path / "golden"), (0, 1), 1.0, 1.5, (0.1, 0.2), 0.0, True)
    catalogue, oracles = load_catalogue(), [parse_oracle("top-1")]
    mutant = catalogue.parse("canary.negate-output@main#*")
    negated = Samples((-scores.arrays[0],))
    run = Evaluation(applied=(), digest="cd", build_seconds=1.0, outputs=negated, run_seconds=(0.1, 0.1))
    ended = Ending(EndingKind.FINISHED, RUNNING, 2.0, run)
    rows = [
        lost_row(mutant, baseline, EndingKind.DIED, "gone", catalogue),
        lost_row(mutant, baseline, EndingKind.LOST, "gone", catalogue),
        mutant_row(mutant, baseline, ended, np.array([0, 1]), oracles, catalogue),
    ]
    assert find_fault(plain(msgspec.structs.replace(three_devices, mutants=tuple(rows), discrepancies=()))) is None


def test_results_read_back_are_the_results_written(three_devices, tmp_path):
    path = write_json(three_devices, tmp_path)
    assert path == tmp_path / "results.json"
    read, written = plain(read_json(path)), plain(three_devices)
    assert read.keys() == written.keys()
    for name, value in written.items():
        assert in_any_order(read[name]) == in_any_order(value), name


def in_any_order(value: object) -> object:
    return sorted(json.dumps(row, sort_keys=True) for row in value) if isinstance(value, list) else value


def test_results_can_be_read_from_the_folder_that_holds_them(one_device, tmp_path):
    write_json(one_device, tmp_path / "new" / "folder")
    assert read_json(tmp_path / "new" / "folder").mutants[1].outcome == "device lost"


def test_equal_results_make_equal_files_for_every_order_of_rows(three_devices, tmp_path):
    turned = {
        name: tuple(reversed(getattr(three_devices, name)))
        for name in ("baselines", "canaries", "mutants", "absent", "discrepancies", "agreements", "undefined")
    }
    first = write_json(three_devices, tmp_path / "a").read_bytes()
    assert write_json(msgspec.structs.replace(three_devices, **turned), tmp_path / "b").read_bytes() == first
    assert write_json(read_json(tmp_path / "a"), tmp_path / "a").read_bytes() == first


def test_each_row_has_a_line_of_its_own(three_devices, tmp_path):
    lines = write_json(three_devices, tmp_path).read_text().splitlines()
    assert sum('"outcome": ' in line for line in lines) == len(three_devices.mutants)


def test_nan_is_never_written(three_devices, tmp_path):
    rows = (msgspec.structs.replace(three_devices.mutants[0], max_abs_diff=float("nan")),)
    with pytest.raises(ValueError, match="JSON"):
        write_json(msgspec.structs.replace(three_devices, mutants=rows), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_results_that_the_schema_does_not_allow_are_not_written(three_devices, tmp_path):
    write_json(three_devices, tmp_path)
    before = (tmp_path / "results.json").read_bytes()
    rows = (msgspec.structs.replace(three_devices.mutants[0], verdict="slain"),)
    with pytest.raises(ValueError, match=r"\$\.mutants\[0\]\.verdict: Invalid enum value 'slain'"):
        write_json(msgspec.structs.replace(three_devices, mutants=rows), tmp_path)
    assert (tmp_path / "results.json").read_bytes() == before


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_no_other(three_devices, one_device, tmp_path, monkeypatch, call):
    write_json(three_devices, tmp_path)
    before = (tmp_path / "results.json").read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    with pytest.raises(UsageError, match=r"results\.json cannot be written \(No space left on device\)"):
        write_json(one_device, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
    assert (tmp_path / "results.json").read_bytes() == before


def test_the_error_for_a_folder_that_is_a_file_is_one_sentence(one_device, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        write_json(one_device, tmp_path / "taken")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("", "is not JSON"),
        ('{"schema_version": 1, "envir', "is not JSON"),
        ('{"schema_version": NaN}', "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "not a JSON object"),
        ("{}", "version None"),
        ('{"schema_version": 1}', "has version 1 of the results; this tvm_mutate reads 2 only"),
        ('{"schema_version": 2}', "missing required field"),
    ],
)
def test_the_error_for_a_missing_broken_or_outdated_file_is_one_sentence(tmp_path, content, message):
    file = tmp_path / "old.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UsageError) as raised:
        read_json(file)
    assert message in str(raised.value)
    assert str(file) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_error_for_a_file_that_is_not_text_is_one_sentence(tmp_path):
    (tmp_path / "results.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="is not JSON"):
        read_json(Path(tmp_path))
