"""What the attacker maximises over unlabelled nodes."""

from typing import Any

import pytest
import reference
import torch
from conftest import assert_flips, citation_graph
from torch import Tensor

import graphpoison as gp
from graphpoison._random import generator
from graphpoison.tasks.attack_losses import ATTACK_LOSSES, AttackLoss

NAMES = sorted(ATTACK_LOSSES)
HALF = ("half-tanh-margin", gp.TanhMargin(scale=0.5))
LOSSES = [*ATTACK_LOSSES.items(), HALF]
SETTINGS = {"steps": 6, "lr": 0.5, "momentum": 0.9}


@pytest.mark.parametrize(("name", "loss"), LOSSES)
def test_losses_and_their_gradients_node_by_node(name: str, loss: AttackLoss) -> None:
    draw = torch.Generator().manual_seed(3)
    logits = torch.randn(12, 4, generator=draw, dtype=torch.float64).requires_grad_()
    labels = torch.randint(4, (12,), generator=draw)
    found, expected = (
        loss(logits, labels).mean(),
        reference.node_by_node(name)(logits, labels),
    )
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        *(torch.autograd.grad(loss, logits)[0] for loss in (found, expected))
    )


@pytest.mark.parametrize("objective", ["self", "both"])
@pytest.mark.parametrize("surrogate", ["linear-gcn", "relu-gcn", "sgc"])
@pytest.mark.parametrize(("name", "loss"), [(name, name) for name in NAMES] + [HALF])
def test_metattack_with_every_loss_flip_by_flip(
    name: str, loss: str | AttackLoss, surrogate: str, objective: str
) -> None:
    data = citation_graph(18, 2)
    task = gp.NodeClassification(data, surrogate, objective, attack_loss=loss, mix=0.3)
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
    assert_flips(gp.MetaAttack(gp.Training(**SETTINGS), redraw=False)(task, 8), expected)


def test_the_loss_is_part_of_what_a_task_is() -> None:
    data = citation_graph(18, 2)
    with pytest.raises(ValueError, match="Did you mean 'tanh-margin'"):
        gp.NodeClassification(data, attack_loss="tanh")
    described = {gp.NodeClassification(data, attack_loss=name).describe() for name in NAMES}
    assert len(described) == len(NAMES)


def squared_margin(logits: Tensor, labels: Tensor) -> Tensor:
    return -(logits.gather(1, labels.unsqueeze(1)).squeeze(1) ** 2)


def test_a_function_as_the_loss() -> None:
    data = citation_graph(18, 2)
    own = gp.NodeClassification(data, attack_loss=lambda z, y: gp.TanhMargin(0.5)(z, y))
    named = gp.NodeClassification(data, attack_loss=gp.TanhMargin(0.5))
    attack = gp.MetaAttack(gp.Training(**SETTINGS))
    assert torch.equal(attack(own, 5).pairs, attack(named, 5).pairs)
    assert len(attack(gp.NodeClassification(data, attack_loss=squared_margin), 3)) == 3


def test_the_record_of_a_loss_is_its_source_and_not_its_name() -> None:
    data = citation_graph(18, 2)
    attack = gp.MetaAttack(gp.Training(**SETTINGS))

    def recorded(loss: AttackLoss) -> object:
        return attack(gp.NodeClassification(data, attack_loss=loss), 1).meta["settings"]

    def scaled(factor: float) -> AttackLoss:
        return lambda logits, labels: factor * gp.CrossEntropy()(logits, labels)

    assert recorded(gp.TanhMargin()) == recorded("tanh-margin")
    assert recorded(gp.TanhMargin(0.5)) != recorded(gp.TanhMargin(0.25))
    assert recorded(scaled(2.0)) == recorded(scaled(2.0))
    assert recorded(scaled(2.0)) != recorded(scaled(3.0))


@pytest.mark.parametrize(
    ("loss", "error", "message"),
    [
        (gp.TanhMargin, TypeError, r"make one: TanhMargin\(\)"),
        (0.5, TypeError, "attack_loss must be a name"),
        (lambda z, y: z.sum(), ValueError, "one number for each of .* use reduction='none'"),
        (lambda z, y: z.argmax(dim=1), TypeError, "floating-point tensor"),
        (lambda z, y: 1.0, TypeError, "floating-point tensor"),
    ],
)
def test_what_is_no_loss(loss: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        gp.MetaAttack(gp.Training(**SETTINGS))(
            gp.NodeClassification(citation_graph(18, 2), attack_loss=loss), 1
        )


@pytest.mark.parametrize("loss", [gp.TanhMargin, gp.CarliniWagner, gp.CostAware])
def test_settings_of_losses_are_checked(loss: Any) -> None:
    with pytest.raises(ValueError, match="must lie in"):
        loss(-1.0)


def test_a_loss_of_unlabelled_nodes_needs_them_in_the_objective() -> None:
    with pytest.raises(ValueError, match="use objective='self' or 'both'"):
        gp.NodeClassification(citation_graph(18, 2), objective="train", attack_loss="probability")
