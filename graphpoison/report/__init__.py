"""What an evaluation found: tables, pictures for papers, and one page that explains itself."""

from .latex import to_latex
from .matplotlib_figures import plot_transfer
from .results import Report

__all__ = ["Report", "plot_transfer", "to_latex"]
