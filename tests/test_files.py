"""Files that are written whole, beside links, devices, long names and full disks; files that are
refused before they fill the memory."""

import errno
import gzip
import io
import logging
import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import citation_graph, interaction_graph

import graphpoison as gp
from graphpoison import _io
from graphpoison._io import atomic_write, locked
from graphpoison._store import Store
from graphpoison.attacks import checkpoint as checkpoints
from graphpoison.graphs import FakeUsers

POSIX = pytest.mark.skipif(os.name != "posix", reason="links and pipes are those of POSIX")


def write(path: Path, content: bytes = b"new") -> None:
    with atomic_write(path) as file:
        file.write(content)


@POSIX
def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "there" / "file", tmp_path / "link"
    target.parent.mkdir()
    target.write_bytes(b"old")
    link.symlink_to(target)
    write(link)
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert [path.name for path in target.parent.iterdir()] == ["file"]


@POSIX
def test_a_file_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path)
    umask = _io._umask()
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    path.chmod(0o640)
    write(path, b"again")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@POSIX
def test_a_device_is_written_to(tmp_path: Path) -> None:
    before = os.stat("/dev/null").st_rdev
    write(Path("/dev/null"))
    assert os.stat("/dev/null").st_rdev == before
    gp.RandomAttack()(gp.NodeClassification(citation_graph()), 2).save("/dev/null")


@POSIX
@pytest.mark.parametrize("kind", ["a folder", "a pipe"])
def test_what_is_no_file_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "flips.csv"
    path.mkdir() if kind == "a folder" else os.mkfifo(path)
    for use in (
        lambda: write(path),
        lambda: gp.Perturbation.load(path),
        lambda: gp.datasets.load_graph(path),
        lambda: gp.datasets.read_interactions(path),
    ):
        with pytest.raises(ValueError, match=f"is {kind}; name a file"):
            use()


@POSIX
def test_endless_devices_are_refused() -> None:
    for read in (gp.Perturbation.load, gp.datasets.load_graph, gp.datasets.read_interactions):
        with pytest.raises(ValueError, match=r"/dev/zero is a device or socket; name a file"):
            read("/dev/zero")


def test_the_longest_names_are_written_and_locked(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 251 + ".npz")
    attack, task = gp.RandomAttack(), gp.NodeClassification(citation_graph())
    assert len(attack(task, 2, checkpoint=path)) == 2
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    with pytest.raises(OSError, match="too long"):
        attack(task, 2, checkpoint=tmp_path / ("n" * 300))


def test_files_of_killed_writers_go(tmp_path: Path) -> None:
    path = tmp_path / "flips.npz"
    for name in (".flips.npz.abc123_x.tmp", ".other.npz.abc123_x.tmp"):
        (tmp_path / name).write_bytes(b"half")
    with locked(path):
        pass
    assert [file.name for file in tmp_path.iterdir()] == [".other.npz.abc123_x.tmp"]


def full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_ends_no_attack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    attack, task = gp.DegreeAttack(), gp.NodeClassification(citation_graph())
    expected = attack(task, 3)
    monkeypatch.setattr(checkpoints, "SAVE_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(gp.Perturbation, "save", full_disk)
    with caplog.at_level(logging.WARNING):
        found = attack(task, 3, checkpoint=tmp_path / "flips.npz")
    assert torch.equal(found.pairs, expected.pairs)
    assert "the checkpoint cannot be written, and the flips are not saved" in caplog.text


def test_a_full_disk_ends_no_evaluation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    data = citation_graph(dtype=torch.float32)
    flips = gp.RandomAttack()(gp.NodeClassification(data), 3)
    put = Store.put

    def until_units(store: Store, key: str, value: Any) -> Any:
        return full_disk() if key.startswith('["unit"') else put(store, key, value)

    monkeypatch.setattr(Store, "put", until_units)
    with caplog.at_level(logging.WARNING):
        report = gp.evaluate(data, flips, ["sgc"], [0], checkpoint=tmp_path / "runs.sqlite")
    assert len(report.runs) == 1
    assert "the checkpoint cannot be written, runs are not saved" in caplog.text


def test_one_endless_line_is_not_echoed(tmp_path: Path) -> None:
    path = tmp_path / "log.csv.gz"
    with gzip.open(path, "wb") as file:
        for _ in range(20):
            file.write(b"x" * 1_000_000)
    with pytest.raises(ValueError, match="its first line has 1,000,000 characters") as caught:
        gp.datasets.read_interactions(path)
    assert len(str(caught.value)) < 300


def declared(name: str, size: int) -> bytes:
    """A zip archive of one member that claims to be ``size`` bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, b"")
    content = bytearray(file.getvalue())
    place = content.index(b"PK\x01\x02") + 24
    content[place : place + 4] = size.to_bytes(4, "little")
    return bytes(content)


@pytest.mark.parametrize(
    ("member", "read"),
    [("source.npy", gp.Perturbation.load), ("archive/data/0", gp.datasets.load_graph)],
)
def test_declared_sizes_are_looked_at_first(
    member: str, read: Callable[[Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_io, "LARGEST", 2**30)
    path = tmp_path / "bomb"
    path.write_bytes(declared(member, 2**31))
    with pytest.raises(ValueError, match=r"it declares 2\.1 GB in a file of 0\.0 GB"):
        read(path)


def test_members_of_other_names_are_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "flips.npz"
    gp.RandomAttack()(gp.NodeClassification(citation_graph()), 2).save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("more.npy", b"no array at all")
    with pytest.raises(ValueError, match=r"flips.npz.*members of other names: \['more'\]"):
        gp.Perturbation.load(path)


def test_fake_users_keep_the_order_of_many_tables() -> None:
    latent = tuple(torch.full((2, 1), float(number)) for number in range(12))
    found = FakeUsers(2, torch.tensor([[0, 1], [3, 4]]), latent)
    arrays = found.arrays()
    again = FakeUsers.of_arrays(arrays)
    assert [float(part.mean()) for part in again.latent] == list(range(12))
    arrays["fake_latent_19"] = arrays.pop("fake_latent_1")
    with pytest.raises(ValueError, match="have other names"):
        FakeUsers.of_arrays(arrays)


def test_far_more_nodes_than_interactions_are_refused() -> None:
    data = interaction_graph()
    data["user"].num_nodes = 10**8
    with pytest.raises(ValueError, match=r"data\['user'\].num_nodes is 100,000,000, with 20"):
        gp.Recommendation(data)


@pytest.mark.parametrize(
    "model", [gp.CF(3), gp.GMF(3, (4,)), gp.LightGCN(dim=3), gp.NeuMF(2, (3,))]
)
def test_a_seed_is_the_same_start_in_every_precision(model: gp.Recommender) -> None:
    draw = torch.Generator
    single, double = (
        model.init((5, 7), draw().manual_seed(3), dtype) for dtype in (torch.float32, torch.float64)
    )
    for one, other in zip(single, double, strict=True):
        torch.testing.assert_close(one, other.float(), rtol=1e-6, atol=0.0)


def test_weak_classifiers_are_named(caplog: pytest.LogCaptureFixture) -> None:
    data = citation_graph(dtype=torch.float32)
    flips = gp.RandomAttack()(gp.NodeClassification(data), 3)
    blind = gp.ModuleVictim(lambda f, c: Blind(f, c), "blind", epochs=1)
    report = gp.evaluate(data, flips, [blind], [0])
    share = float(torch.bincount(data.y[data.test_mask]).max() / data.test_mask.sum())
    (sentence,) = report.meta["warnings"]
    assert "victim blind is no better than the most frequent class" in sentence
    assert f"against {share:.3f}" in sentence
    assert sentence in caplog.text


class Blind(torch.nn.Module):
    """Says the least frequent class of every node."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.bias = torch.nn.Parameter(torch.zeros(classes))

    def forward(self, x: torch.Tensor, edge_index: torch.Tensor) -> torch.Tensor:
        rare = torch.nn.functional.one_hot(torch.tensor(0), self.bias.numel())
        return (self.bias * 0.0 - rare.to(x) * torch.arange(1.0, 2.0)).expand(x.size(0), -1)


def test_a_surrogate_that_learns_nothing_is_named(caplog: pytest.LogCaptureFixture) -> None:
    task = gp.NodeClassification(citation_graph(), objective="self")
    task.with_pseudo_labels(gp.Training(steps=1, lr=1e-9), 0)
    assert "on the clean graph the surrogate classifies" in caplog.text
