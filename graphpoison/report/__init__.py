"""Results of an evaluation: tables, figures for papers, and a self-contained HTML page."""

from .columns import runs_of
from .comparison import Comparison, compare
from .latex import to_latex
from .results import Report, plot_transfer

__all__ = ["Comparison", "Report", "compare", "plot_transfer", "runs_of", "to_latex"]
__dir__ = __all__.copy
