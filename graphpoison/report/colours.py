"""The colours of attacks, in pages and figures alike."""

import pandas as pd

# Okabe and Ito's colours that stand out from white and from black; random is grey.
COLOURS = ["#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]
RANDOM = "#8a8a8a"


def attack_colours(runs: pd.DataFrame, baseline: str | None) -> dict[str, str]:
    """Name of an attack in ``runs`` -> its colour, grey for ``baseline``."""
    attacks = [str(name) for name in runs["attack"].unique() if name != baseline]
    found = {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(attacks)}
    return found if baseline is None else {**found, baseline: RANDOM}
