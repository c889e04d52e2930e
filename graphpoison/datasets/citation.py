"""Citation graphs, largest connected component, with the 10/10/80 split of poisoning papers."""

import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.io import read_npz, read_planetoid_data
from torch_geometric.transforms import LargestConnectedComponents
from torch_geometric.utils import index_to_mask, remove_self_loops, to_undirected

from ..graphs.adjacency_formats import stored_matrix
from .locate import Source, citation_full, find_files, find_raw, planetoid


def _gnn_meta_attack(name: str, file: str) -> Source:
    page = "the folder data of the GitHub repository danielzuegner/gnn-meta-attack"
    return Source(name, ("zuegner",), ((file,),), page=page)


POLBLOGS = _gnn_meta_attack("polblogs", "polblogs.npz")
CORA_DEEPROBUST = _gnn_meta_attack("cora-deeprobust", "cora.npz")
CITESEER_DEEPROBUST = _gnn_meta_attack("citeseer-deeprobust", "citeseer.npz")


def cora(root: str | Path | None = None, seed: int = 15) -> Data:
    """Cora (Sen et al. 2008) in Planetoid's order of nodes: 2,485 nodes, 5,069 edges.

    Returns and raises as :func:`largest_component` and :func:`graphpoison.datasets.load` say.
    """
    return _planetoid("cora", "Cora", root, seed)


def citeseer(root: str | Path | None = None, seed: int = 15) -> Data:
    """CiteSeer (Sen et al. 2008) as distributed with Planetoid: 2,120 nodes, 3,679 edges.

    Returns and raises as :func:`largest_component` and :func:`graphpoison.datasets.load` say.
    """
    return _planetoid("citeseer", "CiteSeer", root, seed)


def pubmed(root: str | Path | None = None, seed: int = 15) -> Data:
    """PubMed (Namata et al. 2012) as distributed with Planetoid; its features are TF-IDF weights.

    Returns and raises as :func:`largest_component` and :func:`graphpoison.datasets.load` say.
    """
    return _planetoid("pubmed", "PubMed", root, seed)


def polblogs(root: str | Path | None = None, seed: int = 15) -> Data:
    """PolBlogs (Adamic and Glance 2005): 1,222 nodes, 16,714 edges, the identity as features.

    Returns and raises as :func:`largest_component` and :func:`graphpoison.datasets.load` say.
    """
    (path,) = find_files(POLBLOGS, root)
    data = largest_component(_read_npz(path), seed)
    data.x = torch.eye(data.y.numel())
    return data


def cora_deeprobust(root: str | Path | None = None, seed: int = 15) -> Data:
    """Cora in the order of ``gnn-meta-attack``'s ``cora.npz``: 2,485 nodes, 5,069 edges.

    DeepRobust and Pro-GNN read this file. With seed 15 the split equals the split of both. The
    graph equals the graph of :func:`cora`; the nodes have other numbers, so that the same seed
    draws another split.

    Returns and raises as :func:`largest_component` and :func:`graphpoison.datasets.load` say.
    """
    (path,) = find_files(CORA_DEEPROBUST, root)
    return largest_component(_read_npz(path), seed)


def citeseer_deeprobust(root: str | Path | None = None, seed: int = 15) -> Data:
    """CiteSeer of ``gnn-meta-attack``'s ``citeseer.npz``: 2,110 nodes, 3,668 edges.

    DeepRobust and Pro-GNN read this file; Planetoid's CiteSeer has 10 more nodes and 11 more edges.

    Returns and raises as :func:`largest_component` and :func:`graphpoison.datasets.load` say.
    """
    (path,) = find_files(CITESEER_DEEPROBUST, root)
    return largest_component(_read_npz(path), seed)


def cora_ml(root: str | Path | None = None, seed: int = 15) -> Data:
    """Cora-ML (Bojchevski and Günnemann 2018): 2,810 nodes, 7,981 edges.

    Returns and raises as :func:`largest_component` and :func:`graphpoison.datasets.load` say.
    """
    folder = find_raw(citation_full("cora-ml", "cora_ml"), root)
    return largest_component(read_npz(str(folder / "cora_ml.npz")), seed)


def _read_npz(path: Path) -> Data:
    """The graph of a ``.npz`` file with the sparse matrices ``adj_*`` and, optionally, ``attr_*``.
    Except for ``labels``, other arrays, which may be pickled, are not read."""
    with np.load(path, allow_pickle=False) as file:
        adjacency = stored_matrix(file, "adj").tocoo()
        y = torch.from_numpy(file["labels"])
        x = torch.zeros(y.numel(), 0)
        if "attr_data" in file:
            x = torch.from_numpy(stored_matrix(file, "attr").toarray() > 0)
    edge_index = torch.from_numpy(np.stack([adjacency.row, adjacency.col]).astype(np.int64))
    return Data(x=x.float(), edge_index=edge_index, y=y)


def _planetoid(name: str, folder: str, root: str | Path | None, seed: int) -> Data:
    raw = find_raw(planetoid(name, folder), root)
    with warnings.catch_warnings():  # the reader changes the global warning filters
        return largest_component(read_planetoid_data(str(raw), folder.lower()), seed)


def largest_component(data: Data, seed: int) -> Data:
    """The largest connected component of ``data`` as a simple undirected graph, with a split.

    Args:
        data: a graph with ``x`` [N, F], ``edge_index`` ``[2, *]`` and ``y`` [N].
        seed: seed of the split, see :func:`stratified_split`.

    Returns:
        ``x`` float32 [n, F]; ``edge_index`` int64 [2, 2E], both directions, coalesced, without
        self-loops; ``y`` int64 [n]; ``train_mask``, ``val_mask`` and ``test_mask`` bool [n].
    """
    edge_index, _ = remove_self_loops(data.edge_index)
    simple = Data(
        x=data.x.float(),
        edge_index=to_undirected(edge_index, num_nodes=data.x.size(0)),
        y=data.y.long(),
    )
    component: Data = LargestConnectedComponents()(simple)
    masks = stratified_split(component.y, seed)
    component.train_mask, component.val_mask, component.test_mask = masks
    return component


def stratified_split(y: Tensor, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """10/10/80 train, validation and test masks, stratified by class (Zügner and Günnemann 2019).

    From the same labels and seed, DeepRobust's ``nettack`` setting draws the same nodes. The test
    nodes are split off first, then the validation nodes, both by ``train_test_split`` with one
    stream of random numbers. The shares are floating-point numbers, as in DeepRobust; because of
    rounding, train may have fewer nodes than validation (247/249/1,988 on Cora), and up to two
    nodes are in no mask.

    Args:
        y: classes, int64 [n].
        seed: from 0 to 2**32 - 1.

    Returns:
        Three disjoint boolean masks [n].

    Raises:
        ValueError: a class has too few nodes to be in every part.
    """
    from sklearn.model_selection import train_test_split  # takes long to import

    labels = y.numpy()
    validation_share, test_share = 0.1, 0.8
    train_share = 1 - validation_share - test_share
    rest_share = train_share + validation_share
    stream = np.random.RandomState(seed)  # scikit-learn takes no numpy.random.Generator
    try:
        rest, test = train_test_split(
            np.arange(labels.size),
            train_size=rest_share,
            test_size=test_share,
            random_state=stream,
            stratify=labels,
        )
        train, validation = train_test_split(
            rest,
            train_size=train_share / rest_share,
            test_size=validation_share / rest_share,
            random_state=stream,
            stratify=labels[rest],
        )
    except ValueError as error:
        raise ValueError(
            f"no stratified 10/10/80 split of {labels.size} nodes with class sizes "
            f"{np.bincount(labels).tolist()}: {error} Use more nodes or fewer classes."
        ) from error
    train_mask, val_mask, test_mask = (
        index_to_mask(torch.from_numpy(part), labels.size) for part in (train, validation, test)
    )
    return train_mask, val_mask, test_mask
