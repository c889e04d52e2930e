"""Two synthetic data sets, made from a seed without files: a citation graph and interactions."""

import numpy as np
import numpy.typing as npt
import torch
from torch_geometric.data import Data, HeteroData

from .._checks import in_range, positive_int, seed_number
from ..graphs.sampling import Codes
from .citation import largest_component
from .interactions import assemble

Floats = npt.NDArray[np.float64]
USER_ITEM_SPREAD = 1.5  # standard deviation of the factors' part of the log-weights
POPULARITY_SPREAD = 2.0  # standard deviation of the items' part of the log-weights
ACTIVITY_SPREAD = 0.9  # standard deviation of the logarithm of the users' activity
USERS_AT_ONCE = 256


def synthetic_citation(
    seed: int = 15,
    num_nodes: int = 2500,
    num_classes: int = 7,
    num_words: int = 1400,
    mean_degree: float = 4.15,
    homophily: float = 0.8,
    words_per_node: float = 18.0,
    topic_share: float = 0.3,
) -> Data:
    """A graph like Cora: degree-corrected stochastic block model with bag-of-words features.

    The block model (Karrer and Newman 2011) has fixed degrees: half-edges are matched at random,
    a part of them within their class. Degrees and word frequencies have long tails; classes have
    unequal sizes. A word of a node comes from the topic of its class with probability
    ``topic_share``, and otherwise from frequencies that all classes share.

    Args:
        seed: seed of graph, features and split.
        num_nodes: number of nodes before the largest component is taken.
        num_classes: number of classes.
        num_words: number of features.
        mean_degree: mean degree before self-loops and repeated edges are dropped; at least 1.
        homophily: expected share of edges within a class.
        words_per_node: expected number of distinct words.
        topic_share: in [0, 1]; the smaller, the harder the classification.

    Returns:
        As :func:`graphpoison.datasets.citation.largest_component`; ``x`` is binary.

    Raises:
        ValueError: an argument is out of range, or the graph is too small for a stratified split.
    """
    num_nodes = positive_int("num_nodes", num_nodes, minimum=2)
    num_classes = positive_int("num_classes", num_classes, minimum=2)
    num_words = positive_int("num_words", num_words, minimum=2)
    in_range("mean_degree", mean_degree, 1.0, num_nodes - 1)
    in_range("homophily", homophily, 0.0, 1.0)
    in_range("words_per_node", words_per_node, 1.0, num_words)
    in_range("topic_share", topic_share, 0.0, 1.0)
    rng = np.random.default_rng(seed_number("seed", seed))
    labels = _unequal_classes(num_nodes, num_classes, rng)
    edges = _block_model(labels, mean_degree, homophily, rng)
    words = _bags_of_words(labels, num_words, words_per_node, topic_share, rng)
    whole = Data(
        x=torch.from_numpy(words), edge_index=torch.from_numpy(edges), y=torch.from_numpy(labels)
    )
    return largest_component(whole, seed)


def synthetic_interactions(
    seed: int = 0,
    num_users: int = 900,
    num_items: int = 1600,
    num_interactions: int = 100_000,
    num_factors: int = 6,
    test_fraction: float = 0.2,
    num_negatives: int | None = None,
) -> HeteroData:
    """Interactions like MovieLens 100K, from latent factors and long-tailed popularity.

    The number of items per user has a long tail and, as in MovieLens, a minimum of 20 (less if the
    users have fewer than 40 interactions on average). The items of a user are drawn without
    replacement, with log-weights ``factors of user . factors of item + popularity of item``.

    Args:
        seed: seed of factors, interactions, negatives and split.
        num_users: number of users.
        num_items: number of items.
        num_interactions: number of distinct interactions, train and unseen together.
        num_factors: dimension of the latent factors.
        test_fraction: as in :func:`graphpoison.datasets.from_interactions`.
        num_negatives: as in :func:`graphpoison.datasets.from_interactions`.

    Returns:
        As :func:`graphpoison.datasets.from_interactions`, without ``raw_id``.

    Raises:
        ValueError: an argument is out of range, or there are fewer interactions than users or
            more than pairs.
    """
    num_users = positive_int("num_users", num_users)
    num_items = positive_int("num_items", num_items)
    num_factors = positive_int("num_factors", num_factors)
    total = positive_int("num_interactions", num_interactions)
    if not num_users <= total <= num_users * num_items:
        raise ValueError(
            f"num_interactions={total} does not fit {num_users} users and {num_items} items; "
            f"give a number from {num_users} to {num_users * num_items}."
        )
    rng = np.random.default_rng(seed_number("seed", seed))
    activity = _activity(num_users, num_items, total, rng)
    users = rng.normal(size=(num_users, num_factors)) * (USER_ITEM_SPREAD / num_factors**0.5)
    items = rng.normal(size=(num_items, num_factors))
    popularity = POPULARITY_SPREAD * rng.normal(size=num_items)
    codes = _choices(users, items, popularity, activity, rng)
    return assemble(codes, (num_users, num_items), test_fraction, rng, num_negatives=num_negatives)


def _unequal_classes(num_nodes: int, num_classes: int, rng: np.random.Generator) -> Codes:
    """Classes in shares 1/3 : 1/4 : 1/5 ..., in random order; int64 [num_nodes]."""
    bounds = np.cumsum(1.0 / np.arange(3, num_classes + 3))
    centres = (np.arange(num_nodes) + 0.5) / num_nodes
    return rng.permutation(np.searchsorted(bounds / bounds[-1], centres)).astype(np.int64)


def _block_model(
    labels: Codes, mean_degree: float, homophily: float, rng: np.random.Generator
) -> Codes:
    """Half-edges matched within their class or across classes: int64 [2, E], with self-loops and
    repeated edges."""
    tail = np.minimum(rng.pareto(2.0, size=labels.size), labels.size / 50)
    degrees = 1 + rng.poisson((mean_degree - 1) * tail / tail.mean())
    ends = np.repeat(np.arange(labels.size), degrees)
    classes = labels[ends]
    by_chance = np.square(np.bincount(classes) / ends.size).sum()
    kept_within = rng.random(ends.size) < (homophily - by_chance) / (1 - by_chance)
    group = np.where(kept_within, classes, -1)
    ends = ends[np.lexsort((rng.random(ends.size), group))]
    return ends[: ends.size // 2 * 2].reshape(-1, 2).T.copy()


def _bags_of_words(
    labels: Codes,
    num_words: int,
    words_per_node: float,
    topic_share: float,
    rng: np.random.Generator,
) -> npt.NDArray[np.float32]:
    """Zipf-like word frequencies mixed with one topic per class; binary float32 [N, words]."""
    common = 1.0 / (np.arange(num_words) + 20.0)
    common /= common.sum()
    topics = common * rng.gamma(0.2, size=(labels.max() + 1, num_words))
    topics /= topics.sum(axis=1, keepdims=True)
    frequencies = (1 - topic_share) * common + topic_share * topics
    lengths = 1 + rng.poisson(words_per_node - 1, size=labels.size)
    return _draw(np.log(frequencies)[labels], lengths, rng).astype(np.float32)


def _activity(num_users: int, num_items: int, total: int, rng: np.random.Generator) -> Codes:
    """The number of items of each user, ``total`` in sum; int64 [num_users]."""
    least = min(20, max(1, total // (2 * num_users)))
    most = max(num_items // 2, -(-total // num_users))
    weights = np.exp(ACTIVITY_SPREAD * rng.normal(size=num_users))
    activity = np.full(num_users, least)
    while activity.sum() < total:
        open_weights = weights * (activity < most)
        more = rng.multinomial(total - activity.sum(), open_weights / open_weights.sum())
        activity = np.minimum(activity + more, most)
    return activity.astype(np.int64)


def _choices(
    users: Floats, items: Floats, popularity: Floats, activity: Codes, rng: np.random.Generator
) -> Codes:
    """Sorted codes of the drawn pairs; a few users are drawn at a time to save memory."""
    found = []
    for start in range(0, len(users), USERS_AT_ONCE):
        part = slice(start, start + USERS_AT_ONCE)
        taken = _draw(users[part] @ items.T + popularity, activity[part], rng)
        found.append(np.flatnonzero(taken) + start * len(items))
    return np.concatenate(found)


def _draw(log_weights: Floats, counts: Codes, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """In each row, ``counts`` columns drawn without replacement in proportion to their weights.

    The draw takes the columns with the largest sums of log-weight and Gumbel noise (Yellott 1977).
    """
    noisy = log_weights + rng.gumbel(size=log_weights.shape)
    rank = np.argsort(np.argsort(-noisy, axis=1), axis=1)
    return rank < counts[:, None]
