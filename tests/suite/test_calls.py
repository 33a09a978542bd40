"""What the values of a kernel's calls tell: given the same, did it leave the same?"""

from __future__ import annotations

import pytest

from tvm_mutate.suite.calls import compare_values

# One argument that is read, and one that is written: before the call, and after it.
PLAIN = (("in", "fresh"), ("in", "out"))


@pytest.mark.parametrize(
    ("before", "after", "told"),
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
def test_two_runs_of_calls_are_compared_call_by_call(before, after, told: str):
    assert compare_values(before, after) == told
