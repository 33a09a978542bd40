"""The reports of a campaign, one file a format; all are made of its ``Results``."""

from tvm_mutate.report.cross_devices import CrossDevice, cross_devices, write_cross_devices
from tvm_mutate.report.csv_report import write_csv
from tvm_mutate.report.discrepancy import (
    Discrepancy,
    count_differing_outcomes,
    largest_by_category,
    worst_discrepancies,
)
from tvm_mutate.report.heat_map import draw_heat_maps, write_heat_maps
from tvm_mutate.report.suite import render_suite, write_suite
from tvm_mutate.report.summary import Group, Summary, summarize
from tvm_mutate.report.tally import Tally, tally
from tvm_mutate.report.terminal import render_mutants, render_summary

__all__ = [
    "CrossDevice",
    "Discrepancy",
    "Group",
    "Summary",
    "Tally",
    "count_differing_outcomes",
    "cross_devices",
    "draw_heat_maps",
    "largest_by_category",
    "render_mutants",
    "render_suite",
    "render_summary",
    "summarize",
    "tally",
    "worst_discrepancies",
    "write_cross_devices",
    "write_csv",
    "write_heat_maps",
    "write_suite",
]
