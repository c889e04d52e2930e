"""Filters, the thesis's data sets from their files, and counts beside those published."""

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import k_core_rows
from torch_geometric.data import HeteroData

import graphpoison as gp
from graphpoison.datasets.counts import THESIS, count
from graphpoison.datasets.netflix_prize import read_netflix_prize

KIND = ("user", "rates", "item")
PARTS = ("edge_index", "neg_edge_index", "unseen_edge_index", "unseen_neg_edge_index")
ROWS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=60)


def sizes(data: HeteroData) -> list[int]:
    return [data[KIND][part].size(1) for part in PARTS]


@given(rows=ROWS, min_user=st.integers(0, 5), min_item=st.integers(0, 5))
def test_k_core_agrees_with_dropping_one_by_one(
    rows: list[tuple[int, int]], min_user: int, min_item: int
) -> None:
    frame = pd.DataFrame(rows, columns=["user", "item"], dtype=np.int64)
    kept = gp.datasets.k_core(frame, min_user, min_item)
    expected = k_core_rows(rows, min_user, min_item)
    assert kept.index.tolist() == expected
    pd.testing.assert_frame_equal(kept, frame.loc[expected])


def test_k_core_once_drops_users_and_then_items() -> None:
    frame = pd.DataFrame({"who": [0, 0, 1, 1, 2], "what": ["a", "b", "b", "c", "b"]})
    once = gp.datasets.k_core(frame, 2, 2, user="who", item="what", repeat=False)
    assert once.index.tolist() == [1, 2]
    assert gp.datasets.k_core(frame, 2, 2, user="who", item="what").empty
    with pytest.raises(ValueError, match="Did you mean 'who'"):
        gp.datasets.k_core(frame, 2, 2, user="whom", item="what")
    with pytest.raises(ValueError, match="min_item must be at least 0"):
        gp.datasets.k_core(frame, 2, -1, user="who", item="what")


def test_users_are_drawn_whatever_the_order_of_rows() -> None:
    frame = pd.DataFrame({"user": np.repeat(np.arange(30), 3), "item": np.tile(range(3), 30)})
    shuffled = frame.sample(frac=1, random_state=0)
    drawn = gp.datasets.sample_users(frame, 10, np.random.default_rng(4))
    assert drawn["user"].nunique() == 10
    assert len(drawn) == 30
    again = gp.datasets.sample_users(shuffled, 10, np.random.default_rng(4))
    assert set(again["user"]) == set(drawn["user"])
    other = gp.datasets.sample_users(frame, 10, np.random.default_rng(5))
    assert set(other["user"]) != set(drawn["user"])
    with pytest.raises(ValueError, match="31 users were to be drawn, but only 30"):
        gp.datasets.sample_users(frame, 31, np.random.default_rng(4))


def test_ratings_are_cut_at_a_minimum() -> None:
    frame = pd.DataFrame({"rating": [3, 4, 5, -1]})
    assert gp.datasets.at_least(frame, "rating", 4)["rating"].tolist() == [4, 5]
    with pytest.raises(ValueError, match="Did you mean 'rating'"):
        gp.datasets.at_least(frame, "ratings", 4)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            ["4", "many", None, "", "few"],
            "'stars' is no number in 2 of 5 rows, first 'many'",
        ),
        (["4", None, ""], "column='stars' has numbers as text"),
    ],
)
def test_ratings_that_are_text_are_refused(values: list[object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gp.datasets.at_least(pd.DataFrame({"stars": values}), "stars", 4)


def test_ids_of_two_frames_must_be_of_one_kind() -> None:
    numbers = pd.DataFrame({"user": [1, 2, 3], "item": [7, 8, 9]})
    texts = pd.DataFrame({"user": ["1", "2", "x7"], "item": [8, 9, 7]})
    for train, unseen in ((numbers, texts), (texts, numbers)):
        with pytest.raises(ValueError, match="ids in column 'user' are of kind"):
            gp.datasets.from_interactions(train, unseen=unseen)
    wide = 2**53
    frame = pd.DataFrame({"user": [wide, wide + 1], "item": [1, 2]})
    unseen = pd.DataFrame({"user": [1.0, float(wide)], "item": [1, 2]})
    data = gp.datasets.from_interactions(frame, unseen=unseen)
    assert data["user"].raw_id == [1, wide, wide + 1]


def test_filters_of_ids_that_are_missing_or_of_several_types() -> None:
    frame = pd.DataFrame({"user": [1, None, "b", 1, (2, 3)], "item": [1, 1, 2, 2, 1]})
    with pytest.raises(ValueError, match="1 rows of frame lack a user or an item"):
        gp.datasets.k_core(frame, 1, 1)
    draws = [
        gp.datasets.sample_users(rows, 2, np.random.default_rng(0))["user"].unique().tolist()
        for rows in (frame, frame.iloc[::-1])
    ]
    assert set(draws[0]) == set(draws[1])
    assert None not in draws[0]


def test_rows_without_a_rating_are_left_out() -> None:
    frame = pd.DataFrame({"stars": [4.0, None, 5.0]})
    assert gp.datasets.at_least(frame, "stars", 1)["stars"].tolist() == [4, 5]


def netflix_text(rows: list[tuple[int, int, int]]) -> str:
    """Rows (movie, user, rating) in the Netflix Prize's format, in their order."""
    lines, movie = [], None
    for row in rows:
        if row[0] != movie:
            movie = row[0]
            lines.append(f"{movie}:")
        lines.append(f"{row[1]},{row[2]},2005-09-06")
    return "\n".join(lines) + "\n"


NETFLIX_ROWS = st.lists(
    st.tuples(st.integers(1, 4), st.integers(1, 2_649_429), st.integers(1, 5)), min_size=1
)


@settings(deadline=None)  # files
@given(
    rows=NETFLIX_ROWS,
    block_bytes=st.integers(1, 200),
    min_rating=st.integers(1, 5),
    newline=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
)
def test_netflix_is_read_whatever_the_size_of_blocks(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[int, int, int]],
    block_bytes: int,
    min_rating: int,
    newline: str,
    last: bool,
) -> None:
    text = netflix_text(rows).replace("\n", newline)
    path = tmp_path_factory.mktemp("netflix") / "combined_data_1.txt"
    path.write_bytes((text if last else text.rstrip()).encode())
    frame = read_netflix_prize(path, min_rating, block_bytes)
    expected = [(user, movie, rating) for movie, user, rating in rows if rating >= min_rating]
    assert list(frame.itertuples(index=False, name=None)) == expected
    assert [str(dtype) for dtype in frame.dtypes] == ["int32", "int32", "int8"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no ratings"),
        ("1:\n2:\n", "holds no ratings"),
        ("5,3,2005-09-06\n1:\n", "ratings before the first movie"),
        ("1:\nfive,3,2005-09-06\n", "user,rating,date"),
        ("1:\n5\n", "user,rating,date"),
        ("1:\n5,3,2005-09-06\n\n7,3,2005-09-06\n", "user,rating,date"),
        ("user,item\n3,4\n", "before the first movie"),
    ],
)
def test_what_is_not_netflix_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "combined_data_1.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_netflix_prize(path)
    assert str(path) in str(caught.value)


def test_netflix_is_filtered_by_stars_then_by_counts(tmp_path: Path) -> None:
    rows = [(m, u, 4 + (m + u) % 2) for m in range(1, 5) for u in range(10, 15)]
    rows += [(5, 10, 3), (6, 99, 5), (1, 99, 5)]
    (tmp_path / "Netflix").mkdir()
    with gzip.open(tmp_path / "Netflix" / "combined_data_1.txt.gz", "wt") as file:
        file.write(netflix_text(rows))
    found = gp.datasets.describe("netflix", tmp_path, min_user=3, min_item=3)
    assert found.ours == gp.datasets.Counts(5, 4, 20, 1_500_000, pairs=20)
    assert found.agrees is False
    whole = gp.datasets.describe("netflix", tmp_path, min_user=1, min_item=1, min_rating=1)
    assert (whole.ours.users, whole.ours.items, whole.ours.interactions) == (6, 6, 23)
    data = gp.datasets.load("netflix", tmp_path, min_user=3, min_item=3, num_negatives=0)
    assert data["user"].raw_id == [10, 11, 12, 13, 14]
    assert sizes(data) == [16, 0, 4, 0]


def test_steam_counts_rows_but_holds_pairs(tmp_path: Path) -> None:
    lines = []
    for user in (901, 902, 903):
        for game in ("Ōkami, HD", "b", "c"):
            lines += [f'{user},"{game}",purchase,1.0,0', f'{user},"{game}",play,2.5,0']
    lines.append('904,"Ōkami, HD",purchase,1.0,0')
    (tmp_path / "Steam").mkdir()
    (tmp_path / "Steam" / "steam-200k.csv").write_text("\n".join(lines), encoding="utf-8")
    found = gp.datasets.describe("steam", tmp_path, min_user=2, min_item=6)
    assert found.ours == gp.datasets.Counts(3, 3, 18, 100_000, pairs=9)
    data = gp.datasets.load("steam", tmp_path, min_user=2, min_item=6, num_negatives=0)
    assert data["user"].raw_id == [901, 902, 903]
    assert data["item"].raw_id == ["b", "c", "Ōkami, HD"]
    assert sizes(data) == [7, 0, 2, 0]


def test_anime_draws_users_before_it_counts_series(tmp_path: Path) -> None:
    rows = [(user, series, 7 - 8 * (series == 2)) for user in range(20) for series in range(4)]
    rows += [(99, 0, 10)]
    (tmp_path / "Anime").mkdir()
    table = pd.DataFrame(rows, columns=["user_id", "anime_id", "rating"])
    table.to_csv(tmp_path / "Anime" / "rating.csv", index=False)
    options = {"num_users": 5, "min_user": 3, "min_item": 5}
    found = gp.datasets.describe("anime", tmp_path, **options)
    assert found.ours == gp.datasets.Counts(5, 4, 20, 200_000, pairs=20)
    rated = gp.datasets.describe("anime", tmp_path, min_rating=1, **options)
    assert (rated.ours.items, rated.ours.interactions) == (3, 15)

    def users(seed: int) -> list[int]:
        data = gp.datasets.load("anime", tmp_path, seed=seed, num_negatives=0, **options)
        found: list[int] = data["user"].raw_id
        return found

    assert users(0) == users(0)
    assert users(0) != users(1)
    assert 99 not in users(0)
    with pytest.raises(ValueError, match="only 20 are left"):
        gp.datasets.load("anime", tmp_path, num_users=21, min_user=3)


@pytest.mark.parametrize("form", ["ratings.dat", "interactions.csv.gz"])
def test_movielens_1m_is_read_in_both_forms(tmp_path: Path, form: str) -> None:
    pairs = [(1, 1193), (1, 661), (2, 661), (3, 5)]
    folder = tmp_path / "MovieLens1M"
    folder.mkdir()
    if form == "ratings.dat":
        (folder / form).write_text("".join(f"{u}::{i}::5::978300760\n" for u, i in pairs))
    else:
        table = pd.DataFrame(pairs, columns=["user_id", "movie_id"])
        table.to_csv(folder / form, index=False)
    data = gp.datasets.load("movielens-1m", tmp_path, test_fraction=0.0, num_negatives=0)
    assert data["item"].raw_id == [5, 661, 1193]
    assert data[KIND].edge_index.tolist() == [[0, 0, 1, 2], [1, 2, 1, 0]]
    assert gp.datasets.describe("movielens-1m", tmp_path).thesis is None


def test_gowalla_keeps_its_split(tmp_path: Path) -> None:
    folder = tmp_path / "LightGCN" / "gowalla"
    folder.mkdir(parents=True)
    (folder / "train.txt").write_text("0 0 2\n1 1\n2\n")
    (folder / "test.txt").write_text("0 1\n1 0 2\n2\n")
    data = gp.datasets.load("gowalla", tmp_path, num_negatives=0)
    assert data[KIND].edge_index.tolist() == [[0, 0, 1], [0, 2, 1]]
    assert data[KIND].unseen_edge_index.tolist() == [[0, 1, 1], [1, 0, 2]]
    found = gp.datasets.describe("gowalla", tmp_path)
    assert found.ours == gp.datasets.Counts(2, 3, 6, 6, pairs=6)
    assert found.agrees is None
    assert list(found.table.columns) == ["ours"]


def test_a_description_compares_what_the_thesis_states() -> None:
    thesis = THESIS["steam"]
    same = gp.datasets.Description("steam", replace(thesis, pairs=84_424), thesis)
    assert same.agrees
    assert not replace(same, ours=replace(thesis, items=1)).agrees
    assert same.table.loc["interactions"].tolist() == [132_831, 132_831]
    assert same.table.loc["pairs"].isna().tolist() == [False, True]
    rows = pd.DataFrame({"user": [0, 0, 1], "item": ["a", "a", "a"]})
    assert count(rows) == gp.datasets.Counts(2, 1, 3, 2, pairs=2)


def test_options_and_names_of_descriptions_are_checked() -> None:
    with pytest.raises(ValueError, match="choose one of"):
        gp.datasets.describe("cora")
    with pytest.raises(TypeError, match="no option 'min_users'"):
        gp.datasets.describe("steam", min_users=3)


def test_steam_is_the_thesis_s_to_the_row(real_data: Path) -> None:
    found = gp.datasets.describe("steam", root=real_data)
    assert found.agrees
    assert found.ours == gp.datasets.Counts(1698, 1397, 132_831, 100_000, pairs=84_424)
    whole = gp.datasets.describe("steam", root=real_data, min_user=1, min_item=1).ours
    assert (whole.users, whole.items, whole.interactions) == (12_393, 5155, 200_000)
    data = gp.datasets.load("steam", root=real_data)
    assert (data["user"].num_nodes, data["item"].num_nodes) == (1698, 1397)
    parts = sizes(data)
    assert parts[0] + parts[2] == 84_424
    assert parts[1] + parts[3] == 100_000


def test_movielens_100k_is_the_thesis_s(real_data: Path) -> None:
    found = gp.datasets.describe("movielens-100k", root=real_data)
    assert found.agrees
    assert found.ours == replace(THESIS["movielens-100k"], pairs=100_000)


def test_the_sample_of_anime_gives_the_thesis_s_order_of_size(real_data: Path) -> None:
    found = gp.datasets.describe("anime", root=real_data)
    assert found.agrees is False
    assert found.ours.users == 2000
    assert 1450 < found.ours.items < 1600
    assert 235_000 < found.ours.interactions < 265_000
    rated = gp.datasets.describe("anime", root=real_data, min_rating=7)
    assert 1150 < rated.ours.items < 1250


def test_movielens_1m_has_the_published_counts(real_data: Path) -> None:
    found = gp.datasets.describe("movielens-1m", root=real_data)
    assert found.ours == gp.datasets.Counts(6040, 3706, 1_000_209, 1_000_209, pairs=1_000_209)


@pytest.mark.slow
def test_gowalla_has_the_published_split(real_data: Path) -> None:
    data = gp.datasets.load("gowalla", root=real_data)
    assert (data["user"].num_nodes, data["item"].num_nodes) == (29_858, 40_981)
    assert sizes(data) == [810_128, 810_128, 217_242, 217_242]
    assert data["user"].raw_id == list(range(29_858))
