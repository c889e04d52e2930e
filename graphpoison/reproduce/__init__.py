"""Measures the tables and figures of the thesis again: ``graphpoison reproduce 4.7``.

:mod:`.thesis` has the printed values, and :mod:`.settings` has the experiment behind each table.
:mod:`.runner` runs an experiment and resumes an interrupted one. :mod:`.tables`, :mod:`.figures`
and :mod:`.pages` show the results.
"""

from .experiment import DataSet, Experiment, NodeExperiment, RecommenderExperiment, Trained, Users
from .outcome import Outcome, names, reproduce, thesis_names
from .pages import fill
from .runner import run
from .settings import Table
from .tables import compare, ratios

__all__ = [
    "DataSet",
    "Experiment",
    "NodeExperiment",
    "Outcome",
    "RecommenderExperiment",
    "Table",
    "Trained",
    "Users",
    "compare",
    "fill",
    "names",
    "ratios",
    "reproduce",
    "run",
    "thesis_names",
]
__dir__ = __all__.copy
