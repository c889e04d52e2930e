"""Baselines of the benchmarks: the same meta-gradients by plain autograd.

Each baseline unrolls all of training into one computation graph and differentiates through the
graph, as published implementations do: Metattack with dense N x N matrices, recommenders by
gathering embeddings.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, softplus

Params = tuple[Tensor, ...]


def unrolled(
    loss: Callable[[Params], Tensor], params: Params, steps: int, lr: float, momentum: float = 0.0
) -> Params:
    """``params`` after ``steps`` of gradient descent, differentiable w.r.t. tensors in ``loss``."""
    params = tuple(param.detach().clone().requires_grad_() for param in params)
    velocity = [torch.zeros_like(param) for param in params]
    for _ in range(steps):
        grads = torch.autograd.grad(loss(params), params, create_graph=True)
        velocity = [momentum * v + g for v, g in zip(velocity, grads, strict=True)]
        params = tuple(param - lr * v for param, v in zip(params, velocity, strict=True))
    return params


def dense_metattack(
    model: str,
    adjacency: Tensor,
    x: Tensor,
    labels: Tensor,
    labelled: Tensor,
    unlabelled: Tensor,
    pseudo_labels: Tensor,
    params: Params,
    steps: int,
    lr: float,
    momentum: float,
) -> tuple[float, Tensor]:
    """Attack loss and gradient [N, N] of Meta-Self (Zügner and Günnemann 2019), all dense.

    ``adjacency`` [N, N] is the leaf. The gradient w.r.t. the weight of a pair is the sum of the
    entries ``[i, j]`` and ``[j, i]``.
    """
    leaf = adjacency.detach().clone().requires_grad_()
    looped = leaf + torch.eye(leaf.size(0), dtype=leaf.dtype, device=leaf.device)
    scale = looped.sum(dim=1).rsqrt()
    normalised = scale.unsqueeze(1) * looped * scale

    def logits(params: Params) -> Tensor:
        hidden = normalised @ (x @ params[0])
        if model == "relu-gcn":
            hidden = hidden.relu()
        return normalised @ (hidden @ params[1])

    def loss(params: Params) -> Tensor:
        return cross_entropy(logits(params)[labelled], labels[labelled])

    trained = unrolled(loss, params, steps, lr, momentum)
    attack_loss = cross_entropy(logits(trained)[unlabelled], pseudo_labels)
    (gradient,) = torch.autograd.grad(attack_loss, leaf)
    return attack_loss.item(), gradient


def best_dense_flip(adjacency: Tensor, gradient: Tensor) -> tuple[int, int]:
    """The pair with the largest score in the upper triangle, as in dense implementations."""
    score = torch.triu((gradient + gradient.t()) * (1 - 2 * adjacency), diagonal=1)
    place = int(score.argmax())
    return place // score.size(1), place % score.size(1)


def gathered_recommendation(
    scores: Callable[[Params, Tensor], Tensor],
    pairs: Tensor,
    weight: Tensor,
    params: Params,
    steps: int,
    lr: float,
) -> tuple[float, Tensor]:
    """Log loss after training and its gradient [M] w.r.t. the labels (thesis, Algorithm 1)."""
    leaf = weight.detach().clone().requires_grad_()

    def loss(params: Params) -> Tensor:
        found = scores(params, pairs)
        return (softplus(found, threshold=40.0) - leaf * found).mean()

    attack_loss = loss(unrolled(loss, params, steps, lr))
    (gradient,) = torch.autograd.grad(attack_loss, leaf)
    return attack_loss.item(), gradient


def cf_scores(params: Params, pairs: Tensor) -> Tensor:
    """Matrix factorisation by gathering both embeddings of every pair."""
    return (params[0][pairs[0]] * params[1][pairs[1]]).sum(dim=1)


def gmf_scores(params: Params, pairs: Tensor) -> Tensor:
    """Generalised matrix factorisation with hidden layers, by gathering."""
    users, items, *head = params
    hidden = users[pairs[0]] * items[pairs[1]]
    for kernel, bias in zip(head[:-2:2], head[1:-2:2], strict=True):
        hidden = torch.relu(hidden @ kernel + bias)
    return (hidden @ head[-2] + head[-1]).squeeze(1)


def neumf_scores(params: Params, pairs: Tensor) -> Tensor:
    """The sum of GMF and a tower over concatenated embeddings; both have separate embeddings."""
    gmf_users, gmf_items, output, users, items, *head = params
    product = gmf_users[pairs[0]] * gmf_items[pairs[1]]
    hidden = torch.cat([users[pairs[0]], items[pairs[1]]], dim=1)
    for kernel, bias in zip(head[:-2:2], head[1:-2:2], strict=True):
        hidden = torch.relu(hidden @ kernel + bias)
    return product @ output + (hidden @ head[-2] + head[-1]).squeeze(1)
