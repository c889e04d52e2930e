"""The code on the pages runs as it stands, and the reference has every public name."""

import json
import os
import re
from pathlib import Path

import pytest
import torch

import graphpoison as gp
from graphpoison import constraints, datasets, hypergradient

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```python([^\n]*)\n(.*?)^```$", re.M | re.S)
REAL_DATA = "real-data"  # after ```python, where a block needs the folder of real data sets
PAGES = sorted(
    str(page.relative_to(DOCS))
    for page in DOCS.rglob("*.md")
    if BLOCK.search(page.read_text("utf-8"))
)
LONG = ("paper.md",)  # a study of 84 trainings
NOTEBOOKS = sorted(str(path.relative_to(DOCS)) for path in DOCS.glob("notebooks/*.ipynb"))


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=pytest.mark.slow) if page in LONG else page for page in PAGES],
)
def test_code_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of a page one after the other, in one namespace and a folder of their own."""
    monkeypatch.chdir(tmp_path)
    run([code for _, code in blocks(DOCS / page)], page)


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_notebooks_run(notebook: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cells = json.loads((DOCS / notebook).read_text("utf-8"))["cells"]
    run(["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"], notebook)


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_notebooks_are_kept_without_what_they_show(notebook: str) -> None:
    cells = json.loads((DOCS / notebook).read_text("utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in code)


def test_blocks_are_marked_in_a_known_way() -> None:
    for page in PAGES:
        for mark, _ in BLOCK.findall((DOCS / page).read_text("utf-8")):
            assert mark.strip() in ("", REAL_DATA), f"```python{mark} on {page}"


@pytest.mark.parametrize("module", [gp, datasets, constraints, hypergradient])
def test_the_reference_has_every_public_name(module: object) -> None:
    text = "\n".join(page.read_text("utf-8") for page in (DOCS / "api").glob("*.md"))
    directive = re.compile(r"^\.\. auto(?:class|function|data|module):: ([\w.]+)$", re.M)
    found = {target.rpartition(".")[2] for target in directive.findall(text)}
    missing = set(module.__all__) - found - {"__version__"}
    assert not missing, f"no page of docs/api has {sorted(missing)}: add them where they belong"


def blocks(page: Path) -> list[tuple[str, str]]:
    """Marks and code of a page's blocks, without those for which the data are missing."""
    there = bool(os.environ.get("GRAPHPOISON_DATA"))
    found = BLOCK.findall(page.read_text("utf-8"))
    return [(mark, code) for mark, code in found if there or mark.strip() != REAL_DATA]


def run(pieces: list[str], name: str) -> None:
    """The pieces as one program; what they draw from the global generator leaves no trace."""
    names: dict[str, object] = {"__name__": name}
    with torch.random.fork_rng():
        for number, piece in enumerate(pieces):
            exec(compile(piece, f"{name}, block {number + 1}", "exec"), names)
