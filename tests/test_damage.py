"""Damaged bytes: the same content, or an error that names the file."""

from functools import cache
from pathlib import Path

import pytest
from damage import FORMATS, Damage, Format, damages, tried
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NAMES = [each.name for each in FORMATS]
QUICK = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
LONG = settings(QUICK, max_examples=2000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damage")


@cache
def made(of: Format, folder: Path) -> tuple[bytes, str]:
    """The bytes of a valid file, and its content."""
    path = folder / of.name
    of.make(path)
    return path.read_bytes(), of.read(path)


def check(of: Format, folder: Path, kinds: list[Damage]) -> None:
    whole, content = made(of, folder)
    damaged = whole
    for kind in kinds:
        damaged = kind.of(damaged)
    path = folder / of.name
    path.write_bytes(damaged)
    found, refused = tried(lambda: of.read(path))
    if refused:
        assert of.name in refused
        assert damaged != whole
    elif of.checked and damaged:  # SQLite takes an empty file for a new one
        assert found == content
    assert path.read_bytes() == damaged


@pytest.mark.parametrize("of", FORMATS, ids=NAMES)
@QUICK
@given(kinds=st.lists(damages, min_size=1, max_size=2))
def test_damage_is_found_or_harmless(of: Format, folder: Path, kinds: list[Damage]) -> None:
    check(of, folder, kinds)


@pytest.mark.slow
@pytest.mark.parametrize("of", FORMATS, ids=NAMES)
@LONG
@given(kinds=st.lists(damages, min_size=1, max_size=4))
def test_much_damage_is_found_or_harmless(of: Format, folder: Path, kinds: list[Damage]) -> None:
    check(of, folder, kinds)
