"""The reports for other tools: the schemas' own validation, counts, places of mutants, and a real browser."""

from __future__ import annotations

import html
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
from msgspec.structs import replace

from tests.report.results_by_hand import NEGATE, SWAP, completed, make, results_of_a_suite, results_of_the_decoder
from tvm_mutate.errors import UsageError
from tvm_mutate.model import load_model
from tvm_mutate.mutant import Category
from tvm_mutate.report import Places, compare, report_of_campaign, report_of_suite, write_reports
from tvm_mutate.report.elements_report import elements
from tvm_mutate.report.findings import Report
from tvm_mutate.report.html_report import page
from tvm_mutate.report.junit_report import junit
from tvm_mutate.report.markdown_report import markdown
from tvm_mutate.report.npm import NpmFile
from tvm_mutate.report.sarif_report import sarif
from tvm_mutate.results import NoticedRow, Results

ELEMENTS_SCHEMA = NpmFile(
    "mutation-testing-report-schema",
    "3.8.4",
    "s4G71R6Lt/PpZ0cqeglIcgyBdzLM8E+SeCHZAPg1wkSsPtRBa4XfPzAozYKdiJk/TLbNEEb7En9t0/bveuPuxA==",
    "src/mutation-testing-report-schema.json",
)
SARIF_SCHEMA = NpmFile(
    "@microsoft/jest-sarif",
    "1.0.0-beta.0",
    "A1fOhPd6Ic5iDk4F9YPw1qNB4XF+7+IviR7xl8r2F6QzQkx5cpY9LsGk2rExiFIEcBbjpVnSmwWGBukASkiQ9A==",
    "lib/schemas/sarif-2.1.0-rtm.5.json",
)
HOSTILE = '</script><img src=x onerror="document.title=1"> <!-- `|` \x00\ud800 ]]> &amp; {{data}}'
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def schema(file: NpmFile) -> Any:
    try:
        return json.loads(file.read())
    except UsageError as error:
        pytest.skip(str(error))


@pytest.fixture
def hostile(three_devices: Results) -> Report:
    """Crashes, undefined behaviour, three devices, a fault of the compiler, and a survivor with hostile texts."""
    survivor = completed(SWAP, "llvm", [0, 1, 2, 3])
    noticed = (NoticedRow(oracle=HOSTILE, inputs=1, number=None),)
    attacking = replace(
        survivor, id=f"x@{HOSTILE}#1", operator=HOSTILE, reason=HOSTILE, undefined=(HOSTILE,), noticed=noticed
    )
    compiler = replace(survivor, id="pipeline.x@y#0", category=Category.COMPILER_PASSES)
    return report_of_campaign(replace(three_devices, mutants=(*three_devices.mutants, attacking, compiler)))


@pytest.fixture
def alexnet() -> Report:
    """A real model of the zoo, with a survivor in a graph, one in a kernel, and one in generated code."""
    ids = ("graph.replace-activation{to=sigmoid}@main#6", "tir.swap-compare{from=lt,to=le}@fused_conv2d1_add1_relu1#0")
    rows = [
        replace(completed(SWAP, "llvm", [0, 1, 2, 3]), id=name, operator=name.partition("{")[0], model="alexnet")
        for name in ids
    ]
    results = make(("llvm",), rows, [])
    digest = load_model("zoo://alexnet").digest
    models = [replace(row, reference="zoo://alexnet", model_digest=digest, shape=()) for row in results.models]
    return report_of_campaign(replace(results, models=tuple(models)))


def test_the_published_schema_of_mutation_testing_accepts_campaigns_and_suites(hostile: Report, alexnet: Report):
    published = schema(ELEMENTS_SCHEMA)
    for report in (hostile, alexnet, report_of_suite(results_of_a_suite())):
        written = json.loads(json.dumps(elements(report)))
        jsonschema.validate(written, published)
        assert sum(len(file["mutants"]) for file in written["files"].values()) == len(report.findings)
        ids = [mutant["id"] for file in written["files"].values() for mutant in file["mutants"]]
        assert len({*ids}) == len(ids)


def test_the_published_schema_of_sarif_accepts_campaigns_and_suites(hostile: Report, alexnet: Report):
    published = schema(SARIF_SCHEMA)
    for report in (hostile, alexnet, report_of_suite(results_of_a_suite())):
        written = json.loads(json.dumps(sarif(report)))
        jsonschema.validate(written, published)
        (run,) = written["runs"]
        assert len(run["results"]) == len(report.survivors) > 0
        for result in run["results"]:
            assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]


def test_the_score_of_mutation_testing_elements_is_ours_where_every_mutant_counts(three_devices: Results):
    mutants = [
        each for file in elements(report_of_campaign(three_devices))["files"].values() for each in file["mutants"]
    ]
    detected = sum(each["status"] in ("Killed", "Timeout") for each in mutants)
    survived = sum(each["status"] == "Survived" for each in mutants)
    assert (detected, detected + survived) == (three_devices.score.killed, three_devices.score.decided)
    assert sum(each["status"] == "Timeout" for each in mutants) == 1  # a crash is killed, not a runtime error
    assert not [each for each in mutants if each["status"] == "RuntimeError"]


def test_the_place_of_a_mutant_is_the_changed_lines_of_the_function(alexnet: Report):
    in_graph, in_kernel = sorted((each.place for each in alexnet.findings), key=lambda place: place.file)
    assert in_graph.file == "alexnet/graph/main"
    assert in_kernel.file == "alexnet/kernel/fused_conv2d1_add1_relu1"
    for place, before, after in ((in_graph, "nn.relu", "sigmoid"), (in_kernel, "v_i2 < T", "v_i2 <= T")):
        line = alexnet.files[place.file].text.splitlines()[place.first - 1]
        assert place.first == place.last
        assert before in line
        assert after in place.replacement
        assert place.replacement.replace(after, before) == line
        assert f"+{place.replacement}" in place.difference


def test_a_model_that_cannot_be_loaded_or_has_changed_is_named_in_place_of_its_text(alexnet: Report, hostile: Report):
    assert "zoo:resnet" in next(iter(hostile.files.values())).text
    assert isinstance(alexnet.results, Results)
    changed = [replace(row, model_digest="other") for row in alexnet.results.models]
    report = report_of_campaign(replace(alexnet.results, models=tuple(changed)))
    assert {file.text for file in report.files.values()} == {
        "# The text of this function is missing: zoo://alexnet has changed since the campaign.\n"
    }


def test_junit_counts_survivors_as_failures_and_mutants_without_a_verdict_as_errors(three_devices: Results):
    suites = junit(report_of_campaign(three_devices)).findall("testsuite")
    counted = {suite.get("name"): tuple(int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped"))
               for suite in suites}  # fmt: skip
    assert counted == {"resnet on llvm": (4, 1, 0, 1), "resnet on v3": (4, 0, 1, 1), "resnet on c": (4, 1, 0, 0)}
    for suite in suites:
        assert len(suite.findall("testcase/failure")) == int(suite.attrib["failures"])


def test_the_files_survive_hostile_names(hostile: Report, tmp_path: Path):
    written = write_reports(hostile, ("json", "sarif", "junit", "markdown", "github"), tmp_path)
    assert [path.name for path in written] == [
        "mutation-report.json", "report.sarif", "junit.xml", "report.md", "annotations.txt",
    ]  # fmt: skip
    ElementTree.parse(tmp_path / "junit.xml")
    json.loads((tmp_path / "report.sarif").read_text())
    table = [line for line in (tmp_path / "report.md").read_text().splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in table} == {5}
    assert all(line.startswith("::") for line in (tmp_path / "annotations.txt").read_text().splitlines())


def test_markdown_shows_the_difference_from_the_base(three_devices: Results):
    older = [replace(row, verdict="killed") if row.verdict == "survived" else row for row in three_devices.mutants]
    change = compare(replace(three_devices, mutants=tuple(older[:-1])), three_devices)
    text = "\n".join(markdown(report_of_campaign(three_devices, change)))
    assert "Mutation score 77.8 %" in text
    assert "Score before: 100.0 %, now 77.8 %." in text
    assert "Newly surviving: 2 (`tir.cast{to=float16}@*#*`, `tir.cast{to=float16}@*#*`)" in text
    assert f"New: 1 (`{NEGATE}`)" in text


def test_the_worst_survivors_come_first_and_those_of_undefined_behaviour_last(one_device: Results):
    far, near = (
        completed(name, "cuda", [0, 1, 2, 3], max_abs_diff=size) for name, size in ((SWAP, 2.0), (NEGATE, 1.0))
    )
    results = replace(one_device, mutants=(near, far))
    assert [each.id for each in report_of_campaign(results).survivors] == [SWAP, NEGATE]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")
def test_a_browser_shows_every_mutant_and_runs_no_text_of_theirs(hostile: Report, tmp_path: Path):
    (tmp_path / "report.html").write_text(page(hostile, "", "a reason"), encoding="utf-8")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
               "--virtual-time-budget=2000", "--dump-dom", f"file://{tmp_path}/report.html"]  # fmt: skip
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert f"{len(hostile.findings)} of {len(hostile.findings)} mutants" in shown
    assert "<title>Mutants of resnet on llvm, v3, c</title>" in shown  # no text of a mutant was run
    body = shown.partition('<tbody id="rows">')[2].partition("</tbody>")[0]
    assert body.count("<tr") == len(hostile.findings)
    assert "<img" not in body
    assert html.escape(HOSTILE.partition(" \x00")[0].strip("\x00"), quote=False)[:20] in body


def test_a_package_with_another_digest_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fake = tmp_path / "npm"
    fake.write_text('#!/bin/sh\necho other > "$4/package-1.0.0.tgz"\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(UsageError, match=r"npm gives another package 1\.0\.0"):
        NpmFile("package", "1.0.0", "known", "x").read()


def test_the_places_of_a_program_with_several_calls_are_those_of_its_scenario():
    results = results_of_the_decoder()
    place = Places(results).of(results.mutants[0])
    assert place.file == "decoder/graph/decode" and "+" in place.difference
