"""What a run says: figures with intervals, a terminal table, charts and one self-contained page."""

from regulars.report.findings import headline, warnings
from regulars.report.metrics import summary
from regulars.report.page import write
from regulars.report.results import Results
from regulars.report.table import show, text

__all__ = ["Results", "headline", "show", "summary", "text", "warnings", "write"]
