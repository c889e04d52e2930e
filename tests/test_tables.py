"""Interactions and graphs from and to files."""

import gzip
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch_geometric.data import Batch, Data, HeteroData
from torch_geometric.transforms import ToSparseTensor, ToUndirected

import graphpoison as gp
from graphpoison.datasets import batches
from graphpoison.datasets.poisoned_table import with_other_columns
from graphpoison.datasets.source import Reading, open_graph

KIND = ("user", "rates", "item")
SUFFIXES = (".inter", ".csv", ".tsv", ".inter.gz", ".csv.gz")
IDS = st.one_of(
    st.integers(-(10**17), 10**17),
    st.text(min_size=1, max_size=6),
    st.text('\r\n\t,";x', min_size=1, max_size=3),
)


def written(path: Path, text: str) -> Path:
    if path.suffix == ".gz":
        with gzip.open(path, "wt", encoding="utf-8") as file:
            file.write(text)
    else:
        path.write_text(text, encoding="utf-8")
    return path


def read_pairs(path: Path, **options: object) -> list[tuple[object, object]]:
    frame = gp.datasets.read_interactions(path, **options)
    return list(zip(frame["user"].tolist(), frame["item"].tolist(), strict=True))


@pytest.mark.parametrize(
    ("name", "text", "options"),
    [
        ("a.csv", "user,item,rating\n3,x,4.5\n3,y,1\n", {}),
        ("a.csv", "item,user,rating\nx,3,4.5\ny,3,1\n", {}),
        ("a.csv.gz", "rating,user_id,item_id\n4.5,3,x\n1,3,y\n", {}),
        ("a.csv", "user;item;rating\n3;x;4.5\n3;y;1\n", {}),
        ("a.txt", "who|what|rating\n3|x|4.5\n3|y|1\n", {}),
        ("a.csv", '\ufeffwhat,"wh,o",rating\nx,3,4.5\ny,3,1\n', {"user": "wh,o", "item": 0}),
        ("a.inter", "user_id:token\titem_id:token\trating:float\n3\tx\t4.5\n3\ty\t1\n", {}),
        ("a.inter.gz", "rating:float\titem_id:token\tuser_id:token\n4.5\tx\t3\n1\ty\t3\n", {}),
        ("a.tsv", "user\titem\trating\r\n3\tx\t4.5\r\n3\ty\t1\r\n", {}),
        ("a.dat", "3::x::4.5\n3::y::1\n", {"header": False}),
        ("u.data", "3\tx\t4.5\n3\ty\t1\n", {"header": False}),
        ("a.csv", "4.5!x!3\n1!y!3\n", {"header": False, "separator": "!", "user": 2, "item": "1"}),
    ],
)
def test_tables_of_every_kind_read_alike(
    tmp_path: Path, name: str, text: str, options: dict[str, object]
) -> None:
    path = written(tmp_path / name, text)
    frame = gp.datasets.read_interactions(path, **options)
    assert frame["user"].tolist() == [3, 3]
    assert frame["user"].dtype == np.int64
    assert frame["item"].tolist() == ["x", "y"]
    (rating,) = set(frame.columns) - {"user", "item"}
    assert frame[rating].tolist() == [4.5, 1.0]
    data = gp.datasets.from_interactions(frame, test_fraction=0.0)
    assert data[KIND].edge_index.tolist() == [[0, 0], [0, 1]]


@pytest.mark.parametrize("name", ["train.txt", "train.txt.gz"])
def test_lists_of_lightgcn_are_read(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / name, "0 5 3\n1\n2 3 \n")
    assert read_pairs(path, lists=True) == [(0, 5), (0, 3), (2, 3)]
    with pytest.raises(ValueError, match="lists=True"):
        gp.datasets.read_interactions(written(tmp_path / name, "0 5\n1 2 3\n"))


def test_guessed_columns_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(tmp_path / "a.csv", "date,who,what\n2020,3,4\n")
    assert read_pairs(path) == [(3, 4)]
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "users are 'who', items are 'what', by their places" in record.getMessage()
    caplog.clear()
    assert read_pairs(path, user="who", item="what") == [(3, 4)]
    assert read_pairs(path, header=False, user=1, item=2) == [("who", "what"), ("3", "4")]
    assert not caplog.records
    assert read_pairs(path, header=False)[0] == ("date", "who")
    assert "by their places" in caplog.text
    caplog.clear()
    spelt = written(tmp_path / "b.csv", "date,ItemID,User Id\n2020,3,4\n")
    assert read_pairs(spelt) == [(4, 3)]
    assert not caplog.records


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Time Stamp,user,product", ("2", "3")),
        ("who,rating,what", ("1", "3")),
        (",who,what", ("2", "3")),  # pandas writes the index of a frame without a name
        ("time,stars,what", ("1", "2")),  # one name of an id is too few
    ],
)
def test_times_and_ratings_are_not_taken_for_ids(
    tmp_path: Path, header: str, expected: tuple[str, str]
) -> None:
    path = written(tmp_path / "a.csv", f"{header}\n1,2,3\n")
    assert [tuple(map(str, pair)) for pair in read_pairs(path)] == [expected]


def test_other_columns_are_numbers_where_all_of_them_are(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "user,item,stars,note\n1,2,,NA\n1,3,4.5,7\n")
    frame = gp.datasets.read_interactions(path)
    assert frame["stars"].isna().tolist() == [True, False]
    assert frame["stars"].tolist()[1] == 4.5
    assert frame["note"].tolist() == ["NA", "7"]


def test_ids_that_only_look_like_numbers_stay_apart(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "user,item\n7,1\n007,NA\n+7,null\n")
    assert read_pairs(path) == [("7", "1"), ("007", "NA"), ("+7", "null")]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("user,item\n1,2\n", {"user": "usr"}, "user='usr' is not known.*Did you mean 'user'"),
        ("user,item\n1,2\n", {"item": "itemm"}, "Did you mean 'item'"),
        ("user,item\n1,2\n", {"item": 2}, "item=2 is no column"),
        ("user,item\n1,2\n", {"item": -1}, "item must be at least 0"),
        ("user\n1\n", {}, "item=1 is no column"),
        ("rating,user\n1,2\n", {}, "user='user' and item='user' are one column"),
        ("user,item,who\n1,2,3\n", {"user": "who"}, "has a column 'user' besides"),
        ("user,item\n1,2\n,3\n", {}, "1 missing ids in 2 rows, first in row 2"),
        ("user,item\n1,2,3\n1,2,3\n", {}, "is not a table with ','"),
        ("user,item\n1,2\n1,2,3\n", {}, "is not a table with ','"),
        ("", {}, "is empty"),
    ],
)
def test_bad_tables_are_named(
    tmp_path: Path, text: str, options: dict[str, object], message: str
) -> None:
    path = written(tmp_path / "a.csv", text)
    with pytest.raises(ValueError, match=message):
        gp.datasets.read_interactions(path, **options)


def rows_of(path: Path, count: int, note: str = "7") -> str:
    """A table with ``count`` rows, the last with another ``note``."""
    lines = [f'u{row % 7},"i,{row % 11}",{row / 4},7' for row in range(count)]
    lines[-1] = lines[-1][:-1] + note
    return written(path, "\n".join(["user,item,stars,note", *lines])).read_text()


@pytest.mark.parametrize("note", ["7", "seven"])
def test_batches_are_one_table(
    tmp_path: Path, note: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.csv"
    rows_of(path, 60, note)
    whole = gp.datasets.read_interactions(path)
    monkeypatch.setattr(batches, "BATCH_BYTES", 100)
    found = gp.datasets.read_interactions(path)
    pd.testing.assert_frame_equal(found, whole)
    assert found["user"].tolist() == [f"u{row % 7}" for row in range(60)]
    assert found["item"].tolist()[12] == "i,1"
    assert found["user"][0] is found["user"][7]  # one string for all rows
    assert found["note"].tolist()[0] == ("7" if note == "seven" else 7)
    few = gp.datasets.read_interactions(path, others=["stars"])
    assert few.columns.tolist() == ["user", "item", "stars"]


def test_pyarrow_reads_what_pandas_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.csv"
    rows_of(path, 30)
    expected = gp.datasets.read_interactions(path)
    monkeypatch.setattr("graphpoison.datasets.tables._read_whole", pytest.fail)
    pd.testing.assert_frame_equal(gp.datasets.read_interactions(path), expected)
    monkeypatch.undo()
    monkeypatch.setattr("graphpoison.datasets.tables.read_columns", refused)
    pd.testing.assert_frame_equal(gp.datasets.read_interactions(path), expected, check_dtype=False)


def refused(*_: object) -> None:
    raise ValueError("no table")


def test_parquet_is_read(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    frame = pd.DataFrame({"when": [3, 2, 1], "user": [7, 7, 9], "item": ["a", "b", "a"]})
    frame.to_parquet(path)
    found = gp.datasets.read_interactions(path)
    assert found.to_dict("list") == {"user": [7, 7, 9], "item": ["a", "b", "a"], "when": [3, 2, 1]}
    assert found["user"].dtype == np.int64
    data = open_graph(path, Reading(time="when", split="leave-one-out"))
    assert data[KIND].edge_index.size(1) == 2
    frame.loc[1, "item"] = None
    frame.to_parquet(path)
    with pytest.raises(ValueError, match="1 missing ids in 3 rows, first in row 2"):
        gp.datasets.read_interactions(path)
    path.write_text("user,item\n1,2\n")
    with pytest.raises(ValueError, match="is no Parquet file"):
        gp.datasets.read_interactions(path)
    with pytest.raises(FileNotFoundError):
        gp.datasets.read_interactions(tmp_path / "none.parquet")


def test_a_table_in_another_encoding_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("user,item\nRené,2\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"a\.csv is not in UTF-8"):
        gp.datasets.read_interactions(path)


def test_an_absent_table_and_a_position_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        gp.datasets.read_interactions(tmp_path / "a.csv")
    path = written(tmp_path / "a.csv", "user,item\n1,2\n")
    with pytest.raises(TypeError, match="user must be an integer"):
        gp.datasets.read_interactions(path, user=0.5)


@settings(deadline=None)  # files
@given(
    pairs=st.lists(st.tuples(IDS, IDS), min_size=1, max_size=12),
    suffix=st.sampled_from(SUFFIXES),
    fraction=st.sampled_from([0.0, 0.3]),
)
@example(
    pairs=[(mark, f"a{mark}b") for mark in "\r\n\t,;\"'# \x1c\x85\u2028"], suffix=".csv", fraction=0
)
@example(pairs=[("\r", "a\r\n"), ("\n", "\t")], suffix=".inter.gz", fraction=0.0)
@example(pairs=[(5, "x"), ("5", "x")], suffix=".tsv", fraction=0.0)
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    pairs: list[tuple[object, object]],
    suffix: str,
    fraction: float,
) -> None:
    frame = pd.DataFrame(pairs, columns=["user", "item"], dtype=object)
    data = gp.datasets.from_interactions(frame, test_fraction=fraction)
    for part, key in (("train", "edge_index"), ("unseen", "unseen_edge_index")):
        index = data[KIND][key].tolist()
        expected = [
            tuple(str(data[name].raw_id[node]) for name, node in zip(KIND[::2], pair, strict=True))
            for pair in zip(*index, strict=True)
        ]
        path = tmp_path_factory.mktemp("written") / f"table{suffix}"
        try:
            gp.datasets.write_interactions(data, path, part=part)
        except ValueError:  # e.g. 5 and "5"
            assert any(
                len({str(i) for i in data[n].raw_id}) < len(data[n].raw_id) for n in KIND[::2]
            )
            continue
        found = read_pairs(path)
        assert [(str(user), str(item)) for user, item in found] == expected
        assert [child.name for child in path.parent.iterdir()] == [path.name]


def test_a_line_cut_short_is_no_interaction(tmp_path: Path) -> None:
    (tmp_path / "m.dat").write_text("user::item::r::t\n1::10::5::1\n2::20::4::1\n3\n4::30::3::1\n")
    with pytest.raises(ValueError, match=r"column item='item' of .* has 1 missing ids in 4 rows"):
        gp.datasets.read_interactions(tmp_path / "m.dat")


def test_a_poisoned_graph_is_written_with_raw_ids(tmp_path: Path, interactions: HeteroData) -> None:
    interactions["user"].raw_id = [100 + 7 * user for user in range(interactions["user"].num_nodes)]
    task = gp.Recommendation(interactions, gp.CF(dim=2))
    poisoned = gp.RandomAttack(allow_removals=False)(task, 3).apply(ToUndirected()(interactions))
    for name in ("out.inter", "out.tsv", "out.csv.gz"):
        gp.datasets.write_interactions(poisoned, tmp_path / name)
        pairs = read_pairs(tmp_path / name)
        assert pairs == [(100 + 7 * u, i) for u, i in poisoned[KIND].edge_index.t().tolist()]
        assert len(pairs) == interactions[KIND].edge_index.size(1) + 3
    header = (tmp_path / "out.inter").read_text().splitlines()[0]
    assert header == "user_id:token\titem_id:token"
    sparse = ToSparseTensor()(interactions)
    gp.datasets.write_interactions(sparse, tmp_path / "sparse.csv")
    gp.datasets.write_interactions(interactions, tmp_path / "dense.csv")
    assert (tmp_path / "sparse.csv").read_bytes() == (tmp_path / "dense.csv").read_bytes()


@pytest.mark.parametrize(
    ("raw", "fresh"),
    [
        ([4, 9, 2], [10, 11]),
        (["eve", "new-0", "bob"], ["new-1", "new-2"]),
        (["c041", "c007", "x9"], ["c042", "c043"]),
        (["c9", "c10", "bob"], ["c11", "c12"]),
        (["eve", 7, "bob"], ["new-0", "new-1"]),
        (torch.tensor([4, 9, 2]), [10, 11]),
        (None, [3, 4]),
    ],
)
def test_new_users_get_ids_that_nobody_has(
    tmp_path: Path, raw: object, fresh: list[object]
) -> None:
    data = HeteroData()
    data["user"].num_nodes, data["item"].num_nodes = 5, 1
    if raw is not None:
        data["user"].raw_id = raw
    data[KIND].edge_index = torch.tensor([[3, 4], [0, 0]])
    gp.datasets.write_interactions(data, tmp_path / "out.csv")
    assert read_pairs(tmp_path / "out.csv") == [(identity, 0) for identity in fresh]


def test_a_poisoned_table_keeps_its_columns_and_its_order() -> None:
    rows = pd.DataFrame(
        {
            "when": ["1", "2", "3", "4", "5"],
            "who": ["a", "a", "b", "c", "a"],
            "what": ["x", "y", "y", "x", "x"],
            "stars": ["5", "4.0", "3", "2", "1"],
        }
    )
    pairs = pd.DataFrame({"user": ["a", "c", "b", "d"], "item": ["x", "x", "x", "z"]})
    found = with_other_columns(pairs, rows, "who", "what", seed=1)
    assert list(found.columns) == list(rows.columns)
    kept = found[found["who"].isin(["a", "c"])]
    assert kept["when"].tolist() == ["1", "4", "5"]  # both rows of a pair, and no other pair
    new = found[found["who"] == "b"].iloc[0]
    assert (new["when"], new["stars"]) in {("1", "5"), ("4", "2"), ("5", "1")}  # of the same item
    assert len(found) == 5
    assert found["when"].is_monotonic_increasing
    again = with_other_columns(pairs, rows, "who", "what", seed=1)
    pd.testing.assert_frame_equal(found, again)


def test_what_cannot_be_written_is_named(tmp_path: Path, interactions: HeteroData) -> None:
    def write(name: str, **options: object) -> None:
        gp.datasets.write_interactions(interactions, tmp_path / name, **options)

    with pytest.raises(ValueError, match=r"Did you mean '\.inter'"):
        write("out.int")
    with pytest.raises(ValueError, match="part='test' is not known"):
        write("out.csv", part="test")
    with pytest.raises(ValueError, match="columns has 'id' twice"):
        write("out.csv", columns=("id", "id"))
    with pytest.raises(ValueError, match="is not in data"):
        write("out.csv", edge_type=("user", "likes", "item"))
    with pytest.raises(TypeError, match="must be a torch_geometric HeteroData"):
        gp.datasets.write_interactions(Data(), tmp_path / "out.csv")
    users = interactions["user"].num_nodes
    for raw, message in (
        (range(users + 1), "set num_nodes"),
        ([1, "1", *range(2, users)], "1 ids that look like others.*'1'"),
        (["", *range(1, users)], "an empty id"),
    ):
        interactions["user"].raw_id = list(raw)
        with pytest.raises(ValueError, match=message):
            write("out.csv")
    del interactions["user"].raw_id
    del interactions[KIND].unseen_edge_index
    with pytest.raises(ValueError, match="has no unseen_edge_index"):
        write("out.csv", part="unseen")
    assert not list(tmp_path.iterdir())


def assert_same(left: object, right: object) -> None:
    assert type(left) is type(right)
    if isinstance(left, dict):
        assert list(left) == list(right)
        for key in left:
            assert_same(left[key], right[key])
    elif isinstance(left, torch.Tensor):
        assert left.dtype == right.dtype
        assert left.layout == right.layout
        assert torch.equal(left.to_dense(), right.to_dense())
    else:
        assert left == right


def test_graphs_are_read_back_as_they_were(
    tmp_path: Path, citation: Data, interactions: HeteroData
) -> None:
    interactions["user"].raw_id = [("a", user) for user in range(interactions["user"].num_nodes)]
    interactions.note = {"kept": True, "share": 0.5, "nothing": None}
    sparse = ToSparseTensor(layout=torch.sparse_csr)(citation)
    for number, data in enumerate((citation, interactions, sparse)):
        path = tmp_path / f"{number}.pt"
        gp.datasets.save_graph(data, path)
        back = gp.datasets.load_graph(path)
        assert type(back) is type(data)
        assert_same(back.to_dict(), data.to_dict())
        state = torch.load(path, weights_only=True)
        assert_same(state["graph"], data.to_dict())
        assert back.num_nodes == data.num_nodes
    assert gp.NodeClassification(gp.datasets.load_graph(tmp_path / "0.pt"), surrogate="linear-gcn")


def test_what_would_need_code_is_not_saved(tmp_path: Path, interactions: HeteroData) -> None:
    path = tmp_path / "graph.pt"
    interactions["user"].raw_id = [pd.Timestamp(0)] * 3
    with pytest.raises(TypeError, match=r"data\['user'\]\['raw_id'\] holds a Timestamp"):
        gp.datasets.save_graph(interactions, path)
    interactions["user"].raw_id = np.arange(3)
    with pytest.raises(TypeError, match="holds a ndarray"):
        gp.datasets.save_graph(interactions, path)
    with pytest.raises(TypeError, match="must be Data or HeteroData, found DataBatch"):
        gp.datasets.save_graph(Batch.from_data_list([Data(x=torch.zeros(1))]), path)
    assert not list(tmp_path.iterdir())


def test_other_files_are_not_taken_for_graphs(tmp_path: Path) -> None:
    path = tmp_path / "graph.pt"
    for content in (b"", b"no graph", b"PK\3\4"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is no file of save_graph"):
            gp.datasets.load_graph(path)
    for state, message in (
        ([1, 2], "is no file of save_graph"),
        ({"kind": "Graph", "graph": {}}, "is no file of save_graph"),
        ({"kind": "Data", "graph": {}, "format": 99}, "of another format than 2"),
        (Data(), "is no file of save_graph"),
    ):
        torch.save(state, path)
        with pytest.raises(ValueError, match=message):
            gp.datasets.load_graph(path)
    with pytest.raises(FileNotFoundError):
        gp.datasets.load_graph(tmp_path / "nowhere.pt")


@pytest.mark.parametrize("number", range(5))
def test_the_page_on_data_runs_as_written(
    number: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = (Path(__file__).parents[1] / "docs" / "data.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python[^\n]*\n(.*?)^```", page, re.M | re.S)
    assert len(blocks) == 5
    blocks[2] = blocks[1] + blocks[2]  # which goes on with the file of the block before
    if "steam" in blocks[number]:
        request.getfixturevalue("real_data")
    if "prognn" in blocks[number] and not os.environ.get("GRAPHPOISON_DATA"):
        pytest.skip("needs Pro-GNN's graphs in GRAPHPOISON_DATA")
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks[number], "data.md", "exec"), scope := {})
    expected = ("interactions=200000", "'u0'", "", "", "253")
    assert expected[number] in capsys.readouterr().out
    if number == 3:
        assert read_pairs(tmp_path / "poisoned.inter") == [
            tuple(pair) for pair in scope["poisoned"][KIND].edge_index.t().tolist()
        ]
        assert_same(scope["again"].to_dict(), scope["state"]["graph"])
        assert scope["poisoned"][KIND].edge_index.size(1) == 1200 + 20
