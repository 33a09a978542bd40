"""The measuring scripts are no package: their folder is put on the path, and so is the one of the rows by hand."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "benchmarks")]
