"""How much an attack hurts: victims retrained on the clean and on the poisoned graph, paired."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch_geometric.data import Data, HeteroData
from tqdm.auto import tqdm

from ._random import generator, numpy_generator
from ._settings import describe, digest
from .applying import apply_to_nodes, refuse_another_graph
from .graph import PairState, Pattern
from .graph.adjacency import with_edge_index
from .graph.homogeneous import among
from .graph.labelled import labelled_nodes, training_masks
from .ledger import (
    Ledger,
    Measured,
    Prefixes,
    Unit,
    one_edge_type,
    parts_of,
    prefixes_of,
    refuse_same_names,
)
from .metrics import accuracy, link_metrics
from .models import Params
from .perturbation import Perturbation
from .provenance import SERIES, Clock, environment, graph_digest
from .report import Report
from .tasks import Recommendation
from .tasks.fake_users import with_fake_users
from .tasks.unseen_pairs import unseen_pairs
from .victims import NodeVictim, RecommenderVictim, Victim, node_victim, recommender_victim

_VICTIM_STREAM = 2**31  # keeps a victim's initialisation apart from a surrogate's of the same seed


def evaluate(
    data: Data | HeteroData,
    perturbation: Perturbation | Mapping[str, Perturbation],
    victims: Sequence[Any] | str | None = None,
    seeds: Sequence[int] = range(5),
    budgets: Sequence[int] | None = None,
    include_perturbed: bool = False,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
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
            meta-steps; all flips by default. An attack that ended before one of them, as no flip
            was admissible any more, is evaluated where it ended.
        include_perturbed: keep the perturbed pairs in a recommender's metrics, with the labels
            that the poisoned data give them (thesis, section 4.2); left out by default.
        progress: show a progress bar.
        checkpoint: a CSV file, below one line of JSON, that keeps each (victim, seed, attack,
            budget) as soon as it is done. What it holds is not trained again, so that more seeds,
            budgets, victims and attacks can be asked for with the same file. A module factory of
            one's own is known by its source text.

    Returns:
        A report whose ``meta`` says what it depends on: digits of the graph, attacks, victims,
        seeds, budgets, versions, device and time.

    Raises:
        TypeError: graph and perturbation are of different kinds, or the graph lacks something.
        ValueError: no seeds, a budget beyond an attack's own, an unknown victim; ``data`` is
            poisoned already, or its features, labels or masks are not what they should be; the
            checkpoint is damaged or of another evaluation, or two victims have one name in it.
        FloatingPointError: a victim's training is not finite.
    """
    attacks = (
        {"attack": perturbation} if isinstance(perturbation, Perturbation) else dict(perturbation)
    )
    victims = [victims] if isinstance(victims, str) else victims
    seeds = distinct_seeds(seeds)
    if not attacks:
        raise ValueError("evaluate needs at least one perturbation.")
    if budgets is not None and not len(budgets):
        raise ValueError("budgets must be one or more numbers of flips, found none.")
    refuse_another_graph(attacks, data, strict=False)
    prefixes = prefixes_of(attacks, budgets)
    chosen: list[Any]
    if isinstance(data, HeteroData):
        chosen = [recommender_victim(victim) for victim in victims or ["cf"]]
        units = _recommenders(with_edge_index(data), prefixes, chosen, seeds, include_perturbed)
    else:
        chosen = [node_victim(victim) for victim in victims or ["gcn"]]
        units = _classifiers(with_edge_index(data), prefixes, chosen, seeds)
    refuse_same_names(chosen)
    basis = _basis(data, prefixes, include_perturbed)
    notes = {f"attack {name!r}": describe(attack.meta) for name, attack in attacks.items()}
    ledger = Ledger.open(checkpoint, basis, parts_of(chosen, prefixes), notes)
    clock = Clock(_environment(data, prefixes, chosen), ledger.provenance)
    rows = [
        row
        for unit in tqdm(units, disable=not progress, unit="victim")
        for row in ledger.rows(unit, clock.read)
    ]
    depends = {
        **basis,
        "attacks": {
            name: describe({**attack.meta, "provenance": attack.provenance})
            for name, attack in attacks.items()
        },
        "victims": describe(chosen),
        "seeds": seeds,
        "budgets": describe(None if budgets is None else [int(count) for count in budgets]),
        "provenance": clock.read(),
    }
    return Report(pd.DataFrame(rows), attacks, data, depends)


def distinct_seeds(seeds: Sequence[int]) -> list[int]:
    """``seeds`` as a list, which must be one or more different numbers."""
    if isinstance(seeds, int):
        raise TypeError(f"seeds must be several numbers such as range({seeds}), found {seeds}.")
    found = [int(seed) for seed in seeds]
    if not found or len(set(found)) < len(found):
        raise ValueError(f"seeds must be one or more different numbers, found {found}.")
    return found


def _basis(data: Data | HeteroData, prefixes: Prefixes, include_perturbed: bool) -> dict[str, Any]:
    """What all units of an evaluation depend on, as plain values."""
    data = with_edge_index(data)
    basis = {
        "graphpoison": SERIES,
        "graph": graph_digest(data),
        "include_perturbed": include_perturbed,
    }
    if isinstance(data, HeteroData):
        edge_type = one_edge_type(prefixes)
        task = Recommendation(data, edge_type=edge_type)
        basis |= {"edge_type": list(edge_type), "pairs trained on": digest(task.state.index)}
    return basis


def _environment(
    data: Data | HeteroData, prefixes: Prefixes, victims: Sequence[Any]
) -> dict[str, Any]:
    """Where victims are trained, and in what: node classifiers as the features are."""
    if isinstance(data, Data):
        return environment(data.x.device, data.x.dtype)
    store = with_edge_index(data)[one_edge_type(prefixes)]
    return environment(store.edge_index.device, victims[0].dtype)


def _distinct(seeds: list[int], victim: Victim) -> list[int]:
    """The seeds that make a difference: one is enough where they draw nothing."""
    return seeds if victim.start is None else seeds[:1]


def _classifiers(
    data: Data,
    prefixes: dict[str, list[Perturbation]],
    victims: Sequence[NodeVictim],
    seeds: list[int],
) -> Iterator[Unit]:
    if getattr(data, "test_mask", None) is None:
        raise ValueError("data.test_mask is missing: evaluate needs nodes to test on.")
    data = labelled_nodes(data, (*training_masks(data), "test_mask"))
    poisoned = {
        name: [(len(attack), apply_to_nodes(attack, data, warn=False)) for attack in attacks]
        for name, attacks in prefixes.items()
    }
    for victim in victims:
        for seed in _distinct(seeds, victim):
            before = cache(partial(_accuracy, victim, data, seed))
            for name, graphs in poisoned.items():
                for flips, graph in graphs:
                    after = partial(_accuracy, victim, graph, seed) if flips else before
                    yield Unit(
                        (victim.name, seed, name, flips), partial(_accuracies, before, after)
                    )


def _accuracy(victim: NodeVictim, data: Data, seed: int) -> float:
    mask = data.test_mask
    return accuracy(victim.train(data, seed)[mask], data.y[mask])


def _accuracies(before: Callable[[], float], after: Callable[[], float]) -> list[Measured]:
    return [Measured("accuracy", "test", before(), after())]


def _recommenders(
    data: HeteroData,
    prefixes: dict[str, list[Perturbation]],
    victims: Sequence[RecommenderVictim],
    seeds: list[int],
    include_perturbed: bool,
) -> Iterator[Unit]:
    edge_type = one_edge_type(prefixes)
    for victim in victims:
        task = Recommendation(
            data, victim.model, edge_type=edge_type, dtype=victim.dtype, loss=victim.loss
        )
        unseen = unseen_pairs(data, edge_type, task.state, numpy_generator(0, _VICTIM_STREAM))
        for seed in _distinct(seeds, victim):
            before = cache(partial(_Trained, victim, task, task.state, seed))
            for name, attacks in prefixes.items():
                for attack in attacks:
                    yield Unit(
                        (victim.name, seed, name, len(attack)),
                        partial(_link_metrics, before, attack, unseen, include_perturbed),
                    )


def _link_metrics(
    clean: "Callable[[], _Trained]",
    attack: Perturbation,
    unseen: tuple[Pattern, Tensor] | None,
    include_perturbed: bool,
) -> list[Measured]:
    before = after = clean()
    task = before.task
    pairs = attack.pairs.to(before.state.weight.device)
    if attack.fake_users is not None:
        task = with_fake_users(task, attack.fake_users)
    if attack.fake_users is not None or len(attack):
        anything = replace(task.state, open=True)  # pairs that the clean victim never met too
        poisoned = replace(anything.flip(pairs), open=task.state.open)
        after = _Trained(before.victim, task, poisoned, before.seed)
    return list(_compare(before, after, unseen, None if include_perturbed else pairs))


class _Trained:
    """A recommender trained on one state of the graph."""

    def __init__(
        self, victim: RecommenderVictim, task: Recommendation, state: PairState, seed: int
    ) -> None:
        self.victim, self.task, self.state, self.seed = victim, task, state, seed
        self.prepared = task.prepare(state).detached(requires_grad=False)
        draw = generator(seed, _VICTIM_STREAM) if victim.start is None else generator(victim.start)
        self.params: Params = victim.training.train(task, state, task.init(draw))

    def scores(self, pairs: Pattern) -> Tensor:
        """Logits [K] of ``pairs``, of which the graph may have more users than they know of."""
        with torch.no_grad():
            grown = replace(pairs, shape=self.state.shape)
            return self.task.scores(self.params, self.prepared, grown)

    def labels(self, pairs: Pattern) -> Tensor:
        """The weights [K] of ``pairs``, 0 of those not listed."""
        place = self.state.locate(pairs.index)
        return torch.where(place >= 0, self.state.weight[place], 0.0)


def _compare(
    before: _Trained,
    after: _Trained,
    unseen: tuple[Pattern, Tensor] | None,
    left_out: Tensor | None,
) -> Iterator[Measured]:
    """For each split, the metrics of both on the same pairs, without those of ``left_out``."""
    listed, shape = after.state.index, before.state.shape
    trained = Pattern.of(listed[:, listed[0] < shape[0]], shape)
    splits = [("train", trained, before.labels(trained), after.labels(trained))]
    if unseen is not None:
        splits.append(("unseen", unseen[0], unseen[1], unseen[1]))
    for name, pairs, clean_labels, labels in splits:
        kept = torch.ones_like(pairs.row, dtype=torch.bool)
        if left_out is not None:
            kept = ~among(pairs.index, left_out, pairs.shape[1])
        clean = link_metrics(before.scores(pairs)[kept], clean_labels[kept])
        poisoned = link_metrics(after.scores(pairs)[kept], labels[kept])
        for metric in clean:
            yield Measured(metric, name, clean[metric], poisoned[metric])
