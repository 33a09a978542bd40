"""``tvm-mutate list``: the mutants of a model, the same in every run."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tvm_mutate.mutant import Mutant, Slot
from tvm_mutate.operators import load_catalogue

from .conftest import Tool, assert_refused

MODEL = "zoo://alexnet"


def test_the_text_has_one_id_per_line_and_stderr_has_the_counts(tool: Tool):
    ended = tool("list", MODEL)
    ids = ended.out.splitlines()
    assert ended.code == 0
    assert len(ids) == len(set(ids)) > 20
    assert all(str(Mutant.parse(each)) == each for each in ids)
    assert ended.err.startswith(f"{len(ids)} mutants; ")


def test_the_json_has_the_same_ids_and_the_reasons_of_absent_variants(tool: Tool):
    content = json.loads(tool("list", MODEL, "--json").out)
    assert content["mutants"] == tool("list", MODEL).out.splitlines()
    assert (content["model"], content["target"]) == ("alexnet", "llvm")
    assert content["absent"]
    assert all(Mutant.parse(each) and reason.startswith("no site: ") for each, reason in content["absent"].items())


def test_mutants_of_generated_code_are_listed_for_known_targets_and_absent_for_others(tool: Tool):
    on_llvm = json.loads(tool("list", MODEL, "--operators", "code.swap-select,code.drop-barrier", "--json").out)
    assert on_llvm["mutants"] == ["code.swap-select@*#*"]
    assert on_llvm["absent"] == {
        "code.drop-barrier@*#*": "no site: code.drop-barrier knows the code generated for cuda, opencl, not for llvm"
    }
    known_nowhere = json.loads(tool("list", MODEL, "--operators", "code.*", "--target", "webgpu", "--json").out)
    assert not known_nowhere["mutants"] and len(known_nowhere["absent"]) > 10
    assert all(reason.endswith(", not for webgpu") for reason in known_nowhere["absent"].values())


def test_single_sites_of_generated_code_are_in_kernels_by_name(tool: Tool):
    ended = tool("list", MODEL, "--operators", "code.multiply-add", "--target", "c", "--sites", "each")
    names = {Mutant.parse(each).mutations[0].function for each in ended.out.splitlines()}
    assert names >= {"fused_matmul_add4_relu4", "fused_conv2d_add_relu"} and "max_pool2d" not in names


@pytest.mark.parametrize(
    ("mutant", "target", "sentence"),
    [
        ("code.swap-select@*#*", "c", "no site: code.swap-select knows the code generated for llvm, not for c"),
        ("code.swap-select@conv#*", "llvm", "no function is named 'conv'; there are fused_conv2d1_add1_relu1"),
        ("code.swap-select@max_pool2d#999", "llvm", "there is no site #999; the last one is #17"),
        ("code.swap-select{slot=kernel}@*#*", "llvm", "code.swap-select has no parameter 'slot'"),
    ],
)
def test_missing_sites_of_generated_code_are_refused(tool: Tool, mutant: str, target: str, sentence: str):
    assert_refused(tool("list", MODEL, "--mutant", mutant, "--target", target), sentence)


def test_two_processes_list_the_same_single_sites_in_the_same_order(process: Tool, tool: Tool):
    arguments = ("list", MODEL, "--operators", "tir.*", "--sites", "sample:5", "--seed", "3")
    there = process(*arguments, environment={"PYTHONHASHSEED": "1"}).out
    assert there == tool(*arguments).out
    assert there.strip()


def test_a_sample_is_a_subset_of_all_single_sites_and_depends_on_the_seed(tool: Tool):
    each = tool("list", MODEL, "--sites", "each").out.splitlines()
    samples = [tool("list", MODEL, "--sites", "sample:7", "--seed", seed).out.splitlines() for seed in (0, 1)]
    for sample in samples:
        assert len(sample) == len(set(sample)) == 7
        assert set(sample) <= set(each)
    assert samples[0] != samples[1]


def test_a_sample_takes_equally_many_sites_from_every_operator(tool: Tool):
    each, sample = (tool("list", MODEL, *more).out.splitlines() for more in (["--sites", "each"], ["--sample", "40"]))
    sizes, drawn = (Counter(Mutant.parse(text).mutations[0].operator for text in ids) for ids in (each, sample))
    assert max(sizes.values()) > 5 * min(sizes.values())
    share = max(drawn.values())
    assert all(drawn[operator] >= min(size, share - 1) for operator, size in sizes.items())
    assert sample == tool("list", MODEL, "--sites", "sample:40").out.splitlines()


def test_the_union_of_the_shards_is_the_sample(tool: Tool):
    sample = tool("list", MODEL, "--sample", "10").out.splitlines()
    shards = [tool("list", MODEL, "--sample", "10", "--shard", f"{k}/3").out.splitlines() for k in (1, 2, 3)]
    assert sorted(text for shard in shards for text in shard) == sorted(sample)
    assert [len(shard) for shard in shards] == [4, 3, 3]


def test_first_takes_one_site_of_every_variant(tool: Tool):
    every = {str(Mutant.parse(text).mutations[0].parameters) for text in tool("list", MODEL).out.splitlines()}
    first = tool("list", MODEL, "--sites", "first").out.splitlines()
    assert len(first) == len(tool("list", MODEL).out.splitlines())
    assert {str(Mutant.parse(text).mutations[0].parameters) for text in first} == every
    assert not [text for text in first if text.endswith("#*")]


def test_a_slot_takes_only_mutants_of_that_slot(tool: Tool):
    ids = tool("list", MODEL, "--slots", "lowered").out.splitlines()
    assert ids
    catalogue = load_catalogue()
    for text in ids:
        (mutation,) = catalogue.parse(text).mutations
        operator = catalogue[mutation.operator]
        assert operator.slot_of(operator.read_parameters(mutation)) is Slot.LOWERED


def test_listed_ids_are_accepted_by_show(tool: Tool):
    for slots in ("graph", "kernel", "lowered", "codegen"):
        for text in tool("list", MODEL, "--slots", slots, "--sites", "sample:1").out.splitlines():
            ended = tool("show", text, MODEL)
            assert (ended.code, ended.err) == (0, "")
            assert f"+++ mutated/{slots}/" in ended.out


def test_two_spellings_of_a_mutant_are_one_mutant(tool: Tool):
    ended = tool(
        *("list", MODEL, "--mutant", "tir.swap-compare{to=ge,from=gt}@*#*"),
        *("--mutant", "tir.swap-compare{from=gt,to=ge,slot=kernel}@*#*"),
    )
    assert ended.out.splitlines() == ["tir.swap-compare{from=gt,to=ge}@*#*"]


def test_all_variants_are_more_than_the_default_ones(tool: Tool):
    some, every = (
        tool("list", MODEL, "--operators", "tir.swap-compare", *more).out.splitlines()
        for more in ([], ["--all-variants"])
    )
    assert set(some) < set(every)


def test_an_empty_choice_of_operators_is_refused(tool: Tool):
    assert_refused(tool("list", MODEL, "--operators", " , "), "--operators names no operator")
