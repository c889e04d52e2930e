"""The finding in words, which say no more than the numbers do."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .._text import counted
from .summary import NAMES, excesses, means

FEW = 5  # seeds; with fewer an interval that includes 0 says little


@dataclass(frozen=True)
class Headline:
    """A verdict in a few words, and the sentences that it rests on."""

    verdict: str
    sentences: tuple[str, ...]


def fixed(value: float) -> str:
    """Four digits and a proper minus sign."""
    return f"{round(value, 4) + 0.0:.4f}".replace("-", "\N{MINUS SIGN}")


def interval(mean: float, half: float) -> str:
    """The 95% interval, e.g. ``"0.0100 to 0.0300"``."""
    return f"{fixed(mean - half)} to {fixed(mean + half)}"


def beyond_zero(mean: float, half: float) -> int:
    """1 or -1 where the whole interval is above or below 0, else 0 (also where there is none)."""
    if np.isnan(half):
        return 0
    return int(mean - half > 0) - int(mean + half < 0)


def headline(runs: pd.DataFrame, metric: str, split: str, baseline: str | None) -> Headline:
    """The effect of the first attack on a victim, beside ``baseline`` at the same budget.

    The victim is the first victim with the most seeds, the budget the largest at which both
    attacks were measured: neither choice depends on the outcome.
    """
    chosen = runs[(runs["metric"] == metric) & (runs["split"] == split)]
    attacks = [name for name in chosen["attack"].unique() if name != baseline]
    attack = str(attacks[0] if attacks else baseline)
    ours = chosen[chosen["attack"] == attack]
    victim = str(ours.groupby("victim", sort=False)["seed"].nunique().idxmax())
    chosen = chosen[chosen["victim"] == victim]
    excess = pd.DataFrame() if baseline is None else excesses(chosen, baseline)
    if len(excess):
        excess = excess[excess["attack"] == attack]
    budgets = excess["flips"] if len(excess) else ours.loc[ours["victim"] == victim, "flips"]
    chosen = chosen[chosen["flips"] == budgets.max()]
    rows = {str(row["attack"]): row for _, row in means(chosen).iterrows()}
    row = rows[attack]
    beside = excess[excess["flips"] == budgets.max()].iloc[0] if len(excess) else None
    sentences = [_change(row, attack, victim), _drop(row)]
    if beside is not None and baseline is not None:
        sentences.append(_comparison(beside, rows[baseline]))
    others = ours["victim"].nunique() - 1
    if others:
        sentences.append(f"Of {counted(others, 'more victim')} the table tells.")
    return Headline(_verdict(row, beside, attack, victim), tuple(sentences))


def _change(row: pd.Series, attack: str, victim: str) -> str:
    verb = "rose" if row["poisoned"] > row["clean"] else "fell"
    values = f"from {row['clean']:.4f} to {row['poisoned']:.4f}"
    change = f"{verb} {values}" if row["poisoned"] != row["clean"] else f"stayed {row['clean']:.4f}"
    name = NAMES.get(row["metric"], row["metric"])
    flips = counted(row["flips"], "flip")
    return f"With {flips} by {attack}, the {name} of {victim} on {row['split']} data {change}."


def _drop(row: pd.Series) -> str:
    lost = fixed(row["drop"])
    if np.isnan(row["ci95"]):
        return f"That is a drop of {lost} in one run; one seed gives no interval."
    said = f"Mean drop over {row['seeds']} seeds: {lost}, 95% interval "
    said += interval(row["drop"], row["ci95"])
    return said + (
        "." if beyond_zero(row["drop"], row["ci95"]) else ", which includes 0: no change is shown."
    )


def _comparison(beside: pd.Series, random: pd.Series) -> str:
    lost = fixed(random["drop"])
    gap = f"{abs(beside['excess']):.4f} {'more' if beside['excess'] >= 0 else 'less'}"
    said = f"Random flips at the same budget: a drop of {lost}. The attack's is {gap}"
    if np.isnan(beside["excess_ci95"]):
        return f"{said}; one seed gives no interval."
    said += f", 95% interval of the difference {interval(beside['excess'], beside['excess_ci95'])}"
    shown = beyond_zero(beside["excess"], beside["excess_ci95"])
    return said + ("." if shown else ", which includes 0: no difference from random is shown.")


def _verdict(row: pd.Series, beside: pd.Series | None, attack: str, victim: str) -> str:
    if np.isnan(row["ci95"]):
        return f"{attack} on {victim}: one run, no interval"
    harm = beyond_zero(row["drop"], row["ci95"])
    if harm == 0 and row["ci95"] > 0 and row["seeds"] < FEW:
        return f"{row['seeds']} seeds cannot tell whether {attack} hurt {victim}: try {FEW} or more"
    if harm == 0:
        return f"No harm to {victim} by {attack} is shown"
    if harm < 0:
        return f"{victim} was better after {attack}"
    if beside is None:
        return f"{attack} hurt {victim}"
    more = beyond_zero(beside["excess"], beside["excess_ci95"])
    if more == 0:
        return f"{attack} hurt {victim}, but not shown to do so more than random flips"
    return f"{attack} hurt {victim} {'more' if more > 0 else 'less'} than random flips did"
