"""``python -m graphpoison`` and the script ``graphpoison``."""

import os
import sys

from .cli import app


def main() -> None:
    """Run the command line. Import paths of options may name modules of the current directory, also
    for the installed script."""
    sys.path.insert(0, os.getcwd())
    app(prog_name="graphpoison")


if __name__ == "__main__":
    main()
