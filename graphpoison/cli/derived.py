"""Options of a command, derived from the parameters of attacks, tasks and training."""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Literal, get_args, get_origin

import typer

from ..parsing import parse_numbers
from ..registry.attacks import MAKERS
from ..registry.options import CLASSES, Option, options_of
from ..registry.settings import known_options, own_options
from ..tasks.attack_losses import ATTACK_LOSSES
from ..training import INTERACTIONS, NODES, Training
from .completion import among

PROBLEM, TRAINING, FAKE = "Attack", "Training of the surrogate", "Fake users"
BY_DEFAULT = "Default: {} for nodes, {} for interactions."
SHORT = {
    "objective": "train, self or both for nodes; train, self or heldout, or an objective of "
    "rankings such as 'degrade(k=20)', for interactions. "
    "Default: self for nodes, train for interactions.",
    "candidates": "Pairs that may be flipped: all; for interactions also sampled (the interactions "
    "and sampled negatives). Default: all for nodes, sampled for interactions.",
    "start": "Start of the relaxed search of ranking: usual (the plan of the objective), or a rule "
    "such as 'rare items become popular'. Default: usual.",
    "block_size": "Number of pairs in a block. For pgd, min-max, prbcd and grbcd. Default: 250000.",
    "loss": "Training loss of recommenders: log, bpr (pairs of items) or softmax (several items). "
    "Default: log.",
    "attack_loss": f"Loss of the unlabelled nodes: {', '.join(ATTACK_LOSSES)}, or an import path. "
    "Arguments may follow, as in tanh-margin=0.5. Default: tanh-margin=0.5 for strongest, else "
    "cross-entropy.",
}
"""Option -> its help, where the description in the docstring of the parameter is about Python."""


def with_options(
    function: Callable[..., None], options: Iterable[Option], before: str
) -> Callable[..., None]:
    """Return ``function`` as a command that also has ``options``, before the parameter ``before``.

    ``function`` finds the values of ``options`` in ``ctx.params``, not among its arguments.
    """
    signature = inspect.signature(function, eval_str=True)

    @functools.wraps(function)
    def command(**values: Any) -> None:
        function(**{name: values[name] for name in signature.parameters})

    added = [
        inspect.Parameter(
            option.name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=None,
            annotation=_annotation(option),
        )
        for option in options
    ]
    parameters = list(signature.parameters.values())
    place = list(signature.parameters).index(before)
    parameters[place:place] = added
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return command


def options_of_attacks() -> list[Option]:
    """Return all options of attacks, tasks, training and similar users."""
    return list(known_options().values())


def given(options: Iterable[Option], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the ``options`` that were given, as the parameters take them."""
    found = {}
    for option in options:
        value = values.get(option.name)
        if value is not None:
            found[option.name] = (
                parse_numbers(option.name, value) if option.kind is tuple else value
            )
    return found


def _annotation(option: Option) -> Any:
    names = [f"--{option.name.replace('_', '-')}"]
    kind: Any = option.kind
    metavar: str | None = None
    details: dict[str, Any] = {}
    if kind is bool:
        names = [f"{names[0]}/--no-{names[0][2:]}"]
    elif kind in (int, float):
        metavar = "N" if kind is int else "X"
    else:
        words = get_args(kind) if get_origin(kind) is Literal else CLASSES.get(kind, ())
        metavar = "NAME" if words else "TEXT"
        details = {"autocompletion": among(words)} if words else {}
        kind = str
    details["metavar"] = metavar
    return Annotated[
        kind | None,
        typer.Option(*names, rich_help_panel=_panel(option.name), help=_help(option), **details),
    ]


@functools.cache
def _owners() -> dict[str, dict[str, Any]]:
    """Option -> the attacks that have the option, each with its default."""
    found: dict[str, dict[str, Any]] = {}
    for attack, (make, _) in MAKERS.items():
        for name, option in own_options(make).items():
            found.setdefault(name, {})[attack] = option.default
    return found


def _panel(name: str) -> str:
    if name in _owners():
        return PROBLEM
    if name in options_of(Training):
        return TRAINING
    return FAKE if name in ("method", "fraction") else PROBLEM


def _help(option: Option) -> str:
    if option.name in SHORT:
        return SHORT[option.name]
    text = option.text[:1].upper() + option.text[1:]
    text = text if text.endswith(".") else f"{text}."
    owners = _owners().get(option.name)
    if owners is None:
        if option.name in options_of(Training):
            usual = [getattr(each, option.name) for each in (NODES, INTERACTIONS)]
            one = f"Default: {_word(usual[0])}."
            return f"{text} {one if usual[0] == usual[1] else BY_DEFAULT.format(*usual)}"
        return f"{text} Default: {_word(option.default)}."
    defaults: dict[str, list[str]] = {}
    for attack, default in owners.items():
        defaults.setdefault(_word(default), []).append(attack)
    if option.kind in CLASSES:
        return (
            f"{text} For {_listed(owners)}: {', '.join(CLASSES[option.kind])}, or an import path."
        )
    if len(defaults) == 1:
        return f"{text} For {_listed(owners)}. Default: {next(iter(defaults))}."
    several = ", ".join(f"{word} ({_listed(names)})" for word, names in defaults.items())
    return f"{text} Default: {several}."


def _listed(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _word(default: Any) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    return "none" if default is None else str(default)
