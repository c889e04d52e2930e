"""The pairs that a recommender is trained on, and the pairs that are held out."""

from dataclasses import replace

import torch
from torch import Tensor

from .._checks import choice, pair_index
from .._random import generator, numpy_generator
from ..graphs import Interactions, PairState
from ..graphs.codes import among, decode, encode
from ..graphs.interactions import NEGATIVES
from ..graphs.sampling import sample_pairs
from ..sparse import Pattern

# streams of the seed
_HELDOUT, _TARGETS, TRIPLES, CLEAN, DRAWS = range(NEGATIVES + 1, NEGATIVES + 6)


def pair_state(
    graph: Interactions, candidates: str | Tensor, seed: int, implicit: bool
) -> PairState:
    """Interactions and negatives; ``candidates`` are the pairs that may be flipped. With
    ``implicit``, ``"all"`` pairs are candidates without being listed."""
    positive, shape = graph.edge_index, graph.shape
    if not positive.size(1):
        raise ValueError(f"data[{graph.edge_type}] has no interactions to train on.")
    if isinstance(candidates, str):
        if choice("candidates", candidates, ["sampled", "all"]) == "sampled":
            return graph.with_negatives(seed).training_pairs
        if implicit:
            none = positive[:, :0]
            return PairState.build(positive, none, shape, bipartite=True, implicit_candidates=True)
        codes = torch.arange(shape[0] * shape[1], device=positive.device)
        absent = codes[~torch.isin(codes, encode(positive, shape[1]))]
        return PairState.build(positive, decode(absent, shape[1]), shape, bipartite=True)
    negative = graph.with_negatives(seed).negatives
    assert negative is not None
    chosen = encode(pair_index("candidates", candidates, shape).to(positive.device), shape[1])
    trained = torch.cat([chosen, encode(negative, shape[1])]).unique()
    absent = trained[~torch.isin(trained, encode(positive, shape[1]))]
    return PairState.build(
        positive, decode(absent, shape[1]), shape, bipartite=True, candidate_codes=chosen
    )


def matrix_state(graph: Interactions, candidates: str | Tensor, seed: int) -> PairState:
    """The graph of a recommender that is trained on the whole interaction matrix.

    With ``candidates="all"`` every pair except unseen interactions may be flipped; no candidates
    are listed.
    """
    if isinstance(candidates, str) and candidates == "all":
        positive = graph.edge_index
        state = pair_state(graph, candidates, seed, implicit=True)
        if graph.unseen is None or not graph.unseen.size(1):
            return state
        allowed = torch.ones(graph.shape, dtype=torch.bool, device=positive.device)
        allowed[tuple(graph.unseen)] = False
        return replace(state, candidate_mask=allowed)
    return pair_state(graph, candidates, seed, implicit=False)


def without(state: PairState, hidden: Tensor) -> PairState:
    """``state`` without the pairs ``hidden`` [2, H], which are neither trained on nor flipped."""
    kept = ~among(state.index, hidden, state.shape[1])
    edge = state.weight > 0
    return PairState.build(
        state.index[:, edge & kept],
        state.index[:, ~edge & kept],
        state.shape,
        bipartite=True,
        candidate_codes=state.pattern.codes[state.candidate & kept],
    )


def hold_out(state: PairState, fraction: float, seed: int) -> tuple[PairState, Pattern, Tensor]:
    """The state without a share of its pairs, and the held-out pairs with their labels."""
    order = torch.randperm(state.num_listed, generator=generator(seed, _HELDOUT))
    held = torch.zeros(state.num_listed, dtype=torch.bool)
    held[order[: max(1, round(fraction * state.num_listed))]] = True
    held = held.to(state.weight.device)
    edge, kept = state.weight > 0, ~held
    remaining = PairState.build(
        state.index[:, edge & kept],
        state.index[:, ~edge & kept],
        state.shape,
        bipartite=True,
        candidate_codes=state.pattern.codes[state.candidate & kept],
    )
    return remaining, Pattern.of(state.index[:, held], state.shape), state.weight[held]


def unobserved(state: PairState, seed: int) -> Pattern:
    """Pairs outside the training pairs: as many as training pairs, or all if there are fewer."""
    free = state.shape[0] * state.shape[1] - state.num_listed
    if not free:
        raise ValueError("objective='self' needs unobserved pairs, but candidates='all' lists all.")
    count = min(state.num_listed, free)
    pairs = sample_pairs(state.shape, count, state.index, numpy_generator(seed, _TARGETS))
    return Pattern.of(pairs, state.shape)
