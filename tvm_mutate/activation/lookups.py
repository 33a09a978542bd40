"""Pipelines that are wrapped as they are looked up, where TVM keeps them by name."""

from __future__ import annotations

import contextlib
from collections import UserDict
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

Factory = Callable[..., Any]
_MAP = "PIPELINE_MAP"


class _Wrapped(UserDict):
    """Pipelines by name, wrapped as they are looked up; what is registered goes where it always goes."""

    def __init__(self, pipelines: Any, wrap: Callable[[Factory], Factory]) -> None:
        super().__init__()
        self.data = pipelines
        self._wrap = wrap

    def __getitem__(self, name: str) -> Factory:
        return self._wrap(self.data[name])


@contextlib.contextmanager
def wrapped_pipelines(module: ModuleType, wrap: Callable[[Factory], Factory]) -> Iterator[None]:
    """While this lasts, each factory in the module's map of pipelines is wrapped when it is looked up."""
    with replaced(module, _MAP, _Wrapped(getattr(module, _MAP), wrap)):
        yield


@contextlib.contextmanager
def replaced(module: ModuleType, name: str, replacement: Any) -> Iterator[None]:
    """While this lasts, something else is in a module under a name; what somebody has put over it is left."""
    before = getattr(module, name)
    setattr(module, name, replacement)
    try:
        yield
    finally:
        if getattr(module, name) is replacement:
            setattr(module, name, before)
