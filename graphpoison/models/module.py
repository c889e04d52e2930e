"""Any ``torch.nn.Module`` as a surrogate."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from .._random import generator as seeded
from .._random import isolated_rng
from ..graphs import PairState
from ..sparse import FactoredGradient, Pattern
from ..training import NodeInputs, Params, PreparedNodes
from .base import NodeClassifier, Recommender
from .module_probe import check_module


def refuse_cached(module: nn.Module) -> None:
    """Raise a ValueError if a layer caches its normalised adjacency.

    A cached convolution keeps the adjacency of the first graph: new edge weights have no effect.
    """
    for name, layer in module.named_modules():
        if getattr(layer, "cached", False) is True:
            raise ValueError(
                f"layer {name or type(layer).__name__!r} has cached=True and would ignore changed "
                "edge weights; build it with cached=False."
            )


def reset_parameters(module: nn.Module, seed: int, device: torch.device | None = None) -> None:
    """Draw fresh parameters from ``seed``, without changing the global generator."""
    with isolated_rng(seed, device):
        for layer in module.modules():
            reset = getattr(layer, "reset_parameters", None)
            if callable(reset):
                reset()


class _Functional:
    """A module in evaluation mode as a pure function of its trainable parameters."""

    def __init__(self, module: nn.Module, method: str) -> None:
        refuse_cached(module)
        self.caller = _Caller(copy.deepcopy(module).eval(), method)
        named = dict(self.caller.named_parameters())
        self.names = [name for name, value in named.items() if value.requires_grad]
        if not self.names:
            raise ValueError("surrogate has no parameters to train.")
        held = {**named, **dict(self.caller.named_buffers())}
        self.held = {name: held[name].detach() for name in held.keys() - set(self.names)}

    def __repr__(self) -> str:
        return " ".join(str(self.caller.module).split())

    def init(self, generator: torch.Generator) -> Params:
        seed = int(torch.randint(2**62, (1,), generator=generator))
        caller = copy.deepcopy(self.caller)
        reset_parameters(caller, seed)
        drawn = dict(caller.named_parameters())
        return tuple(drawn[name].detach().clone() for name in self.names)

    def __call__(self, params: Params, *args: Tensor) -> Tensor:
        held = {name: _as(value, params[0]) for name, value in self.held.items()}
        named = dict(zip(self.names, params, strict=True))
        result: Tensor = torch.func.functional_call(self.caller, {**held, **named}, args)
        return result


def _as(value: Tensor, like: Tensor) -> Tensor:
    """``value`` on the device of ``like``, and in its dtype if ``value`` is floating-point."""
    return value.to(like.device, like.dtype if value.is_floating_point() else None)


class _Caller(nn.Module):
    def __init__(self, module: nn.Module, method: str) -> None:
        super().__init__()
        self.module = module
        self.method = method

    def forward(self, *args: Tensor) -> Tensor:
        function: Callable[..., Tensor] = getattr(self.module, self.method)
        return function(*args)


@dataclass(frozen=True, eq=False)
class ModuleEdges:
    """``index`` [2, 2M]: both directions of listed pairs. ``attacked``: edges are candidates."""

    index: Tensor
    attacked: bool


class ModuleClassifier(NodeClassifier[ModuleEdges]):
    """A module with ``forward(x, edge_index, edge_weight) -> logits [N, C]``.

    ``edge_index`` [2, 2M] has both directions of every listed pair, and ``edge_weight`` [2M] is 0
    for pairs that are no edges. The output must not depend on pairs of weight 0. Dropout is off: a
    meta-gradient needs deterministic training. Parameters with ``requires_grad=False`` stay fixed.

    Raises:
        ValueError: a layer has ``cached=True``, or there are no trainable parameters.
    """

    def __init__(self, module: nn.Module) -> None:
        self._function = _Functional(module, "forward")

    def __repr__(self) -> str:
        return f"ModuleClassifier({self._function})"

    @property
    def takes_all_pairs(self) -> bool:
        return False

    def refuse(self, inputs: NodeInputs, state: PairState) -> None:
        module, attacked = self._function.caller.module, bool(state.candidate.any())
        if attacked and getattr(module, "supports_edge_weight", True) is False:
            raise ValueError(
                f"surrogate {type(module).__name__} takes no edge weights, and an attack on edges "
                "needs their gradient; use another surrogate, and this one as a victim."
            )
        x, (index, weight) = inputs.features.x, with_absent(state)
        edges = torch.cat([index, index.flip(0)], dim=1), torch.cat([weight, weight]).to(x)
        call = partial(self._function, self.init(inputs, seeded(0)))
        present = edges[1] > 0
        without = (x, edges[0][:, present], edges[1][present]) if attacked else None
        shape = (x.size(0), inputs.num_classes)
        check_module(type(module).__name__, call, (x, *edges), without, shape)

    def init(self, inputs: NodeInputs, generator: torch.Generator) -> Params:
        x = inputs.features.x
        return tuple(param.to(x) for param in self._function.init(generator))

    def prepare(
        self, inputs: NodeInputs, state: PairState, weight: Tensor
    ) -> PreparedNodes[ModuleEdges]:
        both = torch.cat([state.index, state.index.flip(0)], dim=1)
        attacked = bool(state.candidate.any())
        x = () if inputs.features.tape is None else (inputs.features.x,)
        return PreparedNodes(
            weight, (torch.cat([weight, weight]), *x), inputs, ModuleEdges(both, attacked)
        )

    def train_logits(self, params: Params, prepared: PreparedNodes[ModuleEdges]) -> Tensor:
        return self.logits(params, prepared)[prepared.inputs.labelled]

    def logits(self, params: Params, prepared: PreparedNodes[ModuleEdges]) -> Tensor:
        weight, *x = prepared.tensors
        x = x or [prepared.inputs.features.x]
        return self._function(params, *x, prepared.structure.index, weight)

    def pair_gradient(self, prepared: PreparedNodes[ModuleEdges], cotangents: Params) -> Tensor:
        edges = replace(prepared, tensors=prepared.tensors[:1])
        return edges.weight_gradient(cotangents[:1])

    def feature_gradient(
        self, prepared: PreparedNodes[ModuleEdges], cotangents: Params
    ) -> FactoredGradient:
        return FactoredGradient.of_matrix(cotangents[1])


class ModuleRecommender(Recommender):
    """A module with ``scores(pairs, edge_index, edge_weight) -> logits [K]``.

    ``pairs`` [2, K] are the pairs (user, item) to score. ``edge_index`` [2, M] and ``edge_weight``
    [M] are the weighted training graph, for models that propagate over it. A matrix factorisation
    may ignore both.

    Args:
        module: the module.
        argument: the name of the module in error messages.
    """

    def __init__(self, module: nn.Module, argument: str = "surrogate") -> None:
        if not callable(getattr(module, "scores", None)):
            raise TypeError(
                f"{argument} {type(module).__name__} has no method "
                "scores(pairs, edge_index, edge_weight)."
            )
        self._function = _Functional(module, "scores")

    def __repr__(self) -> str:
        return f"ModuleRecommender({self._function})"

    def init(
        self, shape: tuple[int, int], generator: torch.Generator, dtype: torch.dtype
    ) -> Params:
        return tuple(param.to(dtype) for param in self._function.init(generator))

    def refuse(self, state: PairState, dtype: torch.dtype) -> None:
        index, weight = with_absent(state)
        weight, present = weight.to(dtype), weight > 0
        params = self.init(state.shape, seeded(0), dtype)
        params = tuple(param.to(weight) for param in params)

        def call(*arguments: Tensor) -> Tensor:
            with _too_small(self, state.shape):
                return self._function(params, *arguments)

        without = (state.index, index[:, present], weight[present])
        name, shape = type(self._function.caller.module).__name__, (state.index.size(1),)
        check_module(name, call, (state.index, index, weight), without, shape)

    def scores(self, params: Params, graph: Pattern, entries: Tensor, pairs: Pattern) -> Tensor:
        with _too_small(self, graph.shape):
            return self._function(params, pairs.index, graph.index, entries)


@contextmanager
def _too_small(model: ModuleRecommender, shape: tuple[int, int]) -> Iterator[None]:
    try:
        yield
    except IndexError as error:
        raise ValueError(
            f"surrogate {model!r} failed on {shape[0]} users and {shape[1]} items ({error}): build "
            "it for that many. Fake users need a built-in model or a Recommender."
        ) from error


def with_absent(state: PairState) -> tuple[Tensor, Tensor]:
    """The listed pairs [2, M] and their weights. If no weight is 0, an absent pair is appended,
    if there is one."""
    index, weight = state.index, state.weight
    if bool((weight == 0).any()):
        return index, weight
    rows, cols = state.shape
    listed = index[0] if state.bipartite else index.flatten()
    most = cols if state.bipartite else cols - 1
    node = (torch.bincount(listed, minlength=rows) < most).nonzero().flatten()[:1]
    others = torch.arange(cols, device=index.device).repeat(node.numel())
    pairs = torch.stack([node.repeat(cols), others])
    if not state.bipartite:
        pairs = pairs[:, pairs[0] != pairs[1]].sort(dim=0).values
    absent = pairs[:, state.locate(pairs) < 0][:, :1]
    return torch.cat([index, absent], dim=1), torch.cat([weight, weight.new_zeros(absent.size(1))])
