"""Studies of many runs: attacks, tasks, victims, seeds and budgets, and one table of all runs.

:mod:`.study` turns settings into runs, :mod:`.runs` has one run, :mod:`.folder` a study's files,
:mod:`.running` the work, :mod:`.table` the rows.
"""

from .running import sweep
from .study import Study

__all__ = ["Study", "sweep"]
