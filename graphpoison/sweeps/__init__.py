"""Studies of many runs: attacks, tasks, victims, seeds and budgets, and one table of all runs.

:mod:`.study` turns settings into runs, and :mod:`.runs` defines one run. :mod:`.folder` has the
files of a study, :mod:`.running` does the runs, and :mod:`.table` writes the table.
"""

from .running import sweep
from .study import Study

__all__ = ["Study", "sweep"]
__dir__ = __all__.copy
