"""Graphs that others poisoned: read as flips, written for other libraries, and the real ones."""

import json
from pathlib import Path
from typing import Any

import networkx
import numpy as np
import pytest
import scipy.sparse
import torch
from conftest import citation_graph, interaction_graph
from torch_geometric.data import HeteroData
from torch_geometric.utils import to_networkx, to_scipy_sparse_matrix

import graphpoison as gp
from graphpoison.graphs.adjacency_formats import is_adjacency, read_matrix

DATA = Path(__file__).parents[2] / "shared" / "data"
REAL = pytest.mark.skipif(not DATA.is_dir(), reason="needs the public data sets")


@pytest.fixture
def attacked() -> tuple[Any, gp.Perturbation]:
    data = citation_graph(18, 2)
    return data, gp.RandomAttack(allow_removals=True)(gp.NodeClassification(data), 6)


def same_flips(found: gp.Perturbation, expected: gp.Perturbation) -> None:
    def rows(perturbation: gp.Perturbation) -> set[tuple[int, int, bool]]:
        table = perturbation.flips[["source", "target", "added"]]
        return set(table.itertuples(index=False, name=None))

    assert rows(found) == rows(expected)
    assert len(found) == len(expected)


def forms(poisoned: Any, folder: Path) -> dict[str, Any]:
    """The edges of ``poisoned`` in every form that ``between`` reads."""
    matrix = to_scipy_sparse_matrix(poisoned.edge_index, num_nodes=poisoned.num_nodes).tocsr()
    scipy.sparse.save_npz(folder / "scipy.npz", matrix)
    arrays = {f"adj_{part}": getattr(matrix, part) for part in ("data", "indices", "indptr")}
    np.savez(folder / "arrays.npz", adj_shape=matrix.shape, **arrays)
    upper = scipy.sparse.triu(matrix).tocoo()
    lines = "\n".join(f"{i} {j}" for i, j in zip(upper.row, upper.col, strict=True))
    (folder / "edges.txt").write_text("# source target\n" + lines + "\n")
    (folder / "edges.csv").write_text(lines.replace(" ", ","))
    return {
        "Data": poisoned,
        "csr": matrix,
        "coo": matrix.tocoo(),
        "array": matrix.toarray(),
        "Tensor": torch.from_numpy(matrix.toarray()),
        "sparse Tensor": torch.from_numpy(matrix.toarray()).to_sparse(),
        "edge_index": poisoned.edge_index,
        "networkx": to_networkx(poisoned, to_undirected=True),
        "scipy.npz": folder / "scipy.npz",
        "arrays.npz": str(folder / "arrays.npz"),
        "edges.txt": folder / "edges.txt",
        "edges.csv": folder / "edges.csv",
    }


def test_every_form_gives_back_the_flips(
    attacked: tuple[Any, gp.Perturbation], tmp_path: Path
) -> None:
    data, flips = attacked
    assert set(flips.flips["added"]) == {True, False}
    poisoned = flips.apply(data)
    for name, form in forms(poisoned, tmp_path).items():
        found = gp.Perturbation.between(data, form)
        same_flips(found, flips)
        assert torch.equal(found.apply(data).edge_index, poisoned.edge_index), name
    same_flips(gp.Perturbation.between(gp.read_graph(data), gp.read_graph(poisoned)), flips)
    found = gp.Perturbation.between(data, poisoned)
    assert {name: found.meta[name] for name in ("num_edges", "edges", "shape", "edge_type")} == {
        name: flips.meta[name] for name in ("num_edges", "edges", "shape", "edge_type")
    }
    assert len(found.prefix(0.05)) == int(0.05 * found.meta["num_edges"])
    assert not len(gp.Perturbation.between(data, data))


def test_to_scipy_is_the_poisoned_adjacency(attacked: tuple[Any, gp.Perturbation]) -> None:
    data, flips = attacked
    poisoned = flips.apply(data)
    matrix = flips.to_scipy(data)
    expected = to_scipy_sparse_matrix(poisoned.edge_index, num_nodes=poisoned.num_nodes)
    assert matrix.dtype == np.float32
    assert (matrix != expected.tocsr()).nnz == 0
    graph = networkx.from_scipy_sparse_array(matrix)
    same_flips(gp.Perturbation.between(data, graph), flips)


def test_interactions() -> None:
    data = interaction_graph()
    flips = gp.MetaAttack(gp.Training(5, lr=0.5))(gp.Recommendation(data), 5)
    matrix = flips.to_scipy(data)
    assert matrix.shape == gp.read_graph(data).shape
    for form in (matrix, matrix.toarray(), flips.apply(data)):
        found = gp.Perturbation.between(data, form)
        same_flips(found, flips)
        assert found.meta["edge_type"] == flips.meta["edge_type"]
        report = gp.evaluate(data, found, ["popularity"], [0], metrics=["ndcg@5"])
        assert len(report.table)


def test_one_of_several_kinds_of_interactions(tmp_path: Path) -> None:
    data = interaction_graph()
    kinds = [("user", "rates", "item"), ("user", "buys", "item")]
    data[kinds[1]].update(dict(interaction_graph(seed=1)[kinds[0]]))
    flips = gp.MetaAttack(gp.Training(5, lr=0.5))(
        gp.Recommendation(data, gp.CF(dim=2), edge_type=kinds[1]), 5
    )
    flips.save(tmp_path / "flips.npz")
    loaded = gp.Perturbation.load(tmp_path / "flips.npz")
    assert loaded.meta["edge_type"] == kinds[1]
    poisoned = loaded.apply(data)
    same_flips(gp.Perturbation.between(data, poisoned, edge_type=kinds[1]), flips)
    assert not len(gp.Perturbation.between(data, poisoned, edge_type=kinds[0]))
    expected = scipy.sparse.coo_matrix(
        (np.ones(poisoned[kinds[1]].num_edges), poisoned[kinds[1]].edge_index.numpy()), (7, 9)
    )
    assert (loaded.to_scipy(data) != expected.tocsr()).nnz == 0


def test_saved_and_evaluated(attacked: tuple[Any, gp.Perturbation], tmp_path: Path) -> None:
    data, flips = attacked
    found = gp.Perturbation.between(data, flips.apply(data))
    found.save(tmp_path / "flips.npz")
    assert gp.Perturbation.load(tmp_path / "flips.npz").meta == found.meta
    report = gp.evaluate(data, found, [gp.ModuleVictim(_linear, "own", epochs=2)], [0])
    assert list(report.table["flips"]) == [6]


def _linear(num_features: int, num_classes: int) -> torch.nn.Module:
    class Linear(torch.nn.Linear):
        def forward(self, x: torch.Tensor, *edges: torch.Tensor) -> torch.Tensor:
            return super().forward(x)

    return Linear(num_features, num_classes)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda matrix: matrix[:-1, :-1], ValueError, r"shape \(17, 17\).*18 x 18"),
        (lambda matrix: 2 * matrix, ValueError, "entries other than 0 and 1, such as 2"),
        (lambda matrix: scipy.sparse.triu(matrix), ValueError, "not symmetric"),
        (lambda matrix: "nowhere.npz", FileNotFoundError, "nowhere"),
        (lambda matrix: 5, TypeError, "adjacency must be a scipy sparse matrix"),
        (lambda matrix: np.array([[0, 18], [18, 0]]), ValueError, "nodes beyond the graph"),
        (lambda matrix: networkx.path_graph(range(1, 19)), ValueError, "nodes 0, 1"),
        (lambda matrix: interaction_graph(), TypeError, "of the kind of clean"),
        (lambda matrix: citation_graph(17, 2), ValueError, "same nodes in the same order"),
        (lambda matrix: citation_graph(18, 5), ValueError, "features differ"),
    ],
)
def test_what_is_no_poisoned_graph(change: Any, error: type[Exception], message: str) -> None:
    data = citation_graph(18, 2)
    matrix = to_scipy_sparse_matrix(data.edge_index, num_nodes=18).tocsr()
    with pytest.raises(error, match=message):
        gp.Perturbation.between(data, change(matrix))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("words.txt", b"a b\n", "no list of edges"),
        ("weights.txt", b"0 1 1\n1 2 0\n", "two integers a line, found 3"),
        ("empty.txt", b"# nothing\n", "it has no line"),
        ("latin.txt", b"0 1 # caf\xe9\n", "no list of edges.*utf-8"),
        ("far.txt", b"0 1000000000000\n", "nodes beyond the graph's 18 x 18"),
        ("before.txt", b"-1 2\n", "nodes beyond the graph's 18 x 18"),
        ("short.npz", b"PK", "no sparse adjacency, or it is damaged"),
    ],
)
def test_files_of_another_form(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}.*{message}"):
        gp.Perturbation.between(citation_graph(18, 2), path)


def test_archives_of_other_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", values=np.ones(3))
    with pytest.raises(ValueError, match=r"holds no sparse adjacency: its arrays are \['values'\]"):
        read_matrix(tmp_path / "other.npz")
    np.save(tmp_path / "array.npy", np.ones(2))
    (tmp_path / "array.npy").rename(tmp_path / "array.npz")
    assert not is_adjacency(tmp_path / "array.npz")


def test_graphs_that_differ_in_more_than_edges() -> None:
    data = citation_graph(18, 2)
    weighted = data.clone()
    weighted.edge_weight = torch.full((data.num_edges,), 2.0)
    for clean, poisoned, named in ((weighted, data, "clean"), (data, weighted, "poisoned")):
        with pytest.raises(ValueError, match=f"{named} has edge_weight"):
            gp.Perturbation.between(clean, poisoned)
    likes = interaction_graph()
    rates = HeteroData()
    kind, (source, name, target) = ("fan", "likes", "song"), gp.read_graph(likes).edge_type
    rates["fan"].num_nodes = likes[source].num_nodes
    rates["song"].num_nodes = likes[target].num_nodes
    rates[kind].edge_index = likes[source, name, target].edge_index
    with pytest.raises(ValueError, match=r"poisoned has edges \('fan', 'likes', 'song'\)"):
        gp.Perturbation.between(likes, rates)


def test_flips_that_are_there_already_are_warned_of(
    attacked: tuple[Any, gp.Perturbation], caplog: pytest.LogCaptureFixture
) -> None:
    data, flips = attacked
    found = gp.Perturbation.between(data, flips.apply(data))
    found.to_scipy(data)
    assert not caplog.records
    found.to_scipy(flips.apply(data))
    assert "in the graph already" in caplog.text


@REAL
@pytest.mark.parametrize(
    ("name", "file", "edges"),
    [
        ("cora-deeprobust", "cora", 5069),
        ("citeseer-deeprobust", "citeseer", 3668),
        ("cora-ml", "cora_ml", 7981),
        ("polblogs", "polblogs", 16714),
    ],
)
def test_the_graphs_of_pro_gnn(name: str, file: str, edges: int) -> None:
    data = gp.datasets.load(name, DATA)
    assert data.num_edges // 2 == edges
    path = DATA / "prognn" / f"{file}_meta_adj_0.05.npz"
    flips = gp.Perturbation.between(data, path)
    assert len(flips) == int(0.05 * edges)
    assert (flips.to_scipy(data) != scipy.sparse.load_npz(path)).nnz == 0
    split = json.loads((path.parent / f"{file}_prognn_splits.json").read_text())
    masks = {"idx_train": data.train_mask, "idx_val": data.val_mask, "idx_test": data.test_mask}
    same = [
        set(split[part]) == set(mask.nonzero().flatten().tolist()) for part, mask in masks.items()
    ]
    # Pro-GNN's split of Citeseer is not the split of seed 15
    assert same == ([False, False, True] if file == "citeseer" else [True, True, True])


@REAL
def test_planetoid_and_deeprobust_number_one_cora() -> None:
    ours, theirs = (gp.datasets.load(name, DATA) for name in ("cora", "cora-deeprobust"))
    assert ours.num_edges == theirs.num_edges
    assert torch.equal(ours.y.bincount().sort().values, theirs.y.bincount().sort().values)
    assert not torch.equal(ours.x, theirs.x)
    order, other = (torch.from_numpy(np.lexsort(data.x.numpy().T)) for data in (ours, theirs))
    assert torch.equal(ours.x[order], theirs.x[other])
