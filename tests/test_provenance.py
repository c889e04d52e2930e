"""What a result says of how it came about, and what tells two runs apart."""

import json
import logging
import tomllib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import citation_graph, interaction_graph
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch_geometric.data import Data
from torch_geometric.transforms import ToSparseTensor

import graphpoison as gp
from graphpoison._logging import said_once
from graphpoison._settings import describe, differences, digest
from graphpoison.provenance import PACKAGES, Clock, environment, graph_digest

SHORT = gp.Training(steps=4, lr=0.1, momentum=0.5)
QUICK = gp.RecommenderVictim(gp.CF(dim=2), "cf", gp.Training(steps=5, lr=0.1, optimizer="adam"))
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def link_task(**options: Any) -> gp.Recommendation:
    return gp.Recommendation(interaction_graph(), gp.CF(dim=3), **options)


def test_the_version_is_that_of_the_package() -> None:
    project = Path(__file__).parents[1] / "pyproject.toml"
    assert tomllib.loads(project.read_text())["project"]["version"] == gp.__version__


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_perturbations_say_what_made_them(dtype: torch.dtype, tmp_path: Path) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    found = gp.MetaAttack(SHORT)(link_task(dtype=dtype), 3, seed=4)
    record = found.provenance
    assert record["versions"].keys() == {"graphpoison", "python", *PACKAGES}
    assert record["versions"]["graphpoison"] == gp.__version__
    assert record["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert record["device"] == "cpu"
    assert record["threads"] == torch.get_num_threads()
    assert record["dtype"] == str(dtype).removeprefix("torch.")
    started = datetime.fromisoformat(record["started"])
    assert started.utcoffset() == timedelta(0)
    assert before <= started <= datetime.now(UTC)
    assert 0 < record["seconds"] < 60
    assert (record["sessions"], record["flips"], record["finished"]) == (1, 3, True)
    assert found.meta["settings"]["attack"]["training"]["steps"] == 4
    assert found.meta["settings"]["attack"]["hypergradient"] == {"type": "Unrolled", "stops": []}
    assert found.meta["settings"]["task"]["surrogate"] == {"type": "CF", **vars(gp.CF(dim=3))}
    assert (found.meta["seed"], found.meta["budget"]) == (4, 3)
    found.prefix(2).save(tmp_path / "p.npz")
    assert gp.Perturbation.load(tmp_path / "p.npz").provenance == record
    again = gp.MetaAttack(SHORT)(link_task(dtype=dtype), 3, seed=4)
    assert again.meta == found.meta  # which time has no part in


@pytest.mark.parametrize(
    "attack",
    [
        gp.NewUsers(2, gp.RandomAttack()),
        gp.SimilarUsers(2, attack=gp.MetaAttack(SHORT)),
        gp.SimilarUsers(2, "kmeans", attack=gp.MetaAttack(SHORT)),
    ],
)
def test_injections_say_who_joined_and_whose_the_flips_are(attack: gp.Injection) -> None:
    found = attack(link_task(), 3)
    chosen = found.meta["settings"]["attack"]
    assert chosen["type"] == type(attack).__name__
    assert chosen["num_users"] == 2
    assert chosen["attack"] == describe(attack.attack)
    assert found.provenance["finished"]


def test_seconds_are_those_of_all_sessions(tmp_path: Path) -> None:
    file = tmp_path / "run.npz"
    attack = gp.MetaAttack(SHORT)
    half = replace(attack(link_task(), 4), provenance={}).prefix(2)
    record = {**environment(torch.device("cpu"), torch.float32), "threads": 96}
    earlier = {**record, "started": "2020-01-01T00:00:00+00:00", "seconds": 50.0, "sessions": 2}
    replace(half, provenance=earlier).save(file)
    found = attack(link_task(), 4, checkpoint=file).provenance
    assert found["started"] == "2020-01-01T00:00:00+00:00"
    assert 50.0 < found["seconds"] < 60.0
    assert found["sessions"] == 3
    assert found["threads"] == torch.get_num_threads()
    assert found["elsewhere"] == [record]


def test_environments_of_earlier_sessions_are_listed_once() -> None:
    first, second = ({"device": name, "threads": 1} for name in ("cpu", "cuda (a card)"))
    record: dict[str, Any] = {}
    for place in (first, first, second, first, second):
        record = Clock(place, record).read()
    assert record["elsewhere"] == [first, second]
    assert record["device"] == "cuda (a card)"
    assert record["sessions"] == 5
    assert "elsewhere" not in Clock(first, Clock(first).read()).read()


def test_reports_say_what_they_depend_on() -> None:
    data = interaction_graph()
    attacks = {
        "meta": gp.MetaAttack(SHORT)(link_task(), 6),
        "new": gp.NewUsers(2, gp.RandomAttack())(link_task(), 6),
    }
    meta = gp.evaluate(data, attacks, [QUICK, "gmf"], [0, 3], [2, 4]).meta
    assert json.loads(json.dumps(meta)) == meta
    assert meta["graph"] == graph_digest(gp.read_graph(data))
    assert meta["attacks"]["meta"]["attack"] == repr(gp.MetaAttack(SHORT))
    assert meta["attacks"]["new"]["provenance"]["flips"] == 6
    assert [victim["name"] for victim in meta["victims"]] == ["cf", "gmf"]
    assert meta["victims"][0]["training"]["steps"] == 5
    assert (meta["seeds"], meta["budgets"], meta["include_perturbed"]) == ([0, 3], [2, 4], False)
    assert meta["provenance"]["device"] == "cpu"
    assert meta["provenance"]["seconds"] > 0


def test_reports_of_node_classifiers_and_transfers_say_so_too(tmp_path: Path) -> None:
    data = citation_graph(num_nodes=20)
    flips = gp.RandomAttack()(gp.NodeClassification(data), 4)
    meta = gp.evaluate(data, flips, ["sgc", narrow], [0]).meta
    assert json.loads(json.dumps(meta)) == meta
    assert meta["provenance"]["dtype"] == "float64"
    assert meta["victims"][0]["build"] == "SGC"
    frame = gp.transfer_matrix(
        interaction_graph(), ["cf"], [QUICK], gp.MetaAttack(SHORT), 2, [0, 1]
    )
    first, second = frame.attrs["provenance"]
    assert (first["seeds"], second["seeds"]) == ([0], [1])
    assert set(first["attacks"]) == {"cf", "baseline"}


def narrow(features: int, classes: int) -> nn.Module:
    from torch_geometric.nn import GCNConv

    return GCNConv(features, classes)


# Settings


@given(PLAIN, PLAIN)
def test_what_differs_is_named_and_nothing_else(one: Any, other: Any) -> None:
    there, here = json.loads(json.dumps(describe(one))), describe(other)
    assert differences(there, describe(one)) == []
    assert bool(differences({"it": there}, {"it": here})) == (there != here)


def test_descriptions_say_nothing_of_one_process() -> None:
    class Own:
        def __init__(self) -> None:
            self.width = 3

    values = [
        Own(), Own().__init__, gp.NoSingletons, narrow, partial(narrow, classes=2), max, range(2),
        gp.ModuleVictim(narrow, "own"), torch.arange(3), nn.Linear(2, 3), [lambda: 1], float("inf"),
        gp.MetaAttack(hypergradient=gp.Implicit(), constraints=(gp.NodeBudget(2),)), torch.float32,
    ]  # fmt: skip
    text = json.dumps(describe(values))
    assert "0x" not in text
    assert json.loads(text) == describe(values)
    assert describe(Own())["width"] == 3
    assert describe(gp.datasets.load) == "load"


HIDDEN = 4


def test_functions_are_known_by_source_and_plain_surroundings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def around(inner: int) -> Any:
        return lambda features, classes: (features, inner, HIDDEN)

    assert describe(around(1)) == describe(around(1))
    assert describe(around(1)) != describe(around(2))
    before = describe(around(1))
    monkeypatch.setitem(globals(), "HIDDEN", 5)
    assert describe(around(1)) != before


def test_digests_tell_graphs_apart_and_not_their_storage() -> None:
    data = citation_graph()
    known = read_digest(data)
    assert read_digest(data.clone()) == known
    for name in ("x", "y", "train_mask", "test_mask"):
        changed = data.clone()
        changed[name] = changed[name].flip(0)
        assert read_digest(changed) != known
    fewer = data.clone()
    fewer.edge_index = data.edge_index[:, (data.edge_index != 3).all(dim=0)]
    weighted = data.clone()
    weighted.edge_weight = 1.0 + data.edge_index.sum(dim=0)
    assert len({known, read_digest(fewer), read_digest(weighted)}) == 3
    for same in (
        Data(**{**data.to_dict(), "edge_index": data.edge_index.flip(0, 1)}),
        Data(**{**data.to_dict(), "edge_index": data.edge_index.repeat(1, 2)}),
        Data(**{**data.to_dict(), "unread": torch.ones(3)}),
        ToSparseTensor(layout=torch.sparse_csr)(data),
    ):
        assert read_digest(same) == known
    pairs = interaction_graph()
    several = {read_digest(pairs)}
    for name in ("edge_index", "neg_edge_index", "unseen_edge_index", "unseen_neg_edge_index"):
        changed = pairs.clone()
        store = changed["user", "rates", "item"]
        store[name] = store[name][:, 1:]
        several.add(read_digest(changed))
    more = pairs.clone()
    more["user"].num_nodes = 8
    several.add(read_digest(more))
    joined = [
        gp.read_graph(more).joined_by(gp.FakeUsers(1, torch.tensor([[0], [item]])))
        for item in (0, 1)
    ]
    several |= set(map(graph_digest, joined))
    assert len(several) == 1 + 4 + 1 + 2
    dense = torch.eye(3)
    assert digest(dense) == digest(dense.to_sparse()) == digest(dense.t())
    assert digest(dense) != digest(dense.double())
    assert digest(torch.zeros(2, 3)) != digest(torch.zeros(3, 2))
    sparse = gp.evaluate(
        ToSparseTensor(layout=torch.sparse_csr)(data), flips_of(data), ["sgc"], [0]
    )
    assert pd.notna(sparse.runs["clean"]).all()


def read_digest(data: Any) -> str:
    return graph_digest(gp.read_graph(data))


def flips_of(data: Any) -> gp.Perturbation:
    return gp.RandomAttack()(gp.NodeClassification(data), 3)


# Warnings


def test_an_attack_says_a_thing_once_and_how_often_it_was_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    task = gp.NodeClassification(citation_graph())
    training = gp.Training(steps=3, lr=0.1, weight_decay=1e-2)
    gradient = gp.Implicit(iterations=200)
    found = gp.MetaAttack(training, hypergradient=gradient)(task, 5)
    assert len(found) == 5
    warned = [text for text in caplog.messages if "not converged" in text]
    assert len(warned) == 2
    assert warned[1].startswith("repeated 4 times with other numbers: training")
    caplog.clear()
    gradient(task, training)
    gradient(task, training)
    assert sum("not converged" in text for text in caplog.messages) == 2


def test_messages_pass_once_whatever_their_numbers(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("graphpoison.test")
    with said_once(logger):
        for number in range(3):
            logger.warning("about %d", number)
            logger.warning("else %d", -number)
        logger.warning("last")
    more = [f"repeated 2 times with other numbers: {text}" for text in ("about 0", "else 0")]
    assert caplog.messages == ["about 0", "else 0", "last", *more]
    assert not logger.filters


def test_numbers_and_functions_of_others_are_plain() -> None:
    assert describe(np.int64(2)) == 2
    assert describe(np.float32(0.5)) == 0.5
    assert "0x" not in describe(torch.relu)
    found = gp.RandomAttack()(link_task(), 3, seed=np.int64(1))
    assert json.loads(json.dumps(found.meta))["seed"] == 1
