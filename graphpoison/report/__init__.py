"""Results of an evaluation: tables, pictures for papers, and one page that explains itself."""

from .latex import to_latex
from .results import Report, plot_transfer

__all__ = ["Report", "plot_transfer", "to_latex"]
