"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

# Before TVM is imported anywhere: tests fork, and forked children cannot use a thread pool of their parent.
os.environ["TVM_NUM_THREADS"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from hypothesis import settings

settings.register_profile("tvm_mutate", deadline=None, max_examples=50)
settings.load_profile("tvm_mutate")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes more than ten seconds")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the pretrained models and images; skips where it is missing."""
    default = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    folder = Path(os.environ.get("TVM_MUTATE_DATA", default))
    if not (folder / "models.json").is_file():
        pytest.skip(f"pretrained models are missing at {folder}; set TVM_MUTATE_DATA to their folder")
    return folder
