"""The thesis's tables and figures, measured again: ``graphpoison reproduce 4.7``.

:mod:`.thesis` has its figures, :mod:`.settings` the experiment behind each table, :mod:`.run` what
runs one and goes on after an interruption, :mod:`.tables` and :mod:`.figures` what is made of it.
"""

from .experiment import DataSet, Experiment, NodeExperiment, RecommenderExperiment, Trained, Users
from .outcome import Outcome, names, reproduce
from .pages import fill
from .run import run
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
]
