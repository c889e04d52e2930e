"""``import graphpoison`` is cheap: packages that only some functions need are imported later."""

import json
import subprocess
import sys

LATE = {
    *("filelock", "joblib", "matplotlib", "networkx", "plotly", "pyarrow", "rich", "scipy"),
    *("sklearn", "typer", "yaml"),
}


def test_the_import_loads_no_package_that_only_some_functions_need() -> None:
    code = (
        "import json, sys, torch, torch_geometric.nn, torch_geometric.transforms\n"
        "before = set(sys.modules)\n"
        "import graphpoison\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in set(sys.modules) - before})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert "graphpoison" in loaded
    assert not loaded & LATE
