"""Files in TOML or JSON."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

from tvm_mutate.errors import UsageError


def read_document(path: Path) -> Any:
    """The content of a .toml or .json file. Raises UsageError, naming the file, if it cannot be read."""
    toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text) if path.suffix.lower() == ".json" else toml.loads(text)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:  # both parsers' errors and UnicodeDecodeError are ValueErrors
        kind = "JSON" if path.suffix.lower() == ".json" else "TOML"
        raise UsageError(f"{path}: is not valid {kind} ({error})") from None
