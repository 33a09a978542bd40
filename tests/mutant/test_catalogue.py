"""The catalogue of operators."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tvm_mutate.errors import UsageError
from tvm_mutate.mutant import Catalogue, Category, Slot, TextRule
from tvm_mutate.operators import builtin_catalogue, load_catalogue

PAPER_CATEGORIES = set(list(Category)[:6])
ANY_OPERATOR = builtin_catalogue()["tir.swap-compare"]
THIRD_PARTY = """
from dataclasses import replace
from tvm_mutate.operators import builtin_catalogue
MINE = replace(builtin_catalogue()["tir.swap-compare"], name="tir.mine")
"""


def install(folder: Path, module: str, entry_point: str) -> None:
    """Makes a package with one entry point in a folder, as pip would."""
    (folder / "third_party.py").write_text(module)
    information = folder / "third_party-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: third-party\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[tvm_mutate.operators]\nmine = {entry_point}\n")


def test_an_operator_without_an_example_cannot_be_registered():
    with pytest.raises(ValueError, match=r"tir\.swap-compare.*example"):
        Catalogue([replace(ANY_OPERATOR, examples=())])


def test_rules_on_generated_code_and_no_others_act_in_the_slot_text():
    on_text = TextRule(("c",), re.compile("a"), lambda _match, _parameters: "b")
    for changes in ({"rule": on_text}, {"slots": (Slot.TEXT,)}, {"rule": on_text, "slots": (Slot.KERNEL, Slot.TEXT)}):
        with pytest.raises(ValueError, match="act in the slot text"):
            Catalogue([replace(ANY_OPERATOR, **changes)])
    assert len(Catalogue([replace(ANY_OPERATOR, rule=on_text, slots=(Slot.TEXT,))])) == 1


def test_two_operators_of_one_name_cannot_be_registered():
    with pytest.raises(ValueError, match="two operators"):
        Catalogue([ANY_OPERATOR, ANY_OPERATOR])


def test_all_six_categories_of_the_paper_have_operators():
    assert {operator.category for operator in builtin_catalogue().values()} >= PAPER_CATEGORIES


def test_globs_select_operators_in_catalogue_order_without_repetition():
    names = [operator.name for operator in builtin_catalogue().select(["tir.swap-*", "tir.*"])]
    assert names == [name for name in builtin_catalogue() if name.startswith("tir.")]


def test_a_word_after_an_exclamation_mark_excludes_wherever_it_stands():
    catalogue = builtin_catalogue()
    names = [operator.name for operator in catalogue.select(["!tir.swap-*", "tir.*"])]
    assert names == [name for name in catalogue if name.startswith("tir.") and not name.startswith("tir.swap-")]
    assert catalogue.select(["!tir.*"]) == [each for each in catalogue.select(["default"]) if each.name[:4] != "tir."]
    with pytest.raises(UsageError, match="excludes every operator"):
        catalogue.select(["tir.swap-compare", "!tir.*"])
    with pytest.raises(UsageError, match=r"'tir\.swap-compar'.*did you mean"):
        catalogue.select(["!tir.swap-compar"])


def test_a_glob_that_matches_nothing_is_refused_with_the_nearest_name():
    with pytest.raises(UsageError, match=r"'tir.swop-compare'; did you mean 'tir.swap-compare'"):
        builtin_catalogue().select(["tir.swop-compare"])


def test_an_installed_package_adds_its_operators(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    install(tmp_path, THIRD_PARTY, "third_party:MINE")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert load_catalogue()["tir.mine"].rule is ANY_OPERATOR.rule


@pytest.mark.parametrize(
    ("module", "entry_point", "message"),
    [
        ("raise RuntimeError('no luck')", "third_party:MINE", "no luck"),
        ("MINE = [3]", "third_party:MINE", "an Operator or several are expected"),
        (THIRD_PARTY.replace("tir.mine", "tir.swap-compare"), "third_party:MINE", "two operators"),
    ],
)
def test_a_broken_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, entry_point: str, message: str
):
    monkeypatch.delitem(__import__("sys").modules, "third_party", raising=False)
    install(tmp_path, module, entry_point)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UsageError, match=rf"tvm_mutate\.operators.*{message}"):
        load_catalogue()


def test_the_word_default_selects_the_default_operators_without_canaries():
    quiet = replace(ANY_OPERATOR, name="tir.quiet", by_default=False, paper=False)
    catalogue = Catalogue([*builtin_catalogue().values(), quiet])
    chosen = {operator.name for operator in catalogue.select(["default"])}
    assert "tir.swap-compare" in chosen and "tir.quiet" not in chosen
    assert not any(name.startswith("canary.") for name in chosen)
    assert "tir.quiet" in {operator.name for operator in catalogue.select(["default", "tir.q*"])}


def test_the_word_paper_means_mutations_of_all_six_categories():
    categories = {operator.category for operator in builtin_catalogue().select(["paper"])}
    assert categories == PAPER_CATEGORIES


def test_every_builtin_operator_names_the_real_fault_that_it_represents():
    assert [each.name for each in builtin_catalogue().values() if not each.fault] == [
        "canary.negate-output",
        "canary.reverse-loop",
        "canary.no-op",
    ]
