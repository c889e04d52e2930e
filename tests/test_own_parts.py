"""The commands of docs/own-parts.md, with the module on that page."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import graphpoison as gp
from graphpoison._named import Call, named
from graphpoison.models import RECOMMENDERS, Recommender
from graphpoison.parsing import parse_constraint

PAGE = (Path(__file__).parents[1] / "docs" / "own-parts.md").read_text("utf-8")


def test_the_commands_of_the_page(tmp_path: Path) -> None:
    module = re.search(
        r"^```\{code-block\} python\n:caption: mine.py\n(.*?)^```$", PAGE, re.M | re.S
    )
    commands = re.search(r"^```bash\n(.*?)^```$", PAGE, re.M | re.S)
    assert module is not None
    assert commands is not None
    (tmp_path / "mine.py").write_text(module[1], "utf-8")
    script = "set -e\n" + commands[1].replace("graphpoison ", f"{sys.executable} -m graphpoison ")
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "mine.ScikitNMF(dim=4)" in done.stdout
    active, scaled = (
        gp.Perturbation.load(tmp_path / f"{name}.npz") for name in ("active", "scaled")
    )
    assert len(active) == len(scaled) == 40
    assert active.meta["settings"]["attack"]["noise"] == 2.0
    assert scaled.meta["settings"]["task"]["surrogate"]["dim"] == 4
    assert scaled.flips["source"].is_unique


def test_names_take_arguments() -> None:
    task = "gmf(dim=4, layers=(8, 2))"
    assert named("surrogate", task, RECOMMENDERS, Recommender) == gp.GMF(4, (8, 2))
    assert named("surrogate", "graphpoison.GMF(dim=4)", RECOMMENDERS) == gp.GMF(4)
    assert parse_constraint("graphpoison.NodeBudget(share=0.5)") == gp.NodeBudget(share=0.5)
    assert Call.of("x", "tanh-margin=0.5") == Call("tanh-margin", (0.5,), {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gmf(", "must be a name or an import path"),
        ("gmf(dim=open('x'))", "must be a name or an import path"),
        ("gmf(**{'dim': 4})", "must be a name or an import path"),
        ("gmff", "Did you mean 'gmf'"),
        ("gmf(dimm=4)", r"surrogate='gmf\(dimm=4\)': .*unexpected keyword argument 'dimm'"),
        ("gmf(dim=-1)", "dim must be at least 1"),
        ("no_such_module.Model", "cannot be imported: No module named 'no_such_module'"),
        ("graphpoison.Modell", "cannot be imported: .*no attribute 'Modell'|No graphpoison"),
    ],
)
def test_names_that_do_not_fit(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        named("surrogate", text, RECOMMENDERS, Recommender)


def test_a_class_of_another_kind_is_refused_and_not_called() -> None:
    with pytest.raises(TypeError, match="must be a Recommender, found Popen"):
        named("surrogate", "subprocess.Popen(args='false')", RECOMMENDERS, Recommender)
