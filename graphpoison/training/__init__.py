"""Training, and how it is differentiated with respect to the graph.

:class:`Training` holds the settings of training. :class:`TrainingField` is the gradient of the
training loss, with its adjoint. :class:`AutogradField` computes both by autograd, for any loss. The
other fields are closed forms, each for one kind of model:

- dot products of listed pairs: :mod:`.sparse_pair_loss`; of all pairs: :mod:`.all_pairs_loss`;
- pairs scored by a feed-forward network: :mod:`.mlp_pair_loss`;
- a linear GCN in Gram coordinates: :mod:`.gram`; a two-layer ReLU GCN: :mod:`.relu_gcn`.

A model chooses its field, see :mod:`graphpoison.models`.
"""

from .field import AutogradField, Linearisation, TrainingField
from .prepared import NodeInputs, Params, Prepared, PreparedNodes, PreparedPairs
from .settings import INTERACTIONS, NODES, Training

__all__ = [
    "INTERACTIONS",
    "NODES",
    "AutogradField",
    "Linearisation",
    "NodeInputs",
    "Params",
    "Prepared",
    "PreparedNodes",
    "PreparedPairs",
    "Training",
    "TrainingField",
]
__dir__ = __all__.copy
