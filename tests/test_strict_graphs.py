"""Graphs are checked where they are read, whoever reads them."""

import logging

import pytest
import torch
from conftest import citation_graph, interaction_graph
from torch_geometric.data import Batch

import graphpoison as gp


@pytest.mark.parametrize("kind", ["nodes", "interactions"])
def test_a_batch_is_no_graph(kind: str) -> None:
    data = citation_graph() if kind == "nodes" else interaction_graph()
    batch = Batch.from_data_list([data, data])
    task = gp.NodeClassification if kind == "nodes" else gp.Recommendation
    for read in (task, gp.read_graph, lambda graph: gp.evaluate(graph, {})):
        with pytest.raises(TypeError, match="Batch of several graphs"):
            read(batch)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["x", "edge_weight"])
def test_features_and_weights_are_of_single_or_double_precision(
    name: str, dtype: torch.dtype
) -> None:
    data = citation_graph()
    data.edge_weight = torch.ones(data.num_edges)
    data[name] = data[name].to(dtype)
    with pytest.raises(TypeError, match=rf"data.{name} is of {dtype}"):
        gp.NodeClassification(data)


def test_a_tensor_without_values_is_refused() -> None:
    data = citation_graph()
    data.x = data.x.to("meta")
    with pytest.raises(TypeError, match=r"data.x is on the device 'meta'"):
        gp.NodeClassification(data)


def test_classes_beyond_the_nodes_are_refused() -> None:
    data = citation_graph()
    data.y[~data.train_mask] = 10**6
    with pytest.raises(ValueError, match="names class 1000000, but there are 14 nodes"):
        gp.NodeClassification(data)


def test_complex_labels_are_refused() -> None:
    data = citation_graph()
    data.y = data.y.to(torch.complex64)
    with pytest.raises(ValueError, match="integer labels"):
        gp.NodeClassification(data)


def test_masks_that_overlap_are_said_so(caplog: pytest.LogCaptureFixture) -> None:
    data = citation_graph()
    with caplog.at_level(logging.WARNING):
        gp.read_graph(data)
        assert not caplog.messages
        data.test_mask = data.train_mask
        gp.read_graph(data)
    assert caplog.messages == [
        "4 nodes are in data.train_mask and in data.test_mask: accuracy is measured on nodes seen "
        "in training."
    ]


def test_unseen_negatives_that_are_interactions_are_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = interaction_graph()
    store, clean = data["user", "rates", "item"], gp.read_graph(interaction_graph())
    seen = store.edge_index[:, :3]
    store.unseen_neg_edge_index = torch.cat([store.unseen_neg_edge_index, seen], dim=1)
    with caplog.at_level(logging.WARNING):
        found = gp.read_graph(data).with_unseen_apart()
    assert torch.equal(found.unseen_negatives, clean.unseen_negatives)
    assert caplog.messages == [
        "3 pairs of unseen_neg_edge_index are training interactions, and are not scored."
    ]


def test_a_pair_is_not_unseen_with_both_labels() -> None:
    data = interaction_graph()
    store = data["user", "rates", "item"]
    store.unseen_neg_edge_index = store.unseen_edge_index[:, :2]
    with pytest.raises(
        ValueError, match="2 pairs of unseen_neg_edge_index are also in unseen_edge"
    ):
        gp.read_graph(data)


def test_an_evaluation_does_not_score_what_training_has_seen() -> None:
    data, mixed = interaction_graph(), interaction_graph()
    store = mixed["user", "rates", "item"]
    store.unseen_neg_edge_index = torch.cat(
        [store.unseen_neg_edge_index, store.edge_index[:, :9]], dim=1
    )
    flips = gp.RandomAttack()(gp.Recommendation(data, gp.CF(dim=2)), 2)
    clean, found = (
        gp.evaluate(graph, flips, ["cf"], metrics=["auroc"], seeds=[0]).runs
        for graph in (data, mixed)
    )
    assert clean["clean"].tolist() == found["clean"].tolist()
