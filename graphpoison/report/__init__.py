"""Results of an evaluation: tables, figures for papers, and a self-contained HTML page."""

from .latex import to_latex
from .results import Report, plot_transfer

__all__ = ["Report", "plot_transfer", "to_latex"]
