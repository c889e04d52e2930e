"""``python -m graphpoison`` is the command ``graphpoison``."""

from .cli import app

app(prog_name="graphpoison")
