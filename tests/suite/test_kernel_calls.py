"""Whether a kernel that is given the same values leaves the same values."""

from __future__ import annotations

import pytest

from tvm_mutate.suite.kernel_calls import compare_values

# One argument that is read, and one that is written: before the call, and after the call.
PLAIN = (("in", "fresh"), ("in", "out"))


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ([PLAIN], [PLAIN], "unchanged"),
        ([PLAIN], [(("in", "other"), ("in", "out"))], "unchanged"),
        ([PLAIN], [(("in", "fresh"), ("in", "wrong"))], "changed"),
        ([PLAIN], [(("in", "fresh"), ("in", "fresh"))], "changed"),
        ([PLAIN], [(("in", "other"), ("in", "wrong"))], "depends"),
        ([PLAIN], [(("random", "fresh"), ("random", "out"))], "unknown"),
        ([PLAIN, PLAIN], [PLAIN], "unknown"),
        ([PLAIN, PLAIN], [(("in", "fresh"), ("in", "wrong"))], "changed"),
        ([PLAIN], [(("in",), ("in",))], "unknown"),
        ([PLAIN], [], "unknown"),
        (None, [PLAIN], "unknown"),
    ],
)
def test_the_values_of_two_runs_are_compared_call_by_call(before, after, change: str):
    assert compare_values(before, after) == change
