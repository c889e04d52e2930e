"""The start of the command line: what ``--help`` shows, and that it loads next to nothing."""

import os
import subprocess
import sys

import pytest
from test_import import loaded_by
from typer.testing import CliRunner

import graphpoison as gp
from graphpoison import _names, datasets
from graphpoison.attacks.pgd import PGDAttack
from graphpoison.attacks.prbcd import PRBCD
from graphpoison.cli import app
from graphpoison.estimates.by_name import KINDS
from graphpoison.estimates.nodes import NodeWorkload
from graphpoison.estimates.recommenders import COPIES, RecommenderWorkload
from graphpoison.models import NODE_CLASSIFIERS, RECOMMENDERS
from graphpoison.parsing import CONSTRAINTS, NODE_BUDGET
from graphpoison.reproduce.citation_tables import CITATION_TABLES
from graphpoison.tasks.attack_losses import ATTACK_LOSSES
from graphpoison.tasks.node_classification import LABELS, OBJECTIVES
from graphpoison.training.criteria import CRITERIA
from graphpoison.training.settings import INTERACTIONS, NODES
from graphpoison.victims import NODE_VICTIMS, RECOMMENDER_VICTIMS

HEAVY = {"torch", "torch_geometric", "numpy", "pandas", "scipy", "sklearn", "matplotlib", "plotly"}
COMMANDS = ["attack", "datasets", "demo", "estimate", "evaluate", "reproduce", "sweep"]
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


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)]
)
def test_help_loads_no_heavy_package(arguments: list[str]) -> None:
    loaded = loaded_by(RUN.format(arguments))
    assert "typer" in loaded
    assert not loaded & HEAVY


def test_every_command_is_listed() -> None:
    assert {command.name for command in app.registered_commands} == set(COMMANDS)


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


# Names


@pytest.mark.parametrize(
    ("light", "known"),
    [
        (_names.ATTACK_LOSSES, ATTACK_LOSSES),
        (_names.CONSTRAINTS, CONSTRAINTS),
        ((_names.NODE_BUDGET,), (NODE_BUDGET,)),
        (_names.NODE_CLASSIFIERS, NODE_CLASSIFIERS),
        (_names.RECOMMENDERS, RECOMMENDERS),
        (_names.NODE_VICTIMS, NODE_VICTIMS),
        (_names.RECOMMENDER_VICTIMS, RECOMMENDER_VICTIMS),
        (_names.LOSSES, CRITERIA),
        (_names.OPTIMIZERS, COPIES),
        (_names.LABELS, LABELS),
        (_names.OBJECTIVES[:3], OBJECTIVES),
        (_names.DATASETS, datasets.names()),
        (_names.CITATION_TABLES, CITATION_TABLES),
        (_names.PLANNED, KINDS),
    ],
)
def test_the_names_are_the_library_s(light: tuple[str, ...], known: object) -> None:
    assert list(light) == list(known)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("attack", (*_names.ATTACKS, *_names.ATTACK_LOSSES, *_names.CONSTRAINTS, *_names.SPLITS)),
        ("attack", (*_names.NODE_CLASSIFIERS, *_names.RECOMMENDERS, *_names.OBJECTIVES)),
        ("attack", (*_names.LOSSES, *_names.OPTIMIZERS, *_names.LABELS, *_names.METHODS)),
        ("attack", _names.CANDIDATES),
        ("evaluate", (*_names.NODE_VICTIMS, *_names.RECOMMENDER_VICTIMS, *_names.RECOMMENDERS)),
        ("evaluate", (*_names.PAIR_METRICS, *(f"{kind}@k" for kind in _names.RANKING_METRICS))),
        ("evaluate", _names.SPLITS),
        ("reproduce", _names.CITATION_TABLES),
        ("estimate", _names.PLANNED),
    ],
)
def test_help_shows_every_choice_in_one_piece(command: str, names: tuple[str, ...]) -> None:
    words = {word.strip(".,;:()") for word in shown(command).split()}
    assert set(names) <= words


def test_help_shows_the_defaults() -> None:
    text = shown("attack")
    for name in ("steps", "lr", "momentum", "optimizer"):
        nodes, interactions = getattr(NODES, name), getattr(INTERACTIONS, name)
        assert f"Default: {nodes} for nodes, {interactions} for interactions." in text
    ranking, pgd, prbcd = gp.ranking_attack().steps, PGDAttack(NODES).steps, PRBCD(NODES).epochs
    assert (
        f"ranking (default {ranking}), pgd and min-max ({pgd}), prbcd and grbcd ({prbcd})" in text
    )
    assert f"Default: {PRBCD(NODES).block_size}." in text
    assert "--seed N [x>=0] Of the attack. [default: 0]" in text
    assert "[default: 5]" in shown("evaluate")


def test_help_of_the_planner_shows_the_defaults() -> None:
    text = shown("estimate")
    recommender, nodes = RecommenderWorkload(9, 9, 9), NodeWorkload(9, 9, 9, 9)
    ranking = gp.RankingWorkload(9, 9, 9)
    for words in (
        f"Embedding width, D. Default: {recommender.dim}.",
        f"Propagations of lightgcn, sgc. Default: {recommender.hops}.",
        f"Hidden width of linear-gcn. Default: {nodes.hidden}.",
        f"Share of non-zero features. Default: {nodes.density}.",
        f"half of the flips. Default: {ranking.steps}.",
        f"Default: {nodes.steps} for nodes, {recommender.steps} for interactions.",
    ):
        assert words in text
    assert recommender.hops == nodes.hops
