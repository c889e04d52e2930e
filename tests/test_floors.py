"""The rules of the source tree, checked on its syntax alone: nothing here imports graphpoison.

A module imports only from lower floors, or from its own floor where that makes no cycle; nobody
prints or seeds a global generator; no module is longer than 300 lines.
"""

import ast
import graphlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "graphpoison"
MAX_LINES = 300

FLOORS: dict[str, float] = {
    "__main__": 13,
    "cli": 13,
    "estimates": 12,
    "presets": 12,
    "promotion_audit": 12,
    "ranking_presets": 12,
    "registry": 12,
    "reproduce": 12,
    "sweeps": 12,
    "evaluation": 11,
    "victims": 10,
    "attacks": 9,
    "hypergradient": 8,
    "tasks": 7,
    "models": 6,
    "report": 5,
    "training": 5,
    "datasets": 4,
    "transforms": 4,
    "perturbation": 4,
    "apply": 4,
    "parsing": 4,
    "budget": 3,
    "flip_columns": 3,
    "constraints": 3,
    "metrics": 3,
    "provenance": 3,
    "graphs": 2,
    "sparse": 1,
}
"""Top-level module or subpackage -> floor. Private ones (``_checks``, ``_io``) are on floor 0."""

FORBIDDEN_CALLS = {
    "print",
    "builtins.print",
    "numpy.random.seed",
    "random.seed",
    "torch.manual_seed",
    "torch.random.manual_seed",
    "torch.seed",
    "torch_geometric.seed_everything",
    "torch_geometric.seed.seed_everything",
}


@dataclass(frozen=True)
class Module:
    """A parsed file of the package."""

    name: str
    path: Path
    tree: ast.Module
    num_lines: int

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    @property
    def component(self) -> str:
        """The top-level module or subpackage this is part of; empty for the package itself."""
        return component(self.name)

    def at(self, node: ast.AST) -> str:
        return f"{self.name}, line {getattr(node, 'lineno', '?')}"


@dataclass(frozen=True)
class Import:
    """One import of a module of the package; ``target`` is the module it comes from."""

    where: str
    target: str
    for_typing: bool


def component(name: str) -> str:
    return name.split(".")[1] if "." in name else ""


def read_package(root: Path) -> dict[str, Module]:
    """Dotted name -> module, for every file under ``root``."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        parts = [root.name, *path.relative_to(root).with_suffix("").parts]
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        text = path.read_text(encoding="utf-8")
        found[name] = Module(name, path, ast.parse(text, str(path)), len(text.splitlines()))
    return found


def is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", None)
    return name == "TYPE_CHECKING"


def statements(node: ast.AST, for_typing: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """Every import below ``node``, and whether it stands under ``if TYPE_CHECKING:``."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, for_typing
        elif isinstance(child, ast.If) and is_type_checking(child.test):
            yield from statements(ast.Module(child.body, []), True)
            yield from statements(ast.Module(child.orelse, []), for_typing)
        else:
            yield from statements(child, for_typing)


def imports(module: Module, names: set[str]) -> Iterator[Import]:
    """What ``module`` imports of its own package, wherever in the file it does so."""
    package = module.name.split(".")[0]
    for node, for_typing in statements(module.tree):
        targets: list[str] = []
        if isinstance(node, ast.Import):
            # `import package.part` binds the name of the whole package, `... as part` does not.
            ours = [alias for alias in node.names if alias.name.split(".")[0] == package]
            targets = [alias.name if alias.asname else package for alias in ours]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.name.split(".")
                parents = parents[: len(parents) - node.level + module.is_package]
                base = ".".join([*parents, *([base] if base else [])])
            if base == package:
                targets = [package]
            elif base.startswith(f"{package}."):
                inner = (f"{base}.{alias.name}" for alias in node.names)
                targets = [name if name in names else base for name in inner]
        for target in dict.fromkeys(targets):
            yield Import(module.at(node), target, for_typing)


def floor(name: str) -> float | None:
    part = component(name)
    private = part.startswith("_") and not part.startswith("__")
    return FLOORS.get(part, 0 if private else None)


def import_violations(root: Path) -> list[str]:
    """What is wrong with the imports under ``root``; the package's own ``__init__`` is free."""
    modules = read_package(root)
    found = [
        f"{root.name}.{part} has no floor: add it to FLOORS in tests/test_floors.py"
        for part in sorted({module.component for module in modules.values()} - {""})
        if floor(f"{root.name}.{part}") is None
    ]
    graph: dict[str, set[str]] = {}
    for module in modules.values():
        if not module.component:
            continue
        edges = graph.setdefault(module.name, set())
        own = floor(module.name)
        for imported in imports(module, set(modules)):
            target = imported.target
            if not component(target):
                found.append(
                    f"{imported.where}: imports {target} as a whole; import from the submodule"
                )
                continue
            above = floor(target)
            other = component(target) != module.component
            if other and own is not None and above is not None and above > own:
                found.append(
                    f"{imported.where}: floor {own:g} imports {target} from floor {above:g}"
                )
            if not imported.for_typing:
                # Importing a.b.c runs a.b first, unless the importer is inside a.b already.
                steps = target.split(".")
                runs = {".".join(steps[:stop]) for stop in range(2, len(steps))}
                edges |= {target} | {
                    name for name in runs if not f"{module.name}.".startswith(f"{name}.")
                }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        found.append("import cycle: " + " <- ".join(error.args[1]))
    return found


def call_violations(root: Path) -> list[str]:
    """Calls that print or seed a global generator, under whatever name they were imported."""
    found = []
    for module in read_package(root).values():
        known = {"print": "print"}
        for node, _ in statements(module.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    first = alias.name.split(".")[0]
                    known[alias.asname or first] = alias.name if alias.asname else first
            elif isinstance(node, ast.ImportFrom) and not node.level:
                for alias in node.names:
                    known[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call):
                first, dot, rest = ast.unparse(node.func).partition(".")
                name = known.get(first, "") + dot + rest
                if name in FORBIDDEN_CALLS:
                    found.append(f"{module.at(node)}: calls {name}")
    return found


def length_violations(root: Path) -> list[str]:
    return [
        f"{module.name} has {module.num_lines} lines, more than {MAX_LINES}"
        for module in read_package(root).values()
        if module.num_lines > MAX_LINES
    ]


def write_package(root: Path, files: dict[str, str]) -> Path:
    """A package under ``root`` with these files."""
    for name, text in {"__init__.py": "", **files}.items():
        path = root / "package" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root / "package"


def test_the_package_is_where_this_file_looks() -> None:
    assert "graphpoison" in read_package(PACKAGE)


@pytest.mark.parametrize("check", [import_violations, call_violations, length_violations])
def test_graphpoison_keeps_the_rules(check: Callable[[Path], list[str]]) -> None:
    found = check(PACKAGE)
    assert not found, "\n".join(["", *found])


def upward(source: str, target: str, part: str = "") -> str:
    """The message about an import from a higher floor."""
    low, high = FLOORS[source], FLOORS[target]
    return f"floor {low:g} imports package.{target}{part} from floor {high:g}"


def test_imports_downwards_and_within_a_component_are_fine(tmp_path: Path) -> None:
    files = {
        "__init__.py": "from . import evaluation\nfrom .graphs import pairs",
        "_checks.py": "import math",
        "graphs/__init__.py": "from .pairs import spmm",
        "graphs/pairs.py": "import torch\nfrom .._checks import choice",
        "tasks.py": "from .graphs import spmm",
        "hypergradient.py": "from .tasks import Task",
        "attacks/__init__.py": "from .meta import MetaAttack",
        "attacks/meta.py": "from ..hypergradient import Unrolled\nfrom .base import Attack",
        "attacks/base.py": "from package.graphs.pairs import spmm",
        "evaluation.py": "from .attacks.base import Attack\nimport package.graphs.pairs as pairs",
    }
    assert import_violations(write_package(tmp_path, files)) == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("from .attacks import Attack", upward("sparse", "attacks")),
        ("from package.tasks import Task", upward("sparse", "tasks")),
        ("import package.models as m", upward("sparse", "models")),
        ("def f():\n    from .tasks import Task", upward("sparse", "tasks")),
        ("from . import _checks", "imports package as a whole"),
        ("from package import tasks", "imports package as a whole"),
        ("import package", "imports package as a whole"),
        ("import package.tasks", "imports package as a whole"),
    ],
)
def test_a_bad_import_is_caught(tmp_path: Path, source: str, message: str) -> None:
    others = dict.fromkeys(["attacks.py", "tasks.py", "models.py", "_checks.py"], "")
    (found,) = import_violations(write_package(tmp_path, {"sparse.py": source, **others}))
    assert message in found
    assert found.startswith("package.sparse, line ")


def test_a_bad_import_in_a_deep_module_is_caught(tmp_path: Path) -> None:
    files = {
        "models/__init__.py": "",
        "models/gcn.py": "from ..tasks.base import Task\nfrom .. import _checks",
        "tasks/__init__.py": "",
        "tasks/base.py": "",
    }
    first, whole = import_violations(write_package(tmp_path, files))
    assert upward("models", "tasks", ".base") in first
    assert "package.models.gcn, line 2: imports package as a whole" in whole


@pytest.mark.parametrize(
    "files",
    [
        {"budget.py": "from .metrics import a", "metrics.py": "from .budget import b"},
        {"models/__init__.py": "from .gcn import a", "models/gcn.py": "from . import b"},
        {
            "models/__init__.py": "",
            "models/a.py": "from .b import x",
            "models/b.py": "def f():\n    from . import a",
        },
        {
            "constraints/__init__.py": "from .nodes import a",
            "constraints/nodes.py": "from ..budget import b",
            "constraints/base.py": "",
            "budget.py": "from .constraints.base import c",
        },
    ],
    ids=["siblings", "package and part", "late import", "through a package's own imports"],
)
def test_a_cycle_is_caught(tmp_path: Path, files: dict[str, str]) -> None:
    (found,) = import_violations(write_package(tmp_path, files))
    assert found.startswith("import cycle: package.")


def test_an_import_for_typing_makes_no_cycle(tmp_path: Path) -> None:
    guarded = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .metrics import A"
    files = {"budget.py": guarded, "metrics.py": "import package.budget as b"}
    assert import_violations(write_package(tmp_path, files)) == []


def test_an_import_for_typing_keeps_to_the_floors(tmp_path: Path) -> None:
    guarded = "import typing\nif typing.TYPE_CHECKING:\n    from .attacks import A"
    files = {"budget.py": guarded, "attacks.py": ""}
    (found,) = import_violations(write_package(tmp_path, files))
    assert upward("budget", "attacks") in found


def test_a_module_without_a_floor_is_caught(tmp_path: Path) -> None:
    found = import_violations(write_package(tmp_path, {"novelty.py": "", "__about__.py": ""}))
    assert found == [
        "package.__about__ has no floor: add it to FLOORS in tests/test_floors.py",
        "package.novelty has no floor: add it to FLOORS in tests/test_floors.py",
    ]


@pytest.mark.parametrize(
    ("source", "calls"),
    [
        ("def f():\n    print('x')", ["print"]),
        ("import torch\ntorch.manual_seed(0)", ["torch.manual_seed"]),
        ("from torch import manual_seed as s\ns(0)", ["torch.manual_seed"]),
        ("import numpy as np\nnp.random.seed(0)", ["numpy.random.seed"]),
        ("from numpy import random\nrandom.seed(0)", ["numpy.random.seed"]),
        ("import random\nrandom.seed(0)", ["random.seed"]),
        ("import torch\ntorch.Generator().manual_seed(0)\nrandom = f()\nrandom.seed(0)", []),
    ],
)
def test_a_forbidden_call_is_caught(tmp_path: Path, source: str, calls: list[str]) -> None:
    found = call_violations(write_package(tmp_path, {"metrics.py": source}))
    assert [line.rpartition(" ")[2] for line in found] == calls


def test_a_long_module_is_caught(tmp_path: Path) -> None:
    root = write_package(tmp_path, {"metrics.py": "#\n" * 300, "budget.py": "#\n" * 301})
    assert length_violations(root) == ["package.budget has 301 lines, more than 300"]
