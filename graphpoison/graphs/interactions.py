"""User-item interactions, read once from a bipartite ``HeteroData`` into an immutable value."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from .._checks import pair_index, positive_int, refuse_batch
from .._random import numpy_generator
from .adjacency import with_edge_index
from .codes import among, decode, encode
from .fake_users import FakeUsers
from .link_labels import LinkLabels
from .pairs import PairState
from .sampling import sample_pairs

logger = logging.getLogger(__name__)

EdgeType = tuple[str, str, str]
NEGATIVES = 0  # a stream of the seed
FEW_NODES, EMPTY_NODES = 10_000_000, 1_000
"""More nodes than ``FEW_NODES`` are refused if they exceed ``EMPTY_NODES`` per interaction."""


@dataclass(frozen=True, eq=False)
class Interactions:
    """The interactions of users with items, checked by
    :func:`~graphpoison.graphs.read_interactions`.

    All pairs are LongTensors [2, K] (user, item), sorted, without repetition.

    Args:
        edge_index: training interactions.
        num_users: number of users, fake ones included.
        num_items: number of items.
        negatives: sampled training non-interactions, or None if the data have none.
        unseen: interactions held out from training, or None.
        unseen_negatives: non-interactions to compare with ``unseen``, or None.
        edge_type: the names of users, relation and items in PyG.
        fake_users: the fake users, if an attacker added any; they are numbered last.
        user_ids, item_ids: the ids of users and items in the data (``raw_id``), or None.
    """

    edge_index: Tensor
    num_users: int
    num_items: int
    negatives: Tensor | None = None
    unseen: Tensor | None = None
    unseen_negatives: Tensor | None = None
    edge_type: EdgeType = ("user", "rates", "item")
    fake_users: FakeUsers | None = None
    user_ids: tuple[str, ...] | None = None
    item_ids: tuple[str, ...] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Number of users and items."""
        return self.num_users, self.num_items

    @property
    def num_real_users(self) -> int:
        """Number of real users; fake users are numbered after them."""
        return self.num_users - (0 if self.fake_users is None else self.fake_users.count)

    def item_names(self, items: Iterable[int]) -> list[str]:
        """The ids of ``items``, or their indices as text if the data have no ids."""
        return [str(item) if self.item_ids is None else self.item_ids[item] for item in items]

    @cached_property
    def training_pairs(self) -> PairState:
        """The pairs that recommenders train on, interactions with weight 1 and negatives with 0."""
        absent = self.edge_index[:, :0] if self.negatives is None else self.negatives
        return PairState.build(self.edge_index, absent, self.shape, bipartite=True)

    def with_negatives(self, seed: int = 0) -> "Interactions":
        """The same graph with training negatives. If it has none, as many as interactions are drawn
        from ``seed`` outside all known pairs."""
        if self.negatives is not None:
            return self
        known = [self.edge_index, self.unseen, self.unseen_negatives]
        occupied = torch.cat([pairs for pairs in known if pairs is not None], dim=1)
        rng = numpy_generator(seed, NEGATIVES)
        drawn = sample_pairs(self.shape, self.edge_index.size(1), occupied, rng)
        return replace(self, negatives=drawn)

    def with_unseen_apart(self) -> "Interactions":
        """The same graph without the unseen negatives that are training interactions. Logs a
        warning if there are any."""
        if self.unseen_negatives is None:
            return self
        seen = among(self.unseen_negatives, self.edge_index, self.num_items)
        if bool(seen.any()):
            logger.warning(
                "%d pairs of unseen_neg_edge_index are training interactions, and are not scored.",
                int(seen.sum()),
            )
        return replace(self, unseen_negatives=self.unseen_negatives[:, ~seen])

    def joined_by(self, users: FakeUsers) -> "Interactions":
        """The graph with ``users`` added. Their initial interactions are training interactions; all
        their other pairs become negatives, if the graph has negatives.

        If the graph has no negatives, a recommender draws its own, for fake and real users alike.
        Call :meth:`with_negatives` first to train on the negatives of the attack.

        Raises:
            ValueError: fake users have joined already.
        """
        if self.fake_users is not None:
            raise ValueError("fake users have joined this graph already.")
        fresh = users.pairs(self.shape, self.edge_index.device)
        edges = users.numbered(self.shape).to(self.edge_index.device)
        negatives = self.negatives
        if negatives is not None:
            others = fresh[:, ~among(fresh, edges, self.num_items)]
            negatives = torch.cat([negatives, others], dim=1)
        return replace(
            self,
            edge_index=_sorted_unique(torch.cat([self.edge_index, edges], dim=1), self.num_items),
            num_users=self.num_users + users.count,
            negatives=negatives,
            fake_users=users,
        )


def read_interactions(
    data: HeteroData | Interactions, edge_type: EdgeType | None = None
) -> Interactions:
    """The interactions of ``data``: ``edge_index`` and, where present, ``neg_edge_index``,
    ``unseen_edge_index`` and ``unseen_neg_edge_index`` of ``edge_type``.

    If ``data`` have neither negatives nor unseen pairs, ``edge_label_index`` and ``edge_label`` are
    read in the form of ``RandomLinkSplit``: if all pairs with a label above 0 are edges, the pairs
    with label 0 are training negatives; otherwise all labelled pairs are unseen pairs. Repeated
    interactions count once. ``adj_t`` and ``EdgeIndex`` are read too. An ``Interactions`` is
    returned unchanged.

    Raises:
        TypeError: ``data`` is no ``HeteroData``.
        ValueError: the edge type is absent, ambiguous or not bipartite; an index is out of range;
            a pair is both positive and negative, among training pairs or among unseen ones.
    """
    if isinstance(data, Interactions):
        if edge_type is not None and _three_names(edge_type) != data.edge_type:
            raise ValueError(f"edge_type={edge_type} was asked for, found {data.edge_type}.")
        return data
    refuse_batch(data)
    plain = with_edge_index(data) if isinstance(data, HeteroData) else data
    kind = bipartite_edge_type(plain, edge_type)
    store = plain[kind]
    shape = (num_nodes(plain, kind[0]), num_nodes(plain, kind[2]))
    _refuse_far_more_nodes(plain, kind, shape)

    def read(key: str) -> Tensor | None:
        if key not in store:
            return None
        return _sorted_unique(pair_index(f"data[{kind}].{key}", store[key], shape), shape[1])

    positive = read("edge_index")
    if positive is None:
        raise ValueError(f"data[{kind}] has neither edge_index nor a sparse adj_t.")
    negative = read("neg_edge_index")
    unseen, unseen_negative = read("unseen_edge_index"), read("unseen_neg_edge_index")
    labels = LinkLabels.of(store, shape)
    if labels is not None:
        labelled = _sorted_unique(labels.negative, shape[1]) if labels.negative.size(1) else None
        if labels.held_out(positive, shape[1]):
            unseen, unseen_negative = _sorted_unique(labels.positive, shape[1]), labelled
        else:
            negative = labelled
    if negative is not None:
        _refuse_overlap("neg_edge_index", negative, "edge_index", positive, shape[1])
    if unseen is not None and unseen_negative is not None:
        names = "unseen_neg_edge_index", "unseen_edge_index"
        _refuse_overlap(names[0], unseen_negative, names[1], unseen, shape[1])
    return Interactions(
        positive,
        *shape,
        negative,
        unseen,
        unseen_negative,
        kind,
        user_ids=_ids(plain, kind[0]),
        item_ids=_ids(plain, kind[2]),
    )


def bipartite_edge_type(data: HeteroData, edge_type: EdgeType | None = None) -> EdgeType:
    """``edge_type`` if ``data`` has it; if None, the only edge type that is not a reverse type.

    Raises:
        TypeError: ``data`` is no ``HeteroData``.
        ValueError: the edge type is absent, ambiguous or not bipartite.
    """
    if not isinstance(data, HeteroData):
        raise TypeError(f"data must be a torch_geometric HeteroData, found {type(data).__name__}.")
    present: list[EdgeType] = list(data.edge_types)
    if edge_type is None:
        forward = [kind for kind in present if not kind[1].startswith("rev_")]
        if len(forward) != 1:
            raise ValueError(f"edge_type must be given: data has {forward}.")
        edge_type = forward[0]
    edge_type = _three_names(edge_type)
    if edge_type not in present:
        raise ValueError(f"edge_type={edge_type} is not in data, which has {present}.")
    if edge_type[0] == edge_type[2]:
        raise ValueError(f"edge_type={edge_type} is not bipartite: both ends are {edge_type[0]!r}.")
    return edge_type


def _three_names(edge_type: object) -> EdgeType:
    if not isinstance(edge_type, tuple | list) or len(edge_type) != 3:
        raise ValueError(
            f"edge_type={edge_type!r} must be three names, such as ('user', 'rates', 'item')."
        )
    return (edge_type[0], edge_type[1], edge_type[2])


def num_nodes(data: HeteroData, node_type: str) -> int:
    """The number of nodes of ``node_type``.

    Raises:
        ValueError: the number is not set.
    """
    number = data[node_type].num_nodes if node_type in data.node_types else None
    if number is None:
        raise ValueError(f"data[{node_type!r}].num_nodes is not set; set it to the node count.")
    return positive_int(f"data[{node_type!r}].num_nodes", number, minimum=0)


def _refuse_far_more_nodes(data: HeteroData, kind: EdgeType, shape: tuple[int, int]) -> None:
    """Raise a ValueError if a number of nodes is too large for the number of interactions: it is
    taken for a mistake that would fill the memory."""
    edges = data[kind].get("edge_index")
    known = edges.size(1) if isinstance(edges, Tensor) and edges.dim() == 2 else 0
    for node_type, number in zip((kind[0], kind[2]), shape, strict=True):
        if number > max(FEW_NODES, EMPTY_NODES * known):
            raise ValueError(
                f"data[{node_type!r}].num_nodes is {number:,}, with {known:,} interactions; set it "
                "to the node count."
            )


def _ids(data: HeteroData, node_type: str) -> tuple[str, ...] | None:
    known = data[node_type].get("raw_id")
    known = known.tolist() if isinstance(known, Tensor) else known
    return None if known is None else tuple(map(str, known))


def _sorted_unique(index: Tensor, num_targets: int) -> Tensor:
    return decode(torch.unique(encode(index, num_targets)), num_targets)


def _refuse_overlap(
    name: str, negative: Tensor, of: str, positive: Tensor, num_targets: int
) -> None:
    both = int(among(negative, positive, num_targets).sum())
    if both:
        raise ValueError(
            f"{both} pairs of {name} are also in {of}; a pair is either an interaction or a "
            "negative: drop them from one."
        )
