"""Studies are tested on the subjects of campaigns and the results of reports."""

from tests.campaign.conftest import subject, workers_find_the_package
from tests.report.conftest import one_device, three_devices

__all__ = ["one_device", "subject", "three_devices", "workers_find_the_package"]
