"""How much an attack hurts: victims retrained on the clean and on the poisoned graph, paired."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch_geometric.data import Data, HeteroData
from tqdm.auto import tqdm

from ._random import generator, numpy_generator
from .graph import PairState, Pattern
from .graph.adjacency import with_edge_index
from .graph.bipartite import EdgeType, read_interactions
from .graph.sampling import sample_pairs
from .metrics import accuracy, link_metrics
from .models import Params
from .perturbation import Perturbation
from .report import Report
from .tasks import Recommendation
from .tasks.fake_users import with_fake_users
from .victims import RecommenderVictim, Victim, node_victim, recommender_victim

_VICTIM_STREAM = 2**31  # keeps a victim's initialisation apart from a surrogate's of the same seed
Rows = Iterator[dict[str, Any]]


def evaluate(
    data: Data | HeteroData,
    perturbation: Perturbation | Mapping[str, Perturbation],
    victims: Sequence[Any] | str | None = None,
    seeds: Sequence[int] = range(5),
    budgets: Sequence[int] | None = None,
    include_perturbed: bool = False,
    progress: bool = False,
) -> Report:
    """Retrain victims from fresh initialisations on the clean and on the poisoned graph.

    Each seed trains a victim on both, so that drops are paired. Node classifiers report accuracy
    on the nodes of ``test_mask``. Recommenders report log loss, accuracy and AUROC on the training
    pairs and on the unseen pairs; clean and poisoned victim are scored on the same pairs. Pairs of
    fake users are none of these: the clean victim has never met them, and of a poisoned one only
    what it says of real users counts. With budget 0 they have joined and no pair is flipped yet.

    Args:
        data: the clean graph.
        perturbation: one attack, or several by name, e.g. to stand beside random.
        victims: for ``Data``: ``"gcn"``, ``"gat"``, ``"sage"``, ``"appnp"``, ``"sgc"``, the
            defences ``"gcn-jaccard"``, ``"gcn-svd"``, ``"gnnguard"``, ``"soft-median-gcn"`` and
            ``"rgcn"``, a :class:`ModuleVictim` or a module factory
            ``f(num_features, num_classes)``; for ``HeteroData``: ``"cf"``, ``"gmf"``,
            ``"mlp"``, ``"neumf"``, settings such as ``CF(dim=8)`` or a
            :class:`RecommenderVictim`; for either, a :func:`surrogate_victim`. By default
            ``["gcn"]`` / ``["cf"]``.
        seeds: of the victims' initialisation and dropout.
        budgets: numbers of flips to evaluate at (prefixes of the attack), that is, after which
            meta-steps; all flips by default.
        include_perturbed: keep the perturbed pairs in a recommender's metrics, with the labels
            that the poisoned data give them (thesis, section 4.2); left out by default.
        progress: show a progress bar.

    Raises:
        TypeError: graph and perturbation are of different kinds.
        ValueError: no seeds, a budget beyond an attack's flips, an unknown victim.
    """
    attacks = (
        {"attack": perturbation} if isinstance(perturbation, Perturbation) else dict(perturbation)
    )
    victims = [victims] if isinstance(victims, str) else victims
    seeds = [int(seed) for seed in seeds]
    if not seeds or not attacks:
        raise ValueError("evaluate needs at least one seed and one perturbation.")
    prefixes = {
        name: [attack.prefix(int(count)) for count in (budgets or [len(attack)])]
        for name, attack in attacks.items()
    }
    if isinstance(data, HeteroData):
        rows = _recommenders(
            with_edge_index(data), prefixes, victims or ["cf"], seeds, include_perturbed
        )
    elif isinstance(data, Data):
        rows = _classifiers(with_edge_index(data), prefixes, victims or ["gcn"], seeds)
    else:
        raise TypeError(f"data must be Data or HeteroData, found {type(data).__name__}.")
    runs = pd.DataFrame(list(tqdm(rows, disable=not progress, unit="metric")))
    return Report(runs, attacks, data)


def _distinct(seeds: list[int], victim: Victim) -> list[int]:
    """The seeds that make a difference: one is enough where they draw nothing."""
    return seeds if victim.start is None else seeds[:1]


def _classifiers(
    data: Data, prefixes: dict[str, list[Perturbation]], victims: Sequence[Any], seeds: list[int]
) -> Rows:
    if getattr(data, "test_mask", None) is None:
        raise ValueError("data.test_mask is missing: evaluate needs nodes to test on.")
    poisoned = {
        name: [(len(attack), attack.apply(data)) for attack in attacks]
        for name, attacks in prefixes.items()
    }
    mask = data.test_mask
    for victim in map(node_victim, victims):
        for seed in _distinct(seeds, victim):
            clean = accuracy(victim.train(data, seed)[mask], data.y[mask])
            for name, graphs in poisoned.items():
                for flips, graph in graphs:
                    value = clean
                    if flips:
                        value = accuracy(victim.train(graph, seed)[mask], data.y[mask])
                    yield {
                        "attack": name,
                        "victim": victim.name,
                        "flips": flips,
                        "seed": seed,
                        "metric": "accuracy",
                        "split": "test",
                        "clean": clean,
                        "poisoned": value,
                    }


def _recommenders(
    data: HeteroData,
    prefixes: dict[str, list[Perturbation]],
    victims: Sequence[Any],
    seeds: list[int],
    include_perturbed: bool,
) -> Rows:
    every = [attack for attacks in prefixes.values() for attack in attacks]
    kinds: set[Any] = {attack.meta.get("edge_type") for attack in every}
    if len(kinds) != 1 or None in kinds:
        raise TypeError(f"the perturbations must be of one edge type of data, found {kinds}.")
    edge_type: EdgeType = kinds.pop()
    real = [attack.pairs for attack in every if attack.fake_users is None]
    flipped = torch.cat([torch.empty(2, 0, dtype=torch.long), *real], dim=1)
    for victim in map(recommender_victim, victims):
        task = Recommendation(
            data, victim.model, edge_type=edge_type, candidates=flipped, loss=victim.loss
        )
        unseen = _unseen(data, edge_type, task.state)
        for seed in _distinct(seeds, victim):
            before = _Trained(victim, task, task.state, seed)
            for name, attacks in prefixes.items():
                for attack in attacks:
                    pairs = attack.pairs.to(task.state.weight.device)
                    after = before
                    if attack.fake_users is not None:
                        grown = with_fake_users(task, attack.fake_users)
                        after = _Trained(victim, grown, grown.state.flip(pairs), seed)
                    elif len(attack):
                        after = _Trained(victim, task, task.state.flip(pairs), seed)
                    left_out = None if include_perturbed else pairs
                    for split, metrics in _compare(before, after, unseen, left_out):
                        for metric, (clean, poisoned) in metrics.items():
                            yield {
                                "attack": name,
                                "victim": victim.name,
                                "flips": len(attack),
                                "seed": seed,
                                "metric": metric,
                                "split": split,
                                "clean": clean,
                                "poisoned": poisoned,
                            }


class _Trained:
    """A recommender trained on one state of the graph."""

    def __init__(
        self, victim: RecommenderVictim, task: Recommendation, state: PairState, seed: int
    ) -> None:
        self.task, self.state = task, state
        self.prepared = task.prepare(state).detached(requires_grad=False)
        draw = generator(seed, _VICTIM_STREAM) if victim.start is None else generator(victim.start)
        self.params: Params = victim.training.train(task, state, task.init(draw))

    def scores(self, pairs: Pattern) -> Tensor:
        """Logits [K] of ``pairs``, of which the graph may have more users than they know of."""
        with torch.no_grad():
            grown = replace(pairs, shape=self.state.shape)
            return self.task.scores(self.params, self.prepared, grown)

    def labels(self, pairs: Pattern) -> Tensor:
        """The weights [K] of listed ``pairs``."""
        return self.state.weight[self.state.locate(pairs.index)]


def _compare(
    before: _Trained,
    after: _Trained,
    unseen: tuple[Pattern, Tensor] | None,
    left_out: Tensor | None,
) -> Iterator[tuple[str, dict[str, tuple[float, float]]]]:
    """For each split, the metrics of both on the same pairs, without those of ``left_out``."""
    trained = before.state.pattern
    splits = [("train", trained, before.state.weight, after.labels(trained))]
    if unseen is not None:
        splits.append(("unseen", unseen[0], unseen[1], unseen[1]))
    for name, pairs, clean_labels, labels in splits:
        kept = torch.ones_like(pairs.row, dtype=torch.bool)
        if left_out is not None:
            kept = ~torch.isin(pairs.codes, left_out[0] * pairs.shape[1] + left_out[1])
        clean = link_metrics(before.scores(pairs)[kept], clean_labels[kept])
        poisoned = link_metrics(after.scores(pairs)[kept], labels[kept])
        yield name, {metric: (clean[metric], poisoned[metric]) for metric in clean}


def _unseen(
    data: HeteroData, edge_type: EdgeType, state: PairState
) -> tuple[Pattern, Tensor] | None:
    """The unseen pairs with their labels; as many negatives as positives are drawn if none are
    given."""
    found = read_interactions(data, edge_type)
    if found.unseen is None or not found.unseen.size(1):
        return None
    negative = found.unseen_negative
    if negative is None:
        occupied = torch.cat([state.index, found.unseen], dim=1)
        negative = sample_pairs(
            found.shape, found.unseen.size(1), occupied, numpy_generator(0, _VICTIM_STREAM)
        )
    pairs = torch.cat([found.unseen, negative], dim=1)
    labels = torch.ones(pairs.size(1), device=pairs.device)
    labels[found.unseen.size(1) :] = 0.0
    order = torch.argsort(pairs[0] * found.shape[1] + pairs[1])
    return Pattern.of(pairs[:, order], found.shape), labels[order]
