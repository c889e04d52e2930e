"""The finding of a report in sentences that state no more than the numbers show."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .._text import counted
from ..metrics import LIST_METRICS, RANKING_METRICS, TARGET_METRICS, drop, kind_of
from .summary import complete, excesses, means, named, of_all_users

FEW = 5  # with fewer seeds, an interval that includes 0 is inconclusive
ROSE = ("popularity", *TARGET_METRICS)
NO_MEAN_OF_USERS = ("coverage", "t-hr", "t-ndcg")


@dataclass(frozen=True)
class Headline:
    """A short verdict, and the sentences that support it."""

    verdict: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Effect:
    """The verdicts for a gain of the attacker, for no gain shown, and for a loss."""

    gain: str
    none: str
    loss: str


def fixed(value: float) -> str:
    """Four decimal places, with a typographic minus sign."""
    return f"{round(value, 4) + 0.0:.4f}".replace("-", "\N{MINUS SIGN}")


def interval(mean: float, half: float) -> str:
    """The 95% interval, e.g. ``"0.0100 to 0.0300"``."""
    return f"{fixed(mean - half)} to {fixed(mean + half)}"


def beyond_zero(mean: float, half: float) -> int:
    """1 or -1 if the whole interval is above or below 0, else 0 (also without an interval)."""
    if np.isnan(half):
        return 0
    return int(mean - half > 0) - int(mean + half < 0)


def headline(
    runs: pd.DataFrame,
    metric: str,
    split: str,
    baseline: str | None,
    heuristics: Sequence[str] = (),
) -> Headline:
    """The effect of the first attack on a victim, compared with ``baseline`` at the same budget.

    The attack is the first attack that is neither ``baseline`` nor among ``heuristics``. The victim
    is the first victim with the most seeds. The budget is the largest budget at which both attacks
    were measured. None of these choices depends on the outcome.
    """
    parts = complete(runs)
    parts = parts[(parts["metric"] == metric) & (parts["split"] == split)]
    chosen = of_all_users(parts)
    attack = _first_attack(chosen, baseline, heuristics)
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
    here = parts[(parts["attack"] == attack) & (parts["victim"] == victim)]
    here = here[here["flips"] == budgets.max()]
    sentences = [_change(row, attack, victim), _drop(row, here), *_carried(here)]
    if beside is not None and baseline is not None:
        sentences.append(_comparison(beside, rows[baseline]))
    sentences += _unbeaten(chosen, attack, [name for name in heuristics if name != attack])
    others = ours["victim"].nunique() - 1
    if others:
        sentences.append(f"The table has {counted(others, 'more victim')}.")
    return Headline(_verdict(row, beside, attack, victim), tuple(sentences))


def _first_attack(runs: pd.DataFrame, baseline: str | None, heuristics: Sequence[str]) -> str:
    names = [str(name) for name in runs["attack"].unique()]
    others = [name for name in names if name != baseline]
    own = [name for name in others if name not in heuristics]
    return (own or others or names)[0]


def _change(row: pd.Series, attack: str, victim: str) -> str:
    verb = "rose" if row["poisoned"] > row["clean"] else "fell"
    values = f"from {row['clean']:.4f} to {row['poisoned']:.4f}"
    change = f"{verb} {values}" if row["poisoned"] != row["clean"] else f"stayed {row['clean']:.4f}"
    name = named(str(row["metric"]))
    flips = counted(row["flips"], "flip")
    return f"With {flips} by {attack}, the {name} of {victim} on {row['split']} data {change}."


def _drop(row: pd.Series, here: pd.DataFrame) -> str:
    """The drop with its interval, over seeds or over the users of the only run ``here``."""
    lost, word = fixed(row["drop"]), _word(str(row["metric"]))
    if kind_of(str(row["metric"])) in RANKING_METRICS and not np.isnan(row["relative"]):
        lost += f" ({_percent(row['relative'])} of the clean value)"
    if np.isnan(row["ci95"]):
        return f"The {word} is {lost} in one run; one seed gives no interval."
    if row["seeds"] == 1:
        users = int(of_all_users(here)["num_users"].iloc[0])
        said = f"The {word} is {lost} in one run, 95% interval over {users:,} users "
    else:
        said = f"Mean {word} over {row['seeds']} seeds: {lost}, 95% interval "
    said += interval(row["drop"], row["ci95"])
    return said + (
        "." if beyond_zero(row["drop"], row["ci95"]) else ", which includes 0: no change is shown."
    )


def _word(metric: str) -> str:
    """The word for a gain of the attacker."""
    return "rise" if kind_of(metric) in ROSE else "drop"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%".replace("-", "\N{MINUS SIGN}")


def _carried(here: pd.DataFrame) -> Iterator[str]:
    """The drop of touched and of untouched users, and their shares of the drop of all users.

    Yields nothing if the metric is not a mean over users.
    """
    metric = str(here["metric"].iloc[0])
    if kind_of(metric) not in RANKING_METRICS or kind_of(metric) in NO_MEAN_OF_USERS:
        return
    found = {}
    for name in ("touched", "untouched"):
        rows = here[here["users"] == name]
        if len(rows):
            lost = drop(metric, rows["clean"].to_numpy(), rows["poisoned"].to_numpy()).mean()
            found[name] = (float(rows["num_users"].mean()), float(lost))
    if not found:
        return
    if len(found) == 1:
        (name, (number, _)) = next(iter(found.items()))
        yield f"All {number:,.0f} users that count are {name}."
        return
    said = " and ".join(
        f"{fixed(lost)} for the {number:,.0f} {name} users"
        for name, (number, lost) in found.items()
    )
    parts = [number * lost for number, lost in found.values()]
    word = _word(metric)
    if min(parts) >= 0 < sum(parts):
        share = parts[0] / sum(parts)
        said += (
            f": touched users carry {_percent(share)} of the {word}, untouched users "
            f"{_percent(1 - share)}"
        )
    yield f"The mean {word} is {said}."


def _comparison(beside: pd.Series, random: pd.Series) -> str:
    lost, word = fixed(random["drop"]), _word(str(random["metric"]))
    gap = f"{abs(beside['excess']):.4f} {'more' if beside['excess'] >= 0 else 'less'}"
    said = f"Random flips at the same budget: a {word} of {lost}. The attack's {word} is {gap}"
    if np.isnan(beside["excess_ci95"]):
        return f"{said}; one seed gives no interval."
    said += f", 95% interval of the difference {interval(beside['excess'], beside['excess_ci95'])}"
    shown = beyond_zero(beside["excess"], beside["excess_ci95"])
    return said + ("." if shown else ", which includes 0: no difference from random is shown.")


def _unbeaten(runs: pd.DataFrame, attack: str, heuristics: Sequence[str]) -> Iterator[str]:
    """A sentence on the heuristics that the attack is not shown to beat, at the same budget and
    victim. Without an interval, the larger drop wins."""
    gaps = {}
    for name in heuristics:
        found = excesses(runs[runs["attack"].isin([attack, name])], name)
        if len(found):
            gaps[name] = (float(found["excess"].iloc[0]), float(found["excess_ci95"].iloc[0]))
    if not gaps:
        return
    lost = [
        name
        for name, (gap, half) in gaps.items()
        if (gap <= 0 if np.isnan(half) else beyond_zero(gap, half) <= 0)
    ]
    if lost:
        yield f"Baselines that {attack} is not shown to beat: {', '.join(lost)}."
    else:
        yield f"{attack} beats {counted(len(gaps), 'baseline')}: {', '.join(gaps)}."


def _verdict(row: pd.Series, beside: pd.Series | None, attack: str, victim: str) -> str:
    if np.isnan(row["ci95"]):
        return f"{attack} on {victim}: one run, no interval"
    effect = _effect(kind_of(str(row["metric"])), attack, victim)
    harm = beyond_zero(row["drop"], row["ci95"])
    if harm == 0 and row["ci95"] > 0 and 1 < row["seeds"] < FEW:
        return f"{row['seeds']} seeds cannot tell whether {effect.gain}: try {FEW} or more"
    if harm <= 0:
        return effect.loss if harm < 0 else effect.none
    if beside is None:
        return effect.gain
    more = beyond_zero(beside["excess"], beside["excess_ci95"])
    if more == 0:
        return f"{effect.gain}, but no advantage over random flips is shown"
    return f"{effect.gain} {'more' if more > 0 else 'less'} than random flips did"


def _effect(kind: str, attack: str, victim: str) -> Effect:
    if kind in TARGET_METRICS:
        return Effect(
            f"{attack} promoted the targets in {victim}",
            f"No promotion of the targets in {victim} by {attack} is shown",
            f"The targets ranked lower in {victim} after {attack}",
        )
    if kind in LIST_METRICS:
        changed = f"{attack} changed the lists of {victim}"
        return Effect(changed, f"No change of the lists of {victim} by {attack} is shown", changed)
    return Effect(
        f"{attack} hurt {victim}",
        f"No harm to {victim} by {attack} is shown",
        f"{victim} was better after {attack}",
    )
