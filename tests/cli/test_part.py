"""``tvm-mutate part``: where two devices diverge."""

from __future__ import annotations

from pathlib import Path

from .conftest import Tool, assert_refused

OUTSIDE = "tir.swap-compare{from=lt,to=le}@fused_conv2d_relu#*"


def test_the_kernel_the_pass_and_the_behaviour_are_printed(tool: Tool, network: list[str], tmp_path: Path):
    arguments = [each for each in network if each not in ("--workers", "1")]
    ended = tool("part", OUTSIDE, *arguments, "--limit", "1", "--target", "llvm", "--target", "c")
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0].startswith("kernel")
    assert any(line.startswith("pass: tirx.LowerIntrin (host)") for line in lines)
    assert "behaviour: undefined" in lines


def test_other_than_two_devices_of_this_machine_are_refused(tool: Tool, network: list[str]):
    arguments = [each for each in network if each not in ("--workers", "1")]
    assert_refused(
        tool("part", OUTSIDE, *arguments, "--target", "llvm"), "this command compares two devices, not 1; name two"
    )
    cuda = '{"kind":"cuda","arch":"sm_80"}'
    refused = tool("part", OUTSIDE, *arguments, "--target", "llvm", "--target", cuda)
    assert_refused(refused, "on the processor of this machine only")
    assert_refused(tool("part", OUTSIDE.replace("*", "99"), *arguments), "there is no site #99")
