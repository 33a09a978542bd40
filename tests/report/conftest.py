"""The results that the tests of reports share."""

from __future__ import annotations

import pytest

from tests.report.results_by_hand import results_of_one_device, results_of_three_devices
from tvm_mutate.results import Results


@pytest.fixture
def three_devices() -> Results:
    return results_of_three_devices()


@pytest.fixture
def one_device() -> Results:
    return results_of_one_device()
