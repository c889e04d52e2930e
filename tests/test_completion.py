"""Tab completion shows the public names of the package and of its subpackages, and nothing else."""

import importlib
import pkgutil
from types import ModuleType

import pytest

import graphpoison as gp

PACKAGES = [
    f"graphpoison.{found.name}"
    for found in pkgutil.iter_modules(gp.__path__)
    if found.ispkg and found.name != "cli"
]


@pytest.mark.parametrize("name", ["graphpoison", *PACKAGES])
def test_dir_shows_public_names_only(name: str) -> None:
    package = importlib.import_module(name)
    assert dir(package) == sorted(package.__all__)
    assert all(hasattr(package, each) for each in package.__all__)
    private = [each for each in dir(package) if each.startswith("_") and each != "__version__"]
    assert not private
    modules = [each for each in dir(package) if isinstance(getattr(package, each), ModuleType)]
    assert modules == (["datasets"] if package is gp else [])


def test_a_changed_dir_does_not_change_the_package() -> None:
    package = importlib.import_module("graphpoison.attacks")
    package.__dir__().clear()
    assert "MetaAttack" in dir(package)
