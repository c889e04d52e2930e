"""Edges from adjacencies of scipy, numpy, torch and networkx, and from files."""

import os
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from .._io import refuse_large, refuse_special
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
            nodes 0, 1, ..., or the path of a file: ``.npz``, see :func:`read_matrix`, or
            an edge list. Matrices are [N, N] and symmetric, or [users, items]. The diagonal is
            ignored.
        graph: the graph with these nodes; only its shape and kind are used.

    Raises:
        TypeError: ``adjacency`` is of another kind.
        ValueError: the shape differs from the graph's, an edge lacks its reverse, or entries are
            other than 0 and 1.
    """
    shape, undirected = graph.shape, isinstance(graph, NodeGraph)
    matrix = _matrix(adjacency, shape, undirected)
    name = os.fspath(adjacency) if isinstance(adjacency, str | os.PathLike) else "adjacency"
    if matrix.shape != shape:
        raise ValueError(
            f"{name} has shape {matrix.shape}, but the graph has {shape[0]} x {shape[1]} nodes; "
            "both must have the same nodes in the same order."
        )
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    if not bool((matrix.data == 1).all()):
        raise ValueError(
            f"{name} has entries other than 0 and 1, such as "
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
            f"{name} is not symmetric; for an undirected graph store each edge in both "
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
    """Whether the ``.npz`` file holds a sparse adjacency that :func:`read_matrix` reads."""
    refuse_special(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            names = set(file.files)
    except (OSError, ValueError, TypeError, BadZipFile, AttributeError):
        return False
    return "meta" not in names and (names >= ARRAYS or names >= SAVED)


def read_matrix(path: Path) -> "csr_matrix":
    """The sparse matrix of a ``.npz`` file.

    Args:
        path: a file of ``scipy.sparse.save_npz`` (DeepRobust and Pro-GNN) or with the arrays
            ``adj_data``, ``adj_indices``, ``adj_indptr`` and ``adj_shape`` (``gnn-meta-attack``).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is of another format, or it is damaged.
    """
    from scipy.sparse import load_npz  # takes long to import

    refuse_special(path)
    content = BytesIO(path.read_bytes())
    try:
        refuse_large(content, lambda name: True)
        with np.load(content, allow_pickle=False) as file:
            names = set(file.files)
            matrix = stored_matrix(file, "adj") if names >= ARRAYS else None
        if matrix is None and names >= SAVED:
            content.seek(0)
            matrix = load_npz(content).tocsr()
        if matrix is not None:
            matrix.check_format(full_check=True)
    except MemoryError:
        raise
    except Exception as error:  # numpy, zipfile and scipy raise many types for damaged bytes
        raise ValueError(f"{path} is no sparse adjacency, or it is damaged: {error}") from error
    if matrix is None:
        raise ValueError(f"{path} holds no sparse adjacency: its arrays are {sorted(names)}.")
    return matrix


def stored_matrix(file: Mapping[str, np.ndarray], name: str) -> "csr_matrix":
    """The matrix of the arrays ``<name>_data``, ``_indices``, ``_indptr`` and ``_shape``."""
    from scipy.sparse import csr_matrix  # takes long to import

    data, indices, pointers, shape = (
        file[f"{name}_{part}"] for part in ("data", "indices", "indptr", "shape")
    )
    return csr_matrix((data, indices, pointers), tuple(shape))


def _edge_list(path: Path) -> np.ndarray:
    """The ``edge_index`` [2, E] of a text file: two integers a line, separated by commas in
    ``.csv``, by tabs in ``.tsv`` and by spaces elsewhere, and ``#`` before comments."""
    refuse_special(path)
    separator = {".csv": ",", ".tsv": "\t"}.get(path.suffix)
    try:
        text = path.read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if line.partition("#")[0].strip()]
        table = np.loadtxt(lines, dtype=np.int64, ndmin=2, delimiter=separator) if lines else None
    except ValueError as error:
        raise ValueError(f"{path} is no list of edges, two integers a line: {error}") from error
    if table is None:
        raise ValueError(f"{path} is no list of edges: it has no line.")
    if table.shape[1] != 2:
        raise ValueError(f"{path} must have two integers a line, found {table.shape[1]}.")
    return table.T


def _matrix(adjacency: Any, shape: tuple[int, int], undirected: bool) -> "csr_matrix":
    from scipy.sparse import csr_matrix, issparse  # takes long to import

    if isinstance(adjacency, str | os.PathLike):
        return _of_file(Path(adjacency), shape, undirected)
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


def _of_file(path: Path, shape: tuple[int, int], undirected: bool) -> "csr_matrix":
    """The matrix of a file. An edge list may have each undirected edge once or twice; nodes without
    edges are not in it."""
    if path.suffix == ".npz":
        return read_matrix(path)
    index = _edge_list(path)
    try:
        return _of_index(np.hstack([index, index[::-1]]) if undirected else index, shape)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


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
