"""Results in a notebook: as a table of pandas, and as HTML."""

from __future__ import annotations

import ast
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.report.results_by_hand import results_of_three_devices
from tvm_mutate.errors import UsageError
from tvm_mutate.report.changes import Difference
from tvm_mutate.results import Results

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "notebook.ipynb"


@pytest.fixture
def results() -> Results:
    return results_of_three_devices()


class Cells(HTMLParser):
    """The rows of the tables of a page, and its tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.texts: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])

    def spans(self, start: str) -> list[str]:
        return [text for text in self.texts if text.startswith(start)]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self.rows:
            self.rows[-1].append(data)


def test_a_table_of_pandas_has_a_row_for_each_row_and_a_column_for_each_field(results: Results):
    frame = results.to_pandas()
    assert len(frame) == len(results.mutants)
    assert [*frame.columns] == [*results.mutants[0].__struct_fields__]
    assert (frame.verdict == "killed").sum() == results.score.killed
    assert frame.groupby("device").dissimilarity.mean()["c"] == pytest.approx(0.625)
    assert set(results.to_pandas("discrepancies").id) == {row.id for row in results.discrepancies}
    with pytest.raises(UsageError, match="no table 'mutant'; did you mean 'mutants'"):
        results.to_pandas("mutant")


def test_a_notebook_shows_the_score_and_the_verdicts_of_each_device(results: Results):
    text = results._repr_html_()
    assert "Mutation score 77.8 % (7 of 9 killed; 95 % interval 45.3 to 93.7 %)" in text
    assert ["resnet", "c", "killed", "3"] in Cells(text).rows
    assert sum(int(row[-1]) for row in Cells(text).rows) == len(results.mutants)


def test_a_notebook_shows_the_fields_of_a_row_that_have_a_value_and_runs_no_text(results: Results):
    row = replace(results.mutants[0], reason="<img src=x>", proof=None, sites=0)
    found = Cells(row._repr_html_())
    assert ["reason", "<img src=x>"] in found.rows
    assert ["sites", "0"] in found.rows
    assert "proof" not in [name for name, *_ in found.rows]
    assert found.tags == {"table", "tr", "td"}


def shown_by(cell: str, names: dict) -> str:
    """Runs a cell as a notebook does; returns how the value of its last line is shown."""
    *statements, last = ast.parse(cell).body
    assert isinstance(last, ast.Expr)
    exec(compile(ast.Module(statements, []), NOTEBOOK.name, "exec"), names)
    value = eval(compile(ast.Expression(last.value), NOTEBOOK.name, "eval"), names)
    return value._repr_html_() if hasattr(value, "_repr_html_") else repr(value)


def test_the_example_notebook_runs_and_shows_results_tables_a_row_and_a_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in cells)
    names: dict = {}
    results, mutants, _, survivor, difference, score = [shown_by("".join(cell["source"]), names) for cell in cells]
    assert "Mutation score" in results
    assert len(Cells(mutants).rows) == 1 + len(names["results"].mutants)
    assert ["verdict", "survived"] in Cells(survivor).rows
    assert names["survivor"].id.partition("{")[0] in ("graph.replace-activation", "tir.offset-store")
    assert len(Cells(difference).spans("+")) == len(Cells(difference).spans("-")) > 1
    assert score == repr(names["results"].score)


def test_a_notebook_colours_the_changed_lines_of_a_difference_and_runs_no_text():
    found = Cells(Difference("@@ -1 +1 @@\n same\n-old < 1\n+<img src=x>")._repr_html_())
    assert found.spans("+") == ["+<img src=x>"]
    assert found.spans("-") == ["-old < 1"]
    assert found.tags == {"pre", "span"}
