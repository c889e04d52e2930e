"""``import graphpoison`` loads nothing; its names load no package that only some functions need."""

import importlib
import json
import pkgutil
import subprocess
import sys

import graphpoison

LATE = {
    *("filelock", "joblib", "matplotlib", "networkx", "pyarrow", "rich", "scipy"),
    *("sklearn", "typer", "yaml"),
}
LOADED = "print(json.dumps(sorted({name.partition('.')[0] for name in set(sys.modules) - before})))"


def loaded_by(code: str, before: str = "") -> set[str]:
    """The packages that ``code`` loads in a process that has run ``before``."""
    lines = ["import json, sys", before, "before = set(sys.modules)", code, LOADED]
    command = [sys.executable, "-c", "\n".join(lines)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_import_loads_nothing() -> None:
    code = "import graphpoison\nassert graphpoison.__version__"
    assert not loaded_by(code) & {"torch", "torch_geometric", "numpy", "pandas", *LATE}


def test_the_names_load_no_package_that_only_some_functions_need() -> None:
    before = "import torch, torch_geometric.nn, torch_geometric.transforms"
    loaded = loaded_by("from graphpoison import *\nassert MetaAttack", before)
    assert "graphpoison" in loaded
    assert not loaded & LATE


def test_every_name_is_there() -> None:
    assert {"MetaAttack", "datasets", "evaluate", "__version__"} <= set(graphpoison.__all__)
    assert set(graphpoison.__all__) <= set(dir(graphpoison))
    assert all(getattr(graphpoison, name) is not None for name in graphpoison.__all__)


def test_no_function_hides_a_module_of_its_name() -> None:
    for found in pkgutil.walk_packages(graphpoison.__path__, "graphpoison."):
        if "._tower_" not in found.name and not found.name.endswith("__main__"):
            importlib.import_module(found.name)
    modules = [name for name in sys.modules if name.startswith("graphpoison.")]
    parents = {name: name.rpartition(".") for name in modules}
    seen = {name: getattr(sys.modules[part[0]], part[2]) for name, part in parents.items()}
    assert [name for name in modules if seen[name] is not sys.modules[name]] == []
