"""The HTML that notebooks show for tasks, perturbations and reports."""

from collections.abc import Mapping
from html import escape


def facts(title: str, values: Mapping[str, object], more: str = "") -> str:
    """A title, a table of names and values, and ``more`` HTML below."""
    rows = "".join(
        f"<tr><th style='text-align: left'>{escape(name)}</th>"
        f"<td style='text-align: left'>{escape(str(value))}</td></tr>"
        for name, value in values.items()
    )
    return f"<div><strong>{escape(title)}</strong><table>{rows}</table>{more}</div>"
