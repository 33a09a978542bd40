"""The reports on campaigns, test-suites and commands, from their results."""

from tvm_mutate.report.comparison import compare, render_comparison
from tvm_mutate.report.csv_report import write_csv
from tvm_mutate.report.discrepancies import CrossDevice, cross_devices, write_cross_devices
from tvm_mutate.report.findings import Report, report_of_campaign, report_of_suite
from tvm_mutate.report.formats import FORMATS, check_formats, write_reports
from tvm_mutate.report.places import Places
from tvm_mutate.report.suite import render_suite, write_suite
from tvm_mutate.report.summary import Summary, Tally, summarize, tally
from tvm_mutate.report.tables import score_line
from tvm_mutate.report.terminal import render_score, render_summary, render_survivors
