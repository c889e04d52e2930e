"""The result of an attack: its flips in order, to be applied to graphs and saved without pickle."""

import json
import os
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch_geometric.data import Data, HeteroData

from ._html import facts
from ._io import atomic_write, refuse_large, refuse_special
from ._settings import digest
from .apply import edges_after, edges_digest, edges_of, poisoned, poisoned_data, recognise
from .budget import Budget, part_of
from .flip_columns import COLUMNS, EDGE, FEATURE, checked_flips
from .graphs import EdgeType, FakeUsers, Interactions, NodeGraph, PairState, read_graph
from .graphs.adjacency_formats import scipy_adjacency
from .graphs.codes import among

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

SHOWN = 5  # flips in a notebook
FORMATS = (1, 2)  # without and with flips of features
Graph = TypeVar("Graph", Data, HeteroData, NodeGraph, Interactions)


@dataclass(frozen=True, eq=False, repr=False)
class Perturbation:
    """Ordered flips of node pairs and of binary node features, with their provenance.

    Args:
        flips: DataFrame, one row for each flip. Columns: step (number of the proposal that made the
            flip, from 0), source, target, added, score (first-order gain in attack loss, or NaN),
            attack_loss (before the step) and kind (``"edge"``, the default, or ``"feature"``). A
            feature flip has the node as source and the feature as target; added means that the
            feature became 1. An undirected edge is one row, source < target.
        meta: attack, task, all their ``settings`` by name, seed, budget, ``num_edges`` and
            ``edges`` (a digest) of the clean graph, ``fingerprint``, ``shape`` (with fake users),
            ``edge_type`` (None for a homogeneous graph); for some attacks ``targets`` (promoted
            items) and ``heuristic`` (True for a baseline). A repeated run has equal ``meta``.
        fake_users: users that join before the first flip.
        provenance: versions, device and time of the run, the number of ``flips`` made and whether
            the attack had ``finished``.

    Raises:
        TypeError: ``flips`` is no DataFrame.
        ValueError: a column is missing; source, target or step is no integer from 0 on, or a node
            is beyond ``meta["shape"]``; added is neither true nor false; a pair occurs twice or,
            in a homogeneous graph, has source >= target.
    """

    flips: pd.DataFrame
    meta: dict[str, Any] = field(default_factory=dict)
    fake_users: FakeUsers | None = None
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        of_nodes = self.meta.get("edge_type") is None
        table = checked_flips(self.flips, of_nodes, self.meta.get("shape"))
        object.__setattr__(self, "flips", table)

    def __len__(self) -> int:
        return len(self.flips)

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {name}" for name, count in self._counts().items())
        return (
            f"<Perturbation: {counts or 'no flips'}; {self.meta.get('attack', 'attack unknown')}>"
        )

    def _repr_html_(self) -> str:
        names = ("attack", "task", "seed")
        known = {name: str(self.meta[name]) for name in names if name in self.meta}
        first = self.flips.head(SHOWN).to_html(index=False)
        return facts(f"{len(self):,} flips", {**self._counts(), **known}, first)

    def _counts(self) -> dict[str, str]:
        """The numbers of flips of each kind that occurs, and of fake users."""
        counts = {
            "edges added": self.added.size(1),
            "edges removed": self.removed.size(1),
            "features set": self.features_set.size(1),
            "features cleared": self.features_cleared.size(1),
            "fake users": 0 if self.fake_users is None else self.fake_users.count,
        }
        return {name: f"{count:,}" for name, count in counts.items() if count}

    @property
    def pairs(self) -> Tensor:
        """LongTensor [2, k] of all flipped pairs of nodes, in order."""
        return _pairs(self._edges)

    @property
    def added(self) -> Tensor:
        """LongTensor [2, k] of the pairs that became edges."""
        return _pairs(self._edges[self._edges["added"]])

    @property
    def removed(self) -> Tensor:
        """LongTensor [2, k] of the edges that were removed."""
        return _pairs(self._edges[~self._edges["added"]])

    @property
    def feature_flips(self) -> Tensor:
        """LongTensor [2, k] of all flipped features (node, feature), in order."""
        return _pairs(self._features)

    @property
    def features_set(self) -> Tensor:
        """LongTensor [2, k] of the features (node, feature) that became 1."""
        return _pairs(self._features[self._features["added"]])

    @property
    def features_cleared(self) -> Tensor:
        """LongTensor [2, k] of the features (node, feature) that became 0."""
        return _pairs(self._features[~self._features["added"]])

    @property
    def _edges(self) -> pd.DataFrame:
        return self.flips[self.flips["kind"] == EDGE]

    @property
    def _features(self) -> pd.DataFrame:
        return self.flips[self.flips["kind"] == FEATURE]

    def prefix(self, budget: float | int | Budget) -> "Perturbation":
        """The first ``budget`` flips; a float is a share of the clean edges. An attack that chooses
        its flips jointly is stronger if it is run with the smaller budget.

        Raises:
            TypeError: ``budget`` is of another kind.
            ValueError: ``budget`` exceeds the number of flips made, or is negative.
        """
        count = self.flips_of(budget)
        if not 0 <= count <= len(self):
            raise ValueError(f"prefix({budget}) is {count} flips, but {len(self)} were made.")
        return replace(self, flips=self.flips.iloc[:count])

    def flips_of(self, budget: float | int | Budget) -> int:
        """The number of flips in ``budget``; a float is a share of the clean edges.

        Raises:
            TypeError: ``budget`` is of another kind.
        """
        if isinstance(budget, Budget) and budget.of == "edges":
            budget = float(budget.share or 0) if budget.flips is None else budget.flips
        if isinstance(budget, float):
            return part_of(budget, self.meta.get("num_edges", 0))
        if isinstance(budget, bool | Budget) or not hasattr(budget, "__index__"):
            raise TypeError(
                "budget must be a number of flips, a share of the clean edges such as 0.05, or a "
                f"Budget of either, found {budget!r}."
            )
        return int(budget)

    def apply(self, data: Graph) -> Graph:
        """Returns a new graph with the pairs and features flipped; ``data`` is not changed.

        A warning is logged if ``data`` has other edges than the attacked graph. If ``data`` is the
        poisoned graph, the flips restore the clean graph, unless fake users have joined. Fake
        users are numbered last and have zeros as features. Every edge that a flip adds or restores
        has ``edge_weight`` 1. Edges are sorted; both directions of a homogeneous graph and the
        reverse edge types of a bipartite graph are flipped alike. In a bipartite graph with
        ``neg_edge_index``, a flipped pair moves between ``edge_index`` and ``neg_edge_index``
        (thesis, Algorithm 1, lines 15 and 16), and ``neg_edge_index`` has all other pairs of fake
        users.

        Raises:
            TypeError: ``data`` is not of the kind that was attacked.
            ValueError: an added pair is an edge already, or a removed pair is not; the fake users
                have joined already; features were flipped that ``data.x`` lacks, or that are not
                binary there.
        """
        if isinstance(data, NodeGraph | Interactions):
            return poisoned(self, data)
        return poisoned_data(self, data)

    @classmethod
    def between(cls, clean: Any, poisoned: Any, edge_type: EdgeType | None = None) -> Self:
        """The flips that turn ``clean`` into ``poisoned``, a graph attacked by other software.

        Rows are sorted, additions before removals, all with step 0. The order of the flips is not
        known, so a prefix is not an attack of a smaller budget. Scores and losses are NaN.

        Args:
            clean: ``Data``, ``HeteroData`` or a graph that was read.
            poisoned: a graph of the same kind; or its adjacency in scipy, numpy, torch or networkx;
                or the path of a ``.npz`` file or of an edge list. See
                :mod:`graphpoison.graphs.adjacency_formats`.
            edge_type: the interactions to compare, if a ``HeteroData`` has several edge types.

        Raises:
            TypeError: ``poisoned`` is a graph of another kind than ``clean``, or no adjacency.
            ValueError: the numbers of nodes or the node features differ; an adjacency is not
                symmetric, or has entries other than 0 and 1; a graph has ``edge_weight``.
        """
        before = read_graph(clean, edge_type)
        edges, after = edges_of(before).cpu(), edges_after(before, poisoned, edge_type)
        columns = before.shape[1]
        added = after[:, ~among(after, edges, columns)]
        removed = edges[:, ~among(edges, after, columns)]
        source, target = torch.cat([added, removed], dim=1).numpy()
        table = pd.DataFrame({"step": 0, "source": source, "target": target})
        table["added"] = table.index < added.size(1)
        table = table.assign(score=np.nan, attack_loss=np.nan, kind=EDGE)
        meta = {
            "attack": "Perturbation.between",
            "num_edges": edges.size(1),
            "edges": edges_digest(edges, before.shape),
            "shape": list(before.shape),
            "edge_type": None if isinstance(before, NodeGraph) else before.edge_type,
        }
        return cls(table, meta)

    def to_scipy(self, data: Data | HeteroData | NodeGraph | Interactions) -> "csr_matrix":
        """The adjacency of ``data`` with the flips applied, float32 with entries 0 and 1.

        The shape is [N, N] (symmetric) or [users, items]. ``scipy.sparse.save_npz`` writes it to
        the file that DeepRobust and Pro-GNN read. Raises and warns as :meth:`apply`.
        """
        graph = read_graph(data, self.meta.get("edge_type"))
        recognise(self, edges_of(graph), graph.shape)
        return scipy_adjacency(poisoned(self, graph))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a ``.npz`` file: arrays and JSON, no pickle."""
        arrays: dict[str, Any] = {name: self.flips[name].to_numpy() for name in COLUMNS}
        arrays["kind"] = arrays["kind"].astype(np.str_)  # an array of objects would be pickled
        arrays |= {} if self.fake_users is None else self.fake_users.arrays()
        version = FORMATS[int(self.feature_flips.size(1) > 0)]
        meta = np.array(json.dumps({"format": version, **self.meta}))
        provenance = np.array(json.dumps(self.provenance))
        with atomic_write(path) as file:
            np.savez_compressed(file, meta=meta, provenance=provenance, **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Perturbation":
        """Read a file that :meth:`save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is of another kind or format, or it is damaged.
        """
        refuse_special(path)
        content = Path(path).read_bytes()
        try:
            arrays = _arrays(content)
            missing = {"meta", "provenance", *COLUMNS} - set(arrays)
            if missing:
                raise ValueError(f"it lacks {sorted(missing)}")
            meta = json.loads(str(arrays["meta"]))
            if (found := meta.pop("format", None)) not in FORMATS:
                raise ValueError(f"it is of format {found}, not one of {FORMATS}")
            if meta.get("edge_type") is not None:
                meta["edge_type"] = tuple(meta["edge_type"])
            fake = {name: part for name, part in arrays.items() if name.startswith("fake_")}
            return cls(
                pd.DataFrame({name: arrays[name] for name in COLUMNS}),
                meta,
                FakeUsers.of_arrays(fake) if fake else None,
                json.loads(str(arrays["provenance"])),
            )
        except MemoryError:
            raise
        except Exception as error:  # numpy and zipfile raise many types for damaged bytes
            raise ValueError(
                f"{path} is no saved perturbation, or it is damaged ({error}); make it anew."
            ) from error


def _arrays(content: bytes) -> dict[str, np.ndarray]:
    """The arrays that :meth:`Perturbation.save` writes, checked against their checksums."""
    refuse_large(BytesIO(content), lambda name: _known(name.removesuffix(".npy")))
    with np.load(BytesIO(content), allow_pickle=False) as file:
        other = [name for name in file.files if not _known(name)]
        if other:
            raise ValueError(f"it has members of other names: {other}")
        return {name: file[name] for name in file.files}


def _known(name: str) -> bool:
    return name in {"meta", "provenance", *COLUMNS} or name.startswith("fake_")


def fingerprint(state: PairState, *inputs: Tensor) -> str:
    """A digest (16 hexadecimal digits) of a clean graph, its candidates and ``inputs``."""
    kind = repr((state.shape, state.bipartite, state.implicit_candidates))
    return digest(kind, state.pattern.codes, state.clean, state.candidate, *inputs)


def _pairs(table: pd.DataFrame) -> Tensor:
    return torch.tensor(table[["source", "target"]].to_numpy().T.copy(), dtype=torch.long)
