"""The edges of adjacencies that other libraries keep: scipy, numpy, torch, networkx, and files."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from .._io import refuse_special
from .codes import decode, encode
from .interactions import Interactions
from .nodes import NodeGraph

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Graph = NodeGraph | Interactions
ARRAYS = {"adj_data", "adj_indices", "adj_indptr", "adj_shape"}  # of gnn-meta-attack
SAVED = {"format", "shape", "data"}  # of scipy.sparse.save_npz
EXPECTED = (
    "a scipy sparse matrix, a dense 0/1 matrix, an edge_index [2, E] of integers, a networkx graph "
    "or the path of a .npz file or edge list"
)


def edges_of_adjacency(adjacency: Any, graph: Graph) -> Tensor:
    """The edges [2, E] of ``adjacency``, sorted, on the CPU; each undirected edge once, with the
    smaller node first.

    Args:
        adjacency: of the same nodes as ``graph``, in the same order: a scipy sparse matrix, a dense
            array or Tensor of 0 and 1, an integer ``edge_index`` [2, E], a networkx graph with the
            nodes 0, 1, ..., or the path of a file that :func:`read_adjacency` reads. Matrices are
            [N, N] and symmetric, or [users, items]. The diagonal is ignored.
        graph: the nodes.

    Raises:
        TypeError: ``adjacency`` is of another kind.
        ValueError: another shape than the graph's, an edge without its reverse, entries other than
            0 and 1.
    """
    shape, undirected = graph.shape, isinstance(graph, NodeGraph)
    matrix = _matrix(adjacency, shape, undirected)
    if matrix.shape != shape:
        raise ValueError(
            f"adjacency has shape {matrix.shape}, and the graph has {shape[0]} x {shape[1]} nodes: "
            "both must number the same nodes alike."
        )
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    if not bool((matrix.data == 1).all()):
        raise ValueError(
            "adjacency has entries other than 0 and 1, such as "
            f"{matrix.data[matrix.data != 1][0]}; give the unweighted adjacency."
        )
    entries = matrix.tocoo()
    index = torch.from_numpy(np.stack([entries.row, entries.col]).astype(np.int64))
    if not undirected:
        return decode(encode(index, shape[1]).sort().values, shape[1])
    index = index[:, index[0] != index[1]]
    codes, reverse = encode(index, shape[1]).sort().values, encode(index.flip(0), shape[1])
    if not torch.equal(codes, reverse.sort().values):
        raise ValueError(
            "adjacency is not symmetric; for an undirected graph store each edge in both "
            "directions, as adjacency.maximum(adjacency.T) does."
        )
    pairs = decode(codes, shape[1])
    return pairs[:, pairs[0] < pairs[1]]


def scipy_adjacency(graph: Graph) -> "csr_matrix":
    """The adjacency of ``graph``, float32 of 0 and 1: [N, N] and symmetric, or [users, items]."""
    from scipy.sparse import csr_matrix  # takes long to import

    edges = graph.edge_index.cpu().numpy()
    return csr_matrix((np.ones(edges.shape[1], dtype=np.float32), edges), graph.shape)


def is_adjacency(path: Path) -> bool:
    """Whether the ``.npz`` file holds a sparse adjacency that :func:`read_adjacency` reads."""
    refuse_special(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            names = set(file.files)
    except (OSError, ValueError, TypeError, BadZipFile, AttributeError):
        return False
    return "meta" not in names and (names >= ARRAYS or names >= SAVED)


def read_adjacency(path: str | os.PathLike[str]) -> "csr_matrix":
    """The sparse matrix of a file.

    Args:
        path: a ``.npz`` of ``scipy.sparse.save_npz`` (DeepRobust and Pro-GNN) or with the arrays
            ``adj_data``, ``adj_indices``, ``adj_indptr`` and ``adj_shape`` (``gnn-meta-attack``);
            any other suffix is read as an edge list: two integers a line, separated by commas in
            ``.csv``, by tabs in ``.tsv`` and by spaces elsewhere, and ``#`` before comments. The
            matrix of an edge list ends with its largest node.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file of another form.
    """
    from scipy.sparse import load_npz  # takes long to import

    path = Path(path)
    refuse_special(path)
    if path.suffix != ".npz":
        return _edge_list(path)
    with np.load(path, allow_pickle=False) as file:
        names = set(file.files)
        if names >= ARRAYS:
            return stored_matrix(file, "adj")
    if not names >= SAVED:
        raise ValueError(f"{path} holds no sparse adjacency: its arrays are {sorted(names)}.")
    return load_npz(path).tocsr()


def stored_matrix(file: Mapping[str, np.ndarray], name: str) -> "csr_matrix":
    """The matrix of the arrays ``<name>_data``, ``_indices``, ``_indptr`` and ``_shape``."""
    from scipy.sparse import csr_matrix  # takes long to import

    data, indices, pointers, shape = (
        file[f"{name}_{part}"] for part in ("data", "indices", "indptr", "shape")
    )
    return csr_matrix((data, indices, pointers), tuple(shape))


def _edge_list(path: Path) -> "csr_matrix":
    from scipy.sparse import csr_matrix  # takes long to import

    separator = {".csv": ",", ".tsv": "\t"}.get(path.suffix)
    lines = [line for line in path.read_text().splitlines() if line.partition("#")[0].strip()]
    if not lines:
        raise ValueError(f"{path} is no list of edges: it has no line.")
    try:
        table = np.loadtxt(lines, dtype=np.int64, ndmin=2, delimiter=separator)
    except ValueError as error:
        raise ValueError(f"{path} is no list of edges, two integers a line: {error}") from error
    if table.shape[1] != 2:
        raise ValueError(f"{path} must have two integers a line, found {table.shape[1]}.")
    count = int(table.max()) + 1
    return csr_matrix((np.ones(len(table)), table.T), (count, count))


def _matrix(adjacency: Any, shape: tuple[int, int], undirected: bool) -> "csr_matrix":
    from scipy.sparse import csr_matrix, issparse  # takes long to import

    if isinstance(adjacency, str | os.PathLike):
        return _resized(read_adjacency(adjacency), Path(adjacency), shape, undirected)
    if issparse(adjacency):
        return csr_matrix(adjacency, copy=True)
    if hasattr(adjacency, "to_directed") and hasattr(adjacency, "number_of_nodes"):
        return _of_networkx(adjacency, undirected)
    if isinstance(adjacency, Tensor):
        dense = adjacency.detach().cpu()
        dense = dense if dense.layout == torch.strided else dense.to_dense()
        adjacency = dense.numpy()
    if not isinstance(adjacency, np.ndarray) or adjacency.ndim != 2:
        raise TypeError(f"adjacency must be {EXPECTED}, found {type(adjacency).__name__}.")
    if adjacency.shape == shape:
        return csr_matrix(adjacency.astype(np.float64))
    if adjacency.shape[0] != 2 or not np.issubdtype(adjacency.dtype, np.integer):
        return csr_matrix(adjacency.astype(np.float64))
    return _of_index(adjacency, shape)


def _of_index(index: np.ndarray, shape: tuple[int, int]) -> "csr_matrix":
    """The matrix of an ``edge_index`` [2, E], in which repeated edges count once."""
    from scipy.sparse import coo_matrix  # takes long to import

    index = np.unique(index, axis=1)
    if index.size and (index.min() < 0 or index[0].max() >= shape[0] or index[1].max() >= shape[1]):
        raise ValueError(f"adjacency names nodes beyond the graph's {shape[0]} x {shape[1]}.")
    return coo_matrix((np.ones(index.shape[1]), index), shape).tocsr()


def _resized(
    matrix: "csr_matrix", path: Path, shape: tuple[int, int], undirected: bool
) -> "csr_matrix":
    """An edge list in the shape of the graph: it names no nodes without edges, and may list each
    undirected edge once."""
    if path.suffix == ".npz":
        return matrix
    index = np.stack(matrix.nonzero())
    return _of_index(np.hstack([index, index[::-1]]) if undirected else index, shape)


def _of_networkx(graph: Any, undirected: bool) -> "csr_matrix":
    import networkx
    from scipy.sparse import csr_matrix  # takes long to import

    if not undirected:
        raise TypeError("adjacency of interactions must be a matrix or an edge_index [2, E].")
    nodes = range(graph.number_of_nodes())
    if set(graph.nodes) != set(nodes):
        raise ValueError(
            "the networkx graph must have the nodes 0, 1, ..., as "
            "networkx.convert_node_labels_to_integers makes them."
        )
    return csr_matrix(networkx.to_scipy_sparse_array(graph, nodelist=nodes, weight=None))
