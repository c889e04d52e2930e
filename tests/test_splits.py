"""Splits by user, by time and leave-one-out, and the validation part of a graph."""

import hashlib
from collections import defaultdict
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import interaction_graph
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import HeteroData

import graphpoison as gp
from graphpoison.datasets.splits import PARTS, SPLITS

KIND = ("user", "rates", "item")
ROWS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 7), st.integers(0, 9)), min_size=1, max_size=50
)
Pair = tuple[int, int]


def frame_of(rows: list[tuple[int, int, int]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["user", "item", "when"], dtype=np.int64)


def example() -> pd.DataFrame:
    draw = np.random.default_rng(0)
    users, items = draw.integers(0, 40, 600), draw.integers(0, 60, 600) ** 2 // 60
    return pd.DataFrame({"user": users, "item": items, "when": draw.integers(0, 200, 600)})


def pairs(data: HeteroData, part: str) -> set[Pair]:
    """The pairs of a part, in the ids of the table where the data have ids."""
    users, items = (
        data[node].get("raw_id", range(data[node].num_nodes)) for node in ("user", "item")
    )
    return {(users[u], items[i]) for u, i in data[KIND][part].t().tolist()}


def per_user(found: set[Pair]) -> dict[int, set[int]]:
    grouped: dict[int, set[int]] = defaultdict(set)
    for user, item in found:
        grouped[user].add(item)
    return grouped


def digest(data: HeteroData) -> str:
    found = hashlib.sha256()
    for part in PARTS:
        index = data[KIND][part]
        found.update(str(tuple(index.shape)).encode())
        found.update(index.numpy().tobytes())
    return found.hexdigest()[:16]


def held_out_count(split: str, fraction: float, count: int) -> int:
    wanted = 1 if split == "leave-one-out" else round(fraction * count)
    return min(wanted, count - 1)


# The default


def test_the_default_is_the_split_of_published_tables() -> None:
    """Digests of the parts as they were before there were other splits."""
    load = gp.datasets.from_interactions
    assert digest(load(example())) == digest(load(example(), split="random")) == "193cb97962b59b1a"
    other = load(example(), test_fraction=0.35, seed=5, num_negatives=300)
    assert digest(other) == "1f388a95ff385572"
    made = gp.datasets.load(
        "synthetic-interactions", num_users=50, num_items=60, num_interactions=800
    )
    assert digest(made) == "181349e1f7fc7c18"


# Splits of a table


@given(
    rows=ROWS,
    split=st.sampled_from(SPLITS[1:]),
    fraction=st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.77]),
    seed=st.integers(0, 3),
)
def test_each_user_has_the_counts_of_a_loop(
    rows: list[tuple[int, int, int]], split: Any, fraction: float, seed: int
) -> None:
    time = "when" if split == "time" else None
    data = gp.datasets.from_interactions(
        frame_of(rows), test_fraction=fraction, seed=seed, split=split, time=time
    )
    train, negative, unseen, unseen_negative = (pairs(data, part) for part in PARTS)
    known = {(user, item) for user, item, _ in rows}
    assert train | unseen == known
    parts = [train, negative, unseen, unseen_negative]
    assert sum(map(len, parts)) == len(set().union(*parts))
    total, kept, held_out = per_user(known), per_user(train), per_user(unseen)
    for user, items in total.items():
        assert len(held_out[user]) == held_out_count(split, fraction, len(items))
        assert kept[user]
    negatives = len(negative) + len(unseen_negative)
    assert len(unseen_negative) == min(
        round(len(unseen) / len(known) * negatives), max(negatives - 1, 0)
    )
    for part in PARTS:
        index = data[KIND][part]
        codes = index[0] * data["item"].num_nodes + index[1]
        assert torch.equal(codes, codes.unique())


@given(rows=ROWS, split=st.sampled_from(["time", "leave-one-out"]), seed=st.integers(0, 3))
def test_what_is_held_out_by_time_is_never_earlier(
    rows: list[tuple[int, int, int]], split: Any, seed: int
) -> None:
    data = gp.datasets.from_interactions(
        frame_of(rows), test_fraction=0.4, seed=seed, split=split, time="when"
    )
    first: dict[Pair, int] = {}
    for user, item, when in rows:  # of a repeated interaction, the first time counts
        first[user, item] = min(when, first.get((user, item), when))
    train, unseen = per_user(pairs(data, "edge_index")), per_user(pairs(data, "unseen_edge_index"))
    for user, items in unseen.items():
        earliest = min(first[user, item] for item in items)
        assert all(first[user, item] <= earliest for item in train[user])
    users, items = data["user"].raw_id, data["item"].raw_id
    times = [first[users[u], items[i]] for u, i in data[KIND].edge_index.t().tolist()]
    assert data[KIND].time.tolist() == times


def test_unique_times_hold_out_exactly_the_last() -> None:
    rows = [(0, item, 10 - item) for item in range(10)] + [(1, 3, 5), (2, 1, 7), (2, 2, 6)]
    last = gp.datasets.from_interactions(frame_of(rows), split="leave-one-out", time="when")
    assert pairs(last, "unseen_edge_index") == {(0, 0), (2, 1)}
    share = gp.datasets.from_interactions(
        frame_of(rows), test_fraction=0.3, split="time", time="when"
    )
    assert pairs(share, "unseen_edge_index") == {(0, 0), (0, 1), (0, 2), (2, 1)}


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_follows_its_seed(split: Any) -> None:
    frame = example().assign(when=0)  # all times are ties
    time = "when" if split == "time" else None

    def made(seed: int, rows: pd.DataFrame = frame) -> str:
        return digest(gp.datasets.from_interactions(rows, seed=seed, split=split, time=time))

    assert made(3) == made(3) == made(3, frame.sample(frac=1, random_state=0))
    assert made(3) != made(4)


def test_every_interaction_is_as_likely_to_be_held_out() -> None:
    frame = pd.DataFrame({"user": 0, "item": range(10)})
    counts = np.zeros(10)
    for seed in range(400):
        data = gp.datasets.from_interactions(frame, seed=seed, split="per-user")
        counts[data[KIND].unseen_edge_index[1].numpy()] += 1
    assert counts.sum() == 800
    assert abs(counts - 80).max() < 4 * np.sqrt(80 * 0.8)


@pytest.mark.parametrize(
    "times",
    [
        [3, 1, 2],
        [0.3, 0.1, 0.2],
        ["30", "1", "2"],
        ["2024-05-31", "2023-05-31", "2024-01-01"],
        pd.to_datetime(["2024-05-31", "2023-05-31", "2024-01-01"]).tz_localize("Europe/Berlin"),
        pd.array([3, 1, 2], dtype="Int64"),
    ],
)
def test_times_of_any_type(times: Any) -> None:
    frame = pd.DataFrame({"user": 7, "item": [1, 2, 3], "t": times})
    data = gp.datasets.from_interactions(frame, split="leave-one-out", time="t")
    assert pairs(data, "unseen_edge_index") == {(7, 1)}
    assert data[KIND].time.argsort().tolist() == [0, 1]
    assert data[KIND].time.dtype == torch.int64


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "per-item"}, "split='per-item' is not known"),
        ({"split": "time"}, "split='time' needs the time of each interaction"),
        ({"split": "random", "time": "when"}, "time has no effect on split='random'"),
        ({"split": "per-user", "time": "when"}, "time has no effect on split='per-user'"),
        ({"split": "time", "time": "wen"}, "Did you mean 'when'"),
        ({"split": "time", "time": "gaps"}, "column time='gaps' has 1 missing times in 2 rows"),
        ({"split": "time", "time": "words"}, "column time='words' must hold numbers or dates"),
        ({"split": "per-user", "unseen": pd.DataFrame({"user": [0], "item": [9]})}, "two splits"),
        ({"split": "per-user", "test_fraction": 1.0}, "keep a part for training"),
    ],
)
def test_splits_that_cannot_be_made(options: dict[str, Any], message: str) -> None:
    frame = pd.DataFrame(
        {"user": [0, 0], "item": [1, 2], "when": [1, 2], "gaps": [1, None], "words": ["x", "soon"]}
    )
    with pytest.raises(ValueError, match=message):
        gp.datasets.from_interactions(frame, **options)


# Data sets by name


@pytest.mark.parametrize("split", SPLITS)
def test_movielens_has_its_times(split: Any, real_data: Any) -> None:
    data = gp.datasets.load("movielens-100k", real_data, split=split)
    unseen = data[KIND].unseen_edge_index
    counts = torch.bincount(unseen[0], minlength=943)
    table = pd.read_csv(real_data / "MovieLens100K/raw/u.data", sep="\t", header=None)
    lengths = table.groupby(0).size().to_numpy()
    assert unseen.size(1) + data[KIND].edge_index.size(1) == 100_000
    if split == "random":
        assert unseen.size(1) == 20_000
        return
    assert counts.tolist() == [held_out_count(split, 0.2, int(length)) for length in lengths]
    if split != "per-user":
        when = dict(zip(zip(table[0], table[1], strict=True), table[3], strict=True))
        held_out = per_user(pairs(data, "unseen_edge_index"))
        for user, items in per_user(pairs(data, "edge_index")).items():
            last = max(when[user, item] for item in items)
            assert last <= min(when[user, item] for item in held_out[user])


def test_a_data_set_without_times(real_data: Any) -> None:
    if (real_data / "MovieLens1M/raw/ratings.dat").exists():
        pytest.skip("ratings.dat has times")
    with pytest.raises(ValueError, match=r"'movielens-1m' has none .*use split='per-user'"):
        gp.datasets.load("movielens-1m", real_data, split="time")


# Validation


@pytest.mark.parametrize("split", SPLITS[:3])
@pytest.mark.parametrize("negatives", [True, False])
def test_a_validation_part_is_of_the_training_interactions(split: Any, negatives: bool) -> None:
    data = gp.datasets.from_interactions(example(), split="per-user")
    if not negatives:
        del data[KIND].neg_edge_index
    before = digest(data) if negatives else None
    found = gp.datasets.validation_split(data, 0.25, split, seed=1)
    train, negative, unseen, unseen_negative = (pairs(found, part) for part in PARTS)
    assert train | unseen == pairs(data, "edge_index")
    assert not train & unseen
    test = pairs(data, "unseen_edge_index")
    assert not test & (train | unseen | negative | unseen_negative)
    assert not (train | unseen) & (negative | unseen_negative)
    if negatives:
        assert negative | unseen_negative == pairs(data, "neg_edge_index")
        assert digest(data) == before
    else:
        assert len(negative | unseen_negative) == len(train | unseen)
    counts, total = per_user(unseen), per_user(train | unseen)
    if split != "random":
        for user, items in total.items():
            assert len(counts[user]) == held_out_count(split, 0.25, len(items))
    assert digest(found) == digest(gp.datasets.validation_split(data, 0.25, split, seed=1))
    assert digest(found) != digest(gp.datasets.validation_split(data, 0.25, split, seed=2))
    assert found["user"].raw_id == data["user"].raw_id
    assert gp.read_graph(found).shape == gp.read_graph(data).shape


def test_test_pairs_are_no_negatives_though_all_pairs_are_wanted() -> None:
    """A graph so full that the free pairs do not suffice."""
    data = interaction_graph(users=4, items=5, positives=12, negatives=0)
    data[KIND].unseen_edge_index = data[KIND].unseen_edge_index[:, :4]
    for part in ("neg_edge_index", "unseen_neg_edge_index"):
        del data[KIND][part]
    found = gp.datasets.validation_split(data)
    negative = pairs(found, "neg_edge_index") | pairs(found, "unseen_neg_edge_index")
    assert len(negative) == 4 * 5 - 12 - 4
    assert not negative & pairs(data, "unseen_edge_index")
    graph = gp.read_graph(found)
    assert graph.with_negatives() is graph


def test_a_validation_part_by_time() -> None:
    frame = example()
    data = gp.datasets.from_interactions(frame, split="time", time="when")
    found = gp.datasets.validation_split(data, split="time")
    first = frame.groupby(["user", "item"])["when"].min()
    train, unseen = (
        per_user(pairs(found, "edge_index")),
        per_user(pairs(found, "unseen_edge_index")),
    )
    assert unseen
    for user, items in unseen.items():
        earliest = min(first[user, item] for item in items)
        assert all(first[user, item] <= earliest for item in train[user])
    again = gp.datasets.validation_split(found, split="leave-one-out")  # the times went along
    for user, items in per_user(pairs(again, "unseen_edge_index")).items():
        assert first[user, items.pop()] == max(first[user, item] for item in train[user])


def test_only_the_interactions_go_along() -> None:
    data = interaction_graph()
    data["item", "rated_by", "user"].edge_index = data[KIND].edge_index.flip(0)
    data[KIND].rating = torch.ones(data[KIND].num_edges)
    data["item"].x = torch.rand(9, 3)
    with pytest.raises(ValueError, match="edge_type must be given"):
        gp.datasets.validation_split(data)
    found = gp.datasets.validation_split(data, edge_type=KIND)
    assert found.edge_types == [KIND]
    assert "rating" not in found[KIND]
    assert torch.equal(found["item"].x, data["item"].x)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fraction": 0.0}, r"fraction must lie in \(0.0, 1.0\]"),
        ({"fraction": 1.0}, "keep a part for training"),
        ({"split": "per-item"}, "split='per-item' is not known"),
        ({"split": "time"}, "has no attribute time"),
    ],
)
def test_validation_parts_that_cannot_be_made(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gp.datasets.validation_split(interaction_graph(), **options)
    with pytest.raises(TypeError, match="data must be a torch_geometric HeteroData"):
        gp.datasets.validation_split(gp.read_graph(interaction_graph()))
