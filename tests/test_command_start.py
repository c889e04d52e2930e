"""The start of the command line: what ``--help`` shows, and that it loads next to nothing."""

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Literal

import pytest
import torch
from test_import import loaded_by
from typer.testing import CliRunner

import graphpoison as gp
from graphpoison.attacks.pgd import PGDAttack
from graphpoison.attacks.prbcd import PRBCD
from graphpoison.cli import app
from graphpoison.cli.commands import COMMANDS, loaded
from graphpoison.estimates.by_name import KINDS
from graphpoison.estimates.nodes import NodeWorkload
from graphpoison.estimates.recommenders import RecommenderWorkload
from graphpoison.metrics import PAIR_METRICS, RANKING_METRICS
from graphpoison.models import NODE_CLASSIFIERS, RECOMMENDERS
from graphpoison.parsing import CONSTRAINTS
from graphpoison.registry import ATTACKS
from graphpoison.registry.options import options_of
from graphpoison.registry.settings import known_options
from graphpoison.reproduce.citation_tables import CITATION_TABLES
from graphpoison.tasks.attack_losses import ATTACK_LOSSES
from graphpoison.training import INTERACTIONS, NODES
from graphpoison.victims import NODE_VICTIMS, RECOMMENDER_VICTIMS

HEAVY = {"torch", "torch_geometric", "numpy", "pandas", "scipy", "sklearn", "matplotlib"}
RUN = """
from graphpoison.cli import app
try:
    app({}, prog_name='graphpoison')
except SystemExit as end:
    assert not end.code
"""


def shown(command: str) -> str:
    """The help of a command on a terminal of 80 columns, as one line."""
    arguments = [*command.split(), "--help"]
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"})
    assert done.exit_code == 0, done.output
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "…" not in done.stdout
    return " ".join(done.stdout.replace("│", " ").split())


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_loads_no_heavy_package(arguments: list[str]) -> None:
    loaded = loaded_by(RUN.format(arguments))
    assert "typer" in loaded
    assert not loaded & HEAVY


def test_every_command_is_listed() -> None:
    text = shown("")
    for name, words in COMMANDS.items():
        assert f"{name} " in text
        assert words.split(".")[0].split(",")[0] in text
        assert loaded(name).help.startswith(words)


def test_the_version() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "graphpoison", "--version"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"graphpoison {gp.__version__}\n"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("graphpoison est", ["estimate"]),
        ("graphpoison attack cora --attack meta", ["meta", "meta-approx", "meta-implicit"]),
        ("graphpoison evaluate cora f.npz --victim soft", ["soft-median-gcn", "soft-median-gdc"]),
        ("graphpoison datasets netf", ["netflix"]),
    ],
)
def test_completion(words: str, expected: list[str]) -> None:
    environment = {
        **os.environ,
        "_GRAPHPOISON_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    command = [sys.executable, "-m", "graphpoison"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.stdout.split() == expected, done.stderr


# Options


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("attack", (*ATTACKS, *ATTACK_LOSSES, *CONSTRAINTS, *NODE_CLASSIFIERS, *RECOMMENDERS)),
        ("attack", ("log", "bpr", "softmax", "sgd", "adam", "pseudo", "oracle", "sampled", "all")),
        ("evaluate", (*NODE_VICTIMS, *RECOMMENDER_VICTIMS, *RECOMMENDERS)),
        ("evaluate", (*PAIR_METRICS, *(f"{kind}@k" for kind in RANKING_METRICS))),
        ("evaluate", ("random", "per-user", "leave-one-out", "time")),
        ("reproduce", CITATION_TABLES),
        ("estimate", KINDS),
    ],
)
def test_help_shows_every_choice_in_one_piece(command: str, names: tuple[str, ...]) -> None:
    words = {word.strip('.,;:()"').partition("=")[0] for word in shown(command).split()}
    assert set(names) <= words


def test_every_option_is_declared_by_its_parameter() -> None:
    flags = {opt for each in loaded("attack").params for opt in each.opts}
    for name, option in known_options().items():
        assert f"--{name.replace('_', '-')}" in flags
        assert option.text, f"{name} has no description"


def test_help_shows_the_defaults() -> None:
    text = shown("attack")
    for name in ("steps", "lr", "momentum", "optimizer"):
        nodes, interactions = getattr(NODES, name), getattr(INTERACTIONS, name)
        assert f"Default: {nodes} for nodes, {interactions} for interactions." in text
    ranking, pgd, prbcd = gp.ranking_attack().steps, PGDAttack(NODES).steps, PRBCD(NODES).epochs
    assert (
        f"Default: {ranking} (ranking), {pgd} (pgd and min-max), {prbcd} (prbcd and grbcd)." in text
    )
    assert f"Default: {PRBCD(NODES).block_size}." in text
    assert "--seed N [x>=0] Seed of the attack. [default: 0]" in text
    assert "[default: 5]" in shown("evaluate")


@dataclass(frozen=True)
class Base:
    """A base.

    Args:
        first: one of ``"a"`` and
            ``"b"``.
    """

    first: Literal["a", "b"] = "a"


@dataclass(frozen=True)
class Derived(Base):
    """A class.

    Args:
        size, share: as :class:`~graphpoison.Budget` has them.
        widths: of :attr:`layers`.

    Raises:
        ValueError: never.
    """

    size: int | None = None
    share: float = 0.5
    widths: tuple[int, ...] = ()
    weights: torch.Tensor | None = None


def made(size: int, deep: bool = True) -> Derived:
    """A function.

    Args:
        size: as in :class:`Derived`.
        deep: whether it is deep.
    """
    return Derived(size=size + deep)


def test_options_are_read_from_signatures_and_docstrings() -> None:
    found = options_of(Derived)
    assert list(found) == ["first", "size", "share", "widths"]
    assert found["first"].text == 'one of "a" and "b".'
    assert found["size"].text == found["share"].text == "as Budget has them."
    assert found["widths"].text == "of layers."
    assert [option.kind for option in found.values()] == [Literal["a", "b"], int, float, tuple]
    assert found["share"].default == 0.5
    function = options_of(made)
    assert function["size"].text == "as Budget has them."
    assert function["deep"].kind is bool


def test_help_of_the_planner_shows_the_defaults() -> None:
    text = shown("estimate")
    recommender, nodes = RecommenderWorkload(9, 9, 9), NodeWorkload(9, 9, 9, 9)
    ranking = gp.RankingWorkload(9, 9, 9)
    for words in (
        f"Embedding width, D. Default: {recommender.dim}.",
        f"Number of propagations of lightgcn and sgc. Default: {recommender.hops}.",
        f"Hidden width of linear-gcn. Default: {nodes.hidden}.",
        f"Share of non-zero features. Default: {nodes.density}.",
        f"half of the flips. Default: {ranking.steps}.",
        f"Default: {nodes.steps} for nodes, {recommender.steps} for interactions.",
    ):
        assert words in text
    assert recommender.hops == nodes.hops
