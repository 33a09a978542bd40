"""The pytest plugin in processes of pytest, on a suite whose tests end in every way."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.entry_points import environment_with_entry_points

# No module of these tests: its tests end in every way.
SUITE = Path(__file__).with_name("a_suite.py.txt")
FAULT = "tir.scale-store"


@dataclass(frozen=True)
class Pytest:
    """pytest with the plugin installed, in a folder that contains the suite."""

    folder: Path
    environment: dict[str, str]

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_suite.py", *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False, timeout=300
        )

    def report(self) -> dict:
        return json.loads((self.folder / ".tvm_mutate" / "suite.json").read_text())

    def row(self, name: str) -> dict:
        (row,) = [row for row in self.report()["tests"] if row["test"].endswith(f"::{name}")]
        return row


@pytest.fixture(scope="module")
def run_pytest(tmp_path_factory: pytest.TempPathFactory) -> Pytest:
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copy(SUITE, folder / "test_suite.py")
    environment = environment_with_entry_points(tmp_path_factory.mktemp("installed"))
    return Pytest(folder, environment)


@pytest.fixture(scope="module")
def ran(run_pytest: Pytest) -> tuple[Pytest, str]:
    """Pytest after a whole run of the plugin, and the output of that run."""
    finished = run_pytest("--tvm-mutate=run", f"--tvm-operators={FAULT}", "--tvm-timeout=0.5")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return run_pytest, finished.stdout


@pytest.mark.parametrize(
    ("name", "outcome", "reason"),
    [
        ("test_good[0]", "passed", ""),
        ("TestForking::test_child_returns", "passed", ""),
        ("test_raises_what_pytest_expects", "passed", ""),
        ("test_fails", "assertion", "AssertionError: assert "),
        ("test_exits", "crash", "the process ended with exit code 0"),
        ("test_crashes", "crash", "SIGSEGV"),
        ("test_hangs", "timeout", "no end within the time limit"),
        ("test_is_skipped", "skipped", ""),
        ("test_is_expected_to_fail", "skipped", ""),
    ],
)
def test_the_outcome_of_each_test_without_a_mutant_is_recorded(ran, name: str, outcome: str, reason: str):
    row = ran[0].row(name)
    assert row["outcome"] == outcome
    assert row["reason"].startswith(reason)


def test_each_test_makes_its_own_fixtures_so_that_all_builds_are_recorded(ran):
    rows = [ran[0].row(name) for name in ("test_good[0]", "test_good[3]", "test_raises_what_pytest_expects")]
    assert [(row["builds"], row["kernels_executed"]) for row in rows] == [(1, 1)] * 3


def test_a_kernel_that_runs_only_in_a_child_of_the_test_counts_as_executed(ran):
    assert ran[0].row("TestForking::test_child_runs_the_kernel")["kernels_executed"] == 1


def test_the_report_names_tests_that_notice_nothing_and_the_reasons_of_survivors(ran):
    run_pytest, output = ran
    assert run_pytest.row("test_notices_nothing")["notices"] is False
    assert run_pytest.row("test_good[3]")["notices"] is True
    assert run_pytest.row("test_good[0]")["notices"] is False  # twice 0 is the value that the memory held before
    assert "Tests that check no value: they run kernels and pass with every store removed" in output
    reasons = {row["reason"] for row in run_pytest.report()["mutants"] if row["verdict"] == "survived"}
    assert reasons >= {"ran, no test checks values", "ran, values unchanged"}
    assert "# What the test-suite notices" in (run_pytest.folder / ".tvm_mutate" / "suite.md").read_text()


def test_the_last_line_is_the_score(ran):
    _, output = ran
    assert output.count("Mutation score") == 1
    assert re.fullmatch(r"Mutation score \d+\.\d % \(\d+ of \d+ killed; 95 % interval .*\)", output.splitlines()[-1])


def test_a_flaky_test_is_listed_apart(ran):
    _, output = ran
    assert "Left out: flaky tests, which end differently without a fault (1)" in output
    assert "::test_is_flaky  passed, assertion, passed in 3 runs without a mutant" in output
    assert "with a mutant that changes nothing" not in output


def test_a_second_run_reuses_all_trials(ran):
    run_pytest, _ = ran
    before = run_pytest.report()
    finished = run_pytest("--tvm-mutate=run", f"--tvm-operators={FAULT}", "--tvm-timeout=0.5")
    after = run_pytest.report()
    assert after["effort"]["trials"] == 0
    assert f"0 runs of tests, {before['effort']['trials']} more from the cache" in finished.stdout
    assert [row["verdict"] for row in after["mutants"]] == [row["verdict"] for row in before["mutants"]]


def test_a_mutant_requested_by_its_id_runs_again_and_its_diff_is_printed(ran):
    run_pytest, _ = ran
    row = next(row for row in run_pytest.report()["mutants"] if row["killer"])
    finished = run_pytest(f"--tvm-mutant={row['id']}", "-k", "test_good", "--tvm-output=replayed")
    assert finished.returncode == 0
    assert "+            " in finished.stdout
    assert f"{row['name']}): killed" in " ".join(finished.stdout.split())


def test_a_score_that_is_too_low_or_missing_makes_the_exit_status_2(ran):
    run_pytest, _ = ran
    again = ("--tvm-mutate=run", f"--tvm-operators={FAULT}", "--tvm-output=gate")
    finished = run_pytest(*again, "-k", "test_good or nothing", "--tvm-fail-under=100")
    lines = finished.stdout.splitlines()
    assert finished.returncode == 2
    assert any(re.fullmatch(r"score \d+\.\d %: below --tvm-fail-under 100 %", line) for line in lines)
    assert lines[-1].startswith("Mutation score")
    assert run_pytest(*again, "-k", "test_good or nothing", "--tvm-fail-under=0.1").returncode == 0
    since = run_pytest(*again, "-k", "test_good or nothing", "--tvm-since=gate", "--tvm-fail-under=100")
    assert since.returncode == 0, since.stdout + since.stderr
    assert "Mutation score" not in since.stdout
    nothing = run_pytest(*again, "-k", "skipped", "--tvm-fail-under=0")
    assert nothing.returncode == 2
    assert "no mutant was killed or survived, so there is no score: below --tvm-fail-under 0 %" in nothing.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--tvm-mutate=run", "-n", "2"], "leave -n out"),
        (["--tvm-mutate=run", "--tvm-budget=soon"], "is no time"),
        (["--tvm-mutate=run", "--tvm-sites=some"], "is not known"),
        (["--tvm-mutate=run", "--tvm-operators=tir.scale-stor"], "did you mean 'tir.scale-store'?"),
        (["--tvm-mutate=run", "--tvm-operators=graph.*"], "acts on kernels"),
        (["--tvm-mutant=tir.scale-store"], "does not parse"),
        (["--tvm-mutate=run", "--tvm-fail-under=101"], "--tvm-fail-under 101 is no percentage; write 0 to 100"),
        (["--tvm-mutate=canary", "--tvm-fail-under=50"], "add --tvm-mutate=run"),
        (["--tvm-fail-under=50"], "add --tvm-mutate=run"),
        (["--tvm-mutate=run", "--tvm-repeats=-1"], "is no number of runs"),
    ],
    ids=lambda each: each[-1] if isinstance(each, list) else None,
)
def test_bad_input_gives_one_sentence_and_a_usage_error(run_pytest: Pytest, arguments: list[str], sentence: str):
    finished = run_pytest(*arguments)
    assert finished.returncode == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in finished.stderr.splitlines() if line.startswith("ERROR")]
    assert sentence in line
    assert "Traceback" not in finished.stderr + finished.stdout


def test_without_its_options_the_plugin_imports_and_writes_nothing(tmp_path: Path, run_pytest: Pytest):
    (tmp_path / "test_plain.py").write_text(
        "import sys\n"
        "def test_plain():\n"
        "    assert not {'tvm', 'numpy', 'tvm_mutate.suite', 'tvm_mutate.plugin.loop'} & set(sys.modules)\n"
        "    assert 'tvm_mutate.plugin.hooks' in sys.modules\n"
    )
    plain: Callable = lambda *arguments: subprocess.run(  # noqa: E731
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *arguments],
        cwd=tmp_path,
        env=run_pytest.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    finished = plain()
    assert finished.returncode == 0, finished.stdout
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".py"] in ([], ["__pycache__"])
    assert "--tvm-mutate" in plain("--help").stdout
