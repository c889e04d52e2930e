"""Data sets: counts, splits, where files are looked for, and synthetic graphs."""

import logging
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import interaction_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from torch_geometric import datasets as pyg_datasets
from torch_geometric.data import Data, HeteroData
from torch_geometric.utils import contains_self_loops, is_undirected

import graphpoison as gp
from graphpoison.datasets.locate import find_raw, movielens_100k
from graphpoison.victims import node_victim

KIND = ("user", "rates", "item")
PARTS = ("edge_index", "neg_edge_index", "unseen_edge_index", "unseen_neg_edge_index")


def assert_citation(data: Data) -> None:
    assert is_undirected(data.edge_index, num_nodes=data.num_nodes)
    assert not contains_self_loops(data.edge_index)
    assert data.is_coalesced()
    assert data.x.dtype == torch.float32
    assert set(data.x.unique().tolist()) <= {0.0, 1.0}
    masks = torch.stack([data.train_mask, data.val_mask, data.test_mask])
    assert int(masks.sum(dim=0).max()) == 1
    assert int((~masks.any(dim=0)).sum()) <= 2
    shares = masks.float().mean(dim=1)
    torch.testing.assert_close(shares, torch.tensor([0.1, 0.1, 0.8]), atol=0.01, rtol=0)


def assert_interactions(data: HeteroData) -> None:
    store, items = data[KIND], data["item"].num_nodes
    codes = [store[part][0] * items + store[part][1] for part in PARTS]
    assert all(bool((part.diff() > 0).all()) for part in codes)
    every = torch.cat(codes)
    assert every.unique().numel() == every.numel()
    assert int(every.max()) < data["user"].num_nodes * items


@pytest.mark.parametrize(
    ("name", "nodes", "edges", "split"),
    [
        ("cora", 2485, 5069, (247, 249, 1988)),
        ("cora-ml", 2810, 7981, None),
        ("citeseer", 2120, 3679, None),
        ("polblogs", 1222, 16714, None),
    ],
)
def test_citation_graphs_have_the_published_counts(
    real_data: Path, name: str, nodes: int, edges: int, split: tuple[int, ...] | None
) -> None:
    before = {path: path.stat().st_mtime_ns for path in real_data.rglob("*")}
    data = gp.datasets.load(name, root=real_data)
    assert (data.num_nodes, data.num_edges) == (nodes, 2 * edges)
    assert_citation(data)
    if split is not None:
        masks = (data.train_mask, data.val_mask, data.test_mask)
        assert tuple(int(mask.sum()) for mask in masks) == split
    share = torch.bincount(data.y).float() / nodes
    trained = torch.bincount(data.y[data.train_mask]).float() / int(data.train_mask.sum())
    torch.testing.assert_close(trained, share, atol=0.01, rtol=0)
    assert {path: path.stat().st_mtime_ns for path in real_data.rglob("*")} == before


def test_movielens_has_the_published_counts(real_data: Path) -> None:
    data = gp.datasets.load("movielens-100k", root=real_data)
    assert (data["user"].num_nodes, data["item"].num_nodes) == (943, 1682)
    sizes = [data[KIND][part].size(1) for part in PARTS]
    assert sizes == [80_000, 80_000, 20_000, 20_000]
    assert_interactions(data)
    table = pd.read_csv(real_data / "MovieLens100K/raw/u.data", sep="\t", header=None)
    rated = set(zip(table[0] - 1, table[1] - 1, strict=True))
    found = torch.cat([data[KIND].edge_index, data[KIND].unseen_edge_index], dim=1)
    assert {tuple(pair) for pair in found.t().tolist()} == rated


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Empty folders for root, GRAPHPOISON_DATA and the cache, and no network."""
    found = {name: tmp_path / name for name in ("root", "variable", "cache")}
    for folder in found.values():
        folder.mkdir()
    monkeypatch.setenv("GRAPHPOISON_DATA", str(found["variable"]))
    monkeypatch.setenv("XDG_CACHE_HOME", str(found["cache"]))

    def offline(*args: object, **kwargs: object) -> None:
        raise OSError("no network")

    for name in ("Planetoid", "CitationFull", "MovieLens100K", "MovieLens1M"):
        monkeypatch.setattr(pyg_datasets, name, offline)
    return found


def put_ratings(folder: Path) -> Path:
    raw = folder / "MovieLens100K" / "raw"
    raw.mkdir(parents=True)
    rows = [f"{user}\t{item}\t3\t0" for user in range(1, 9) for item in range(1, 6)]
    (raw / "u.data").write_text("\n".join(rows))
    return raw


def test_places_are_searched_in_order(places: dict[str, Path]) -> None:
    cached = put_ratings(places["cache"] / "graphpoison")
    assert find_raw(movielens_100k("m"), places["root"]) == cached
    named = put_ratings(places["variable"])
    assert find_raw(movielens_100k("m"), places["root"]) == named
    given_root = put_ratings(places["root"])
    assert find_raw(movielens_100k("m"), places["root"]) == given_root
    assert find_raw(movielens_100k("m")) == named


def test_the_place_found_is_logged(
    places: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    put_ratings(places["variable"])
    with caplog.at_level(logging.INFO):
        gp.datasets.load("movielens-100k", root=places["root"], num_negatives=0)
    assert f"reading {places['variable']}" in caplog.text


@pytest.mark.parametrize(
    "name", ["cora", "cora-ml", "citeseer", "pubmed", "movielens-100k", "movielens-1m"]
)
def test_offline_and_absent_names_all_four_places(places: dict[str, Path], name: str) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        gp.datasets.load(name, root=places["root"])
    for place in places.values():
        assert str(place) in str(caught.value)
    assert "download by PyG: OSError: no network" in str(caught.value)
    assert not list(places["root"].iterdir())


@pytest.mark.parametrize(
    ("name", "page", "file", "folder"),
    [
        ("polblogs", "danielzuegner/gnn-meta-attack", "polblogs.npz", "zuegner"),
        ("steam", "tamber/steam-video-games", "steam-200k.csv", "Steam"),
        ("anime", "CooperUnion/anime-recommendations-database", "rating.csv", "Anime"),
        ("netflix", "netflix-inc/netflix-prize-data", "combined_data_1.txt", "Netflix"),
        ("gowalla", "gusye1234/LightGCN-PyTorch", "train.txt, test.txt", "LightGCN/gowalla"),
    ],
)
def test_what_cannot_be_downloaded_is_said_where_to_get_and_put(
    places: dict[str, Path], name: str, page: str, file: str, folder: str
) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        gp.datasets.load(name, root=places["root"])
    message = str(caught.value)
    assert "none of the 3 places" in message
    assert all(str(place) in message for place in places.values())
    assert page in message
    assert f"put {file} or " in message or f"put {file} into" in message
    assert f"into {folder} under" in message
    assert not list(places["cache"].iterdir())


def test_downloads_go_to_the_cache_and_whole_or_not_at_all(
    places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(place: str) -> None:
        raw = Path(place) / "raw"
        raw.mkdir(parents=True)
        (raw / "u.data").write_text("1\t1\t3\t0\n1\t2\t3\t0\n2\t2\t4\t0\n2\t3\t4\t0\n")

    monkeypatch.setattr(pyg_datasets, "MovieLens100K", download)
    data = gp.datasets.load("movielens-100k", num_negatives=1)
    assert data["user"].num_nodes == 2
    cache = places["cache"] / "graphpoison"
    assert [path.name for path in cache.iterdir()] == ["MovieLens100K"]


def test_a_root_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a directory"):
        gp.datasets.load("cora", root=tmp_path / "nowhere")


def test_unknown_names_and_options_are_named() -> None:
    with pytest.raises(ValueError, match="Did you mean 'movielens-100k'"):
        gp.datasets.load("movielens100k")
    with pytest.raises(TypeError, match="has no option 'num_user'"):
        gp.datasets.load("synthetic-interactions", num_user=3)
    assert len(gp.datasets.names()) == 15


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("synthetic-citation", {"num_nodes": 150}),
        ("synthetic-interactions", {"num_users": 40, "num_items": 60, "num_interactions": 400}),
    ],
)
def test_synthetic_sets_are_the_same_for_the_same_seed(name: str, options: dict[str, int]) -> None:
    def edges(seed: int) -> torch.Tensor:
        data = gp.datasets.load(name, seed=seed, **options)
        return data.edge_index if isinstance(data, Data) else data[KIND].edge_index

    assert torch.equal(edges(3), edges(3))
    assert not torch.equal(edges(3), edges(4))


def test_small_synthetic_sets_are_well_formed() -> None:
    assert_citation(gp.datasets.load("synthetic-citation", num_nodes=400))
    data = gp.datasets.load(
        "synthetic-interactions", num_users=40, num_items=60, num_interactions=400
    )
    assert_interactions(data)
    assert data[KIND].edge_index.size(1) + data[KIND].unseen_edge_index.size(1) == 400


def test_synthetic_citation_is_as_hard_as_cora() -> None:
    for seed in (15, 0):
        data = gp.datasets.load("synthetic-citation", seed=seed)
        assert 2300 <= data.num_nodes <= 2700
        assert_citation(data)
        logits = node_victim("gcn").fit(gp.read_graph(data), seed=0).logits()
        correct = logits.argmax(dim=1)[data.test_mask] == data.y[data.test_mask]
        assert 0.80 <= correct.float().mean() <= 0.88


def test_synthetic_interactions_have_long_tails_that_can_be_learned() -> None:
    data = gp.datasets.load("synthetic-interactions")
    assert (data["user"].num_nodes, data["item"].num_nodes) == (900, 1600)
    store = data[KIND]
    assert_interactions(data)
    both = torch.cat([store.edge_index, store.unseen_edge_index], dim=1)
    assert both.size(1) == 100_000
    assert int(torch.bincount(both[0], minlength=900).min()) >= 20
    popularity = torch.bincount(both[1], minlength=1600).sort(descending=True).values
    assert popularity[:160].sum() > 0.3 * 100_000
    training = gp.Training(steps=50, lr=0.05, optimizer="adam")
    victim = gp.RecommenderVictim(gp.CF(dim=8), "cf", training)
    pairs = torch.cat([store.unseen_edge_index, store.unseen_neg_edge_index], dim=1)
    scores = victim.fit(gp.read_graph(data), seed=0).pairs(pairs)
    labels = np.repeat([1, 0], [20_000, 20_000])
    assert 0.85 < roc_auc_score(labels, scores) < 0.95


@given(
    pairs=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=60),
    fraction=st.floats(0, 0.9),
    seed=st.integers(0, 9),
)
def test_any_frame_gives_disjoint_sorted_parts(
    pairs: list[tuple[int, int]], fraction: float, seed: int
) -> None:
    frame = pd.DataFrame(pairs, columns=["user", "item"])
    data = gp.datasets.from_interactions(frame, test_fraction=fraction, seed=seed)
    assert_interactions(data)
    users, items = data["user"].raw_id, data["item"].raw_id
    both = torch.cat([data[KIND].edge_index, data[KIND].unseen_edge_index], dim=1)
    assert {(users[u], items[i]) for u, i in both.t().tolist()} == set(pairs)
    assert data[KIND].edge_index.size(1) >= 1


def test_a_published_split_is_kept() -> None:
    train = pd.DataFrame({"user": [5, 5, 7, 9, 5], "item": ["a", "b", "a", "c", "a"]})
    unseen = pd.DataFrame({"user": [7, 8], "item": ["b", "d"]})
    data = gp.datasets.from_interactions(train, unseen=unseen, num_negatives=6)
    assert data["user"].raw_id == [5, 7, 8, 9]
    assert data["item"].raw_id == ["a", "b", "c", "d"]
    assert_interactions(data)
    assert data[KIND].edge_index.tolist() == [[0, 0, 1, 3], [0, 1, 0, 2]]
    assert data[KIND].unseen_edge_index.tolist() == [[1, 2], [1, 3]]
    sizes = [data[KIND][part].size(1) for part in PARTS]
    assert sizes == [4, 4, 2, 2]
    with pytest.raises(ValueError, match="1 pairs of unseen are also in frame"):
        gp.datasets.from_interactions(train, unseen=pd.concat([unseen, train.iloc[:1]]))
    with pytest.raises(ValueError, match="unseen has no rows"):
        gp.datasets.from_interactions(train, unseen=unseen.iloc[:0])


def test_ids_of_any_kind_and_repeated_rows(caplog: pytest.LogCaptureFixture) -> None:
    frame = pd.DataFrame({"who": ["eve", "bob", "bob", "bob"], "what": ["x", "x", "y", "x"]})
    with caplog.at_level(logging.INFO):
        data = gp.datasets.from_interactions(
            frame, "who", "what", 0.0, edge_type=("person", "joined", "club")
        )
    assert data["person"].raw_id == ["bob", "eve"]
    assert data["person", "joined", "club"].edge_index.tolist() == [[0, 0, 1], [0, 1, 0]]
    assert "1 repeated" in caplog.text
    assert len(gp.RandomAttack()(gp.Recommendation(data, gp.CF(dim=2)), 1)) == 1


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"user": "usr"}, ValueError, "Did you mean 'user'"),
        ({"item": "user"}, ValueError, "both column 'user'"),
        ({"test_fraction": 1.0}, ValueError, "test_fraction must lie in"),
        ({"frame": pd.DataFrame({"user": [], "item": []})}, ValueError, "no rows"),
        ({"frame": pd.DataFrame({"user": [1, None], "item": [1, 2]})}, ValueError, "1 missing ids"),
        ({"frame": [[0, 1]]}, TypeError, "must be a pandas DataFrame"),
        ({"edge_type": ("user", "user")}, TypeError, "three names"),
    ],
)
def test_bad_frames_are_named(
    change: dict[str, object], error: type[Exception], message: str
) -> None:
    settings = {"frame": pd.DataFrame({"user": [0, 1], "item": [1, 1]}), **change}
    with pytest.raises(error, match=message):
        gp.datasets.from_interactions(**settings)


@settings(deadline=None, max_examples=120)
@given(place=st.floats(0, 0.999999), bit=st.integers(0, 7))
def test_a_graph_of_which_a_bit_has_changed_is_refused(place: float, bit: int) -> None:
    """Or is the same graph: some bytes of the file, such as dates, count for nothing."""
    data = interaction_graph()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "graph.pt")
        gp.datasets.save_graph(data, file)
        content = bytearray(file.read_bytes())
        content[int(place * len(content))] ^= 1 << bit
        file.write_bytes(content)
        try:
            found = gp.datasets.load_graph(file)
        except ValueError:
            return
    assert str(found.to_dict()) == str(data.to_dict())


def test_a_tensor_declared_a_folder_is_refused(tmp_path: Path) -> None:
    """``torch.load`` then fills it with whatever memory holds; no checksum differs."""
    file, data = tmp_path / "graph.pt", interaction_graph()
    gp.datasets.save_graph(data, file)
    content = bytearray(file.read_bytes())
    headers = [place for place in range(len(content)) if content[place:].startswith(b"PK\1\2")]
    for header in headers:
        damaged = content.copy()
        damaged[header + 38] ^= 0x10  # the attribute of MS-DOS
        file.write_bytes(damaged)
        if b"archive/data/" in content[header + 46 : header + 60]:
            try:
                found = gp.datasets.load_graph(file)
            except ValueError:
                continue
            assert str(found.to_dict()) == str(data.to_dict())  # its memory was that of the tensor


def test_a_graph_with_a_sparse_adjacency_is_kept(tmp_path: Path) -> None:
    data = Data(x=torch.eye(3), adj=torch.eye(3).to_sparse_csr())
    gp.datasets.save_graph(data, tmp_path / "graph.pt")
    found = gp.datasets.load_graph(tmp_path / "graph.pt")
    assert found.adj.layout == torch.sparse_csr
    assert torch.equal(found.adj.to_dense(), torch.eye(3))
