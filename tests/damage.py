"""Files of every format that the library reads, and ways to damage them."""

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import killed
import scipy.sparse
import torch
from conftest import citation_graph, interaction_graph
from hypothesis import strategies as st

import graphpoison as gp
from graphpoison._store import Store
from graphpoison.cli.commands import loaded
from graphpoison.cli.config import load_config
from graphpoison.cli.errors import WrongUsage

Reader = Callable[[Path], str]


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Args:
        name: of the format, with its suffix.
        make: writes a valid file.
        read: reads a file; all its content as text.
        checked: whether the file has a digest, so that changed content is always found.
    """

    name: str
    make: Callable[[Path], object]
    read: Reader
    checked: bool = True


@dataclass(frozen=True)
class Damage:
    """One change of a file, at a place that is a share of its length."""

    kind: str
    place: float
    length: int
    content: bytes

    def of(self, whole: bytes) -> bytes:
        """``whole``, damaged."""
        at = int(self.place * len(whole))
        end = min(at + self.length, len(whole))
        if self.kind == "bit" and whole:
            at = min(at, len(whole) - 1)
            return whole[:at] + bytes([whole[at] ^ 1 << self.length % 8]) + whole[at + 1 :]
        return {
            "bit": whole,
            "cut": whole[:at],
            "overwritten": whole[:at] + self.content + whole[at + len(self.content) :],
            "inserted": whole[:at] + self.content + whole[at:],
            "zeros": whole[:at] + bytes(end - at) + whole[end:],
            "removed": whole[:at] + whole[end:],
            "repeated": whole[:end] + whole[at:],
            "twice": whole + whole,
            "empty": b"",
        }[self.kind]

    def __str__(self) -> str:
        return f"{self.kind} at {self.place:.3f}"


damages = st.builds(
    Damage,
    st.sampled_from(
        ["bit", "cut", "overwritten", "inserted", "zeros", "removed", "repeated", "twice", "empty"]
    ),
    st.floats(0, 1),
    st.integers(1, 300),
    st.binary(min_size=1, max_size=40),
)


def tried(work: Callable[[], object]) -> tuple[object, str]:
    """The result of ``work`` and no text, or None and the text of its ValueError."""
    try:
        return work(), ""
    except ValueError as error:
        return None, str(error)


def _flips(path: Path) -> str:
    found = gp.Perturbation.load(path)
    return found.flips.to_csv() + repr((found.meta, found.fake_users, found.provenance))


def _graph(path: Path) -> str:
    with printed_whole():
        return str(gp.datasets.load_graph(path).to_dict())


def _runs(path: Path) -> str:
    return repr(Store(path).all())


def _adjacency(path: Path) -> str:
    return gp.Perturbation.between(citation_graph(num_nodes=20), path).flips.to_csv()


def _table(path: Path) -> str:
    return gp.datasets.read_interactions(path).to_csv()


def _lists(path: Path) -> str:
    return gp.datasets.read_interactions(path, lists=True).to_csv()


def _options(path: Path) -> str:
    context = click.Context(loaded("attack"))
    try:
        load_config(context, path)
    except WrongUsage as error:
        raise ValueError(str(error)) from error
    return repr(context.default_map)


@contextmanager
def printed_whole() -> Iterator[None]:
    """Tensors print all their values."""
    torch.set_printoptions(threshold=10**9)
    try:
        yield
    finally:
        torch.set_printoptions(profile="default")


def _write_runs(path: Path) -> None:
    random = gp.RandomAttack()(killed.link_task(), 6)
    victim = gp.RecommenderVictim(gp.CF(dim=2), "cf", killed.SHORT)
    gp.evaluate(interaction_graph(), random, [victim], range(2), checkpoint=path)


def _write_matrix(path: Path) -> None:
    flips = gp.RandomAttack(allow_removals=True)(killed.node_task(), 9)
    scipy.sparse.save_npz(path, flips.to_scipy(citation_graph(num_nodes=20)))


ROWS = [(f"u{number % 7}", f"i{number % 9}", number % 5) for number in range(40)]
CSV = "user,item,rating\n" + "".join(f"{user},{item},{kept}\n" for user, item, kept in ROWS)
LISTS = "".join(f"{user} {user + 1} {user + 3}\n" for user in range(9))
EDGES = "".join(f"{node} {node + 1}\n" for node in range(13))
YAML = "attack: meta-attack\nflips-per-step: 5\nseed: 3\nconstraint: [no-singletons]\n"
FORMATS = [
    Format(
        "flips.npz", lambda path: gp.MetaAttack(killed.SHORT)(killed.node_task(), 9).save(path),
        _flips,
    ),
    Format(
        "fake-users.npz",
        lambda path: gp.NewUsers(2, killed.ADDING)(killed.link_task(), 5).save(path), _flips,
    ),
    Format("nodes.pt", lambda path: gp.datasets.save_graph(citation_graph(), path), _graph),
    Format("links.pt", lambda path: gp.datasets.save_graph(interaction_graph(), path), _graph),
    Format("runs.sqlite", _write_runs, _runs),
    Format("matrix.npz", _write_matrix, _adjacency, checked=False),
    Format("edges.txt", lambda path: path.write_text(EDGES), _adjacency, checked=False),
    Format("table.csv", lambda path: path.write_text(CSV), _table, checked=False),
    Format(
        "table.csv.gz", lambda path: path.write_bytes(gzip.compress(CSV.encode(), mtime=0)), _table,
        checked=False,
    ),
    Format("lists.txt", lambda path: path.write_text(LISTS), _lists, checked=False),
    Format("options.yaml", lambda path: path.write_text(YAML), _options, checked=False),
]  # fmt: skip
