"""A function called in a forked child: what it does to the drivers and memory of its process stays there."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def call_in_child(function: Callable[[], Result]) -> Result:
    """The result of ``function()`` in a forked child, pickled; raises the exception that it raised there.

    A GPU can be used only by a process whose parent has not initialised its driver: whatever may initialise it (a
    question to the driver, the end of a CUDA module) belongs in a child. Raises ChildProcessError if the child died.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            try:
                answer: tuple[bool, object] = (True, function())
            except Exception as error:
                answer = (False, error)
            with os.fdopen(writer, "wb") as out:
                pickle.dump(answer, out)
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answered:
        content = answered.read()
    os.waitpid(child, 0)
    if not content:
        raise ChildProcessError("a child process died before it answered")
    worked, value = pickle.loads(content)
    if not worked:
        raise value
    result: Result = value
    return result
