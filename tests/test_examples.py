"""Every example runs from its command line at small size."""

import importlib
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
PRINTS = {
    "cora_metattack": "strongest",
    "custom_bipartite": "after the attack",
    "movielens_meta_attack": "drop in unseen AUROC",
    "study": "wrote",
}


def test_every_example_is_listed() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(PRINTS)


@pytest.mark.parametrize("name", PRINTS)
def test_examples_run(name: str, tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), "--smoke", "--out", "made"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert PRINTS[name] in done.stdout
    pictures = list((tmp_path / "made").glob("*.png"))
    assert pictures
    assert all(picture.read_bytes().startswith(b"\x89PNG") for picture in pictures)
    assert {path.name for path in tmp_path.iterdir()} == {"made"}


@pytest.mark.parametrize("name", PRINTS)
def test_examples_explain_themselves(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--help"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    assert "default:" in capsys.readouterr().out


def test_the_attacks_on_rankings_of_the_readme_run() -> None:
    """The first block of Python, on generated interactions in the place of MovieLens."""
    readme = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
    code = readme.split("```python\n")[1].split("```")[0]
    load = 'gp.datasets.load("movielens-100k", split="per-user", seed=0)'
    assert load in code
    small = (
        'gp.datasets.load("synthetic-interactions", num_users=480, num_items=120, '
        "num_interactions=6000)"
    )
    scope: dict[str, Any] = {}
    exec(compile(code.replace(load, small), "README.md", "exec"), scope)
    touched = scope["bystanders"].flips["source"]
    assert touched.min() >= 471
    table = scope["report"].table
    assert set(table["metric"]) == {"ndcg@10", "recall@20"}
    assert {"attack", "victim", "users", "clean", "poisoned", "drop", "ci95"} <= set(table.columns)


def test_the_readme_runs_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The eight lines for a graph of one's own, on the graph of the example."""
    readme = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
    code = readme.split("```python\n")[2].split("```")[0]
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(EXAMPLES))
    example = importlib.import_module("custom_bipartite")
    scope = {"data": example.club_memberships(people=120, clubs=80)}
    exec(compile(code, "README.md", "exec"), scope)
    assert "</html>" in (tmp_path / "fragile.html").read_text(encoding="utf-8")
    assert len(scope["found"]["meta"]) == 500
    assert len([line for line in code.splitlines() if line]) <= 10
