"""A run on one page: designs in 3-D, plots against nature, a table; one file that works offline.

Needs the optional packages of ``protdiff[report]``.
"""

from protdiff.report.collect import Collection, ReportDesign, gather_designs
from protdiff.report.write import ReportSettings, WrittenReport, write_report

__all__ = [
    "Collection",
    "ReportDesign",
    "ReportSettings",
    "WrittenReport",
    "gather_designs",
    "write_report",
]
