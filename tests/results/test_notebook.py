"""Results in a notebook: as a table of pandas, and as HTML."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from msgspec.structs import replace

from tests.report.results_by_hand import results_of_three_devices
from tvm_mutate.errors import UsageError
from tvm_mutate.results import Results


@pytest.fixture
def results() -> Results:
    return results_of_three_devices()


class Cells(HTMLParser):
    """The rows of the tables of a page, and its tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])

    def handle_data(self, data: str) -> None:
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
