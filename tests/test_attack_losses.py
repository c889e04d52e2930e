"""What the attacker maximises over unlabelled nodes."""

import pytest
import reference
import torch
from conftest import assert_flips, citation_graph

import graphpoison as gp
from graphpoison._random import generator
from graphpoison.tasks.attack_losses import ATTACK_LOSSES

NAMES = sorted(ATTACK_LOSSES)
SETTINGS = {"steps": 6, "lr": 0.5, "momentum": 0.9}


@pytest.mark.parametrize("name", NAMES)
def test_losses_and_their_gradients_node_by_node(name: str) -> None:
    draw = torch.Generator().manual_seed(3)
    logits = torch.randn(12, 4, generator=draw, dtype=torch.float64).requires_grad_()
    labels = torch.randint(4, (12,), generator=draw)
    found, expected = (
        ATTACK_LOSSES[name](logits, labels),
        reference.node_by_node(name)(logits, labels),
    )
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        *(torch.autograd.grad(loss, logits)[0] for loss in (found, expected))
    )


@pytest.mark.parametrize("objective", ["self", "both"])
@pytest.mark.parametrize("surrogate", ["linear-gcn", "relu-gcn"])
@pytest.mark.parametrize("name", NAMES)
def test_metattack_with_every_loss_flip_by_flip(name: str, surrogate: str, objective: str) -> None:
    data = citation_graph(18, 2)
    task = gp.NodeClassification(data, surrogate, objective, attack_loss=name, mix=0.3)
    adjacency = torch.zeros(18, 18, dtype=torch.float64)
    adjacency[tuple(data.edge_index)] = 1.0
    expected = reference.metattack(
        surrogate,
        adjacency,
        data.x,
        data.y,
        data.train_mask,
        task.init(generator(0)),
        budget=8,
        objective=objective,
        lam=0.3,
        others_loss=reference.node_by_node(name),
        **SETTINGS,
    )
    assert_flips(gp.MetaAttack(gp.Training(**SETTINGS))(task, 8), expected)


def test_the_loss_is_part_of_what_a_task_is() -> None:
    data = citation_graph(18, 2)
    with pytest.raises(ValueError, match="Did you mean 'tanh-margin'"):
        gp.NodeClassification(data, attack_loss="tanh")
    described = {gp.NodeClassification(data, attack_loss=name).describe() for name in NAMES}
    assert len(described) == len(NAMES)


def test_a_loss_of_unlabelled_nodes_needs_them_in_the_objective() -> None:
    with pytest.raises(ValueError, match="use objective='self' or 'both'"):
        gp.NodeClassification(citation_graph(18, 2), objective="train", attack_loss="probability")
