"""Hostile values for the arguments of public functions, and a judgement of each outcome."""

import math
import signal
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from conftest import citation_graph, interaction_graph

import graphpoison as gp
from graphpoison.sweeps.study import planned


def quantised() -> torch.Tensor:
    with warnings.catch_warnings(action="ignore"):
        return torch.quantize_per_tensor(torch.ones(12, 3), 0.1, 0, torch.quint8)


REFUSALS = (TypeError, ValueError, LookupError, OSError, FloatingPointError, MemoryError)
SECONDS = 20
"""An input that takes longer counts as a hang."""

VALUES: dict[str, Any] = {
    "None": None,
    "True": True,
    "-1": -1,
    "0": 0,
    "1": 1,
    "0.3": 0.3,
    "1.5": 1.5,
    "-0.5": -0.5,
    "nan": math.nan,
    "inf": math.inf,
    "-inf": -math.inf,
    "2**31": 2**31,
    "2**63": 2**63,
    "2**70": 2**70,
    "1e308": 1e308,
    "1e-320": 1e-320,
    "1j": 1j,
    "empty text": "",
    "'12'": "12",
    "'nan'": "nan",
    "text": "grün",
    "bytes": b"1",
    "[]": [],
    "[0]": [0],
    "[-1]": [-1],
    "()": (),
    "{}": {},
    "an object": object(),
    "a type": int,
    "a function": len,
    "numpy 2": np.int64(2),
    "numpy nan": np.float64("nan"),
    "a tensor": torch.tensor(3),
    "tensor of nan": torch.tensor([math.nan]),
    "empty tensor": torch.empty(0),
    "a table": pd.DataFrame({"a": [1]}),
}
TENSORS: dict[str, Any] = {
    **{name: VALUES[name] for name in ("None", "1", "'12'", "[]", "an object", "empty tensor")},
    "scalar": torch.tensor(1.0),
    "nan": torch.full((12, 3), math.nan),
    "inf": torch.full((12, 3), math.inf),
    "bool": torch.ones(2, 4, dtype=torch.bool),
    "half": torch.ones(12, 3, dtype=torch.float16),
    "complex": torch.ones(12, 3, dtype=torch.complex64),
    "negative ids": torch.tensor([[0, -1], [1, 2]]),
    "ids beyond": torch.tensor([[0, 10**9], [1, 2]]),
    "huge ids": torch.tensor([[0, 2**62], [1, 2]]),
    "fractions": torch.tensor([[0.5, 1.0], [1.0, 2.0]]),
    "three rows": torch.zeros(3, 4, dtype=torch.long),
    "one row": torch.zeros(1, 4, dtype=torch.long),
    "one dimension": torch.zeros(7, dtype=torch.long),
    "three dimensions": torch.zeros(2, 3, 4),
    "no columns": torch.zeros(2, 0, dtype=torch.long),
    "sparse": torch.eye(12).to_sparse(),
    "quantised": quantised(),
    "meta": torch.empty(12, 3, device="meta"),
    "numpy": np.zeros((2, 3)),
}
SHORT = gp.Training(steps=2, lr=0.1)


def nodes() -> gp.NodeClassification:
    return gp.NodeClassification(citation_graph())


def links(surrogate: Any = None, **options: Any) -> gp.Recommendation:
    return gp.Recommendation(interaction_graph(), surrogate or gp.CF(2), **options)


def attacked(attack: gp.Attack, task: gp.Task | None = None) -> gp.Perturbation:
    return attack(task or nodes(), 2)


def random_flips() -> gp.Perturbation:
    return gp.RandomAttack()(nodes(), 2)


def with_field(make: Callable[[], Any], path: tuple[str, ...], use: Callable[[Any], Any]) -> Any:
    """A function of a value: ``use`` of the graph in which ``path`` is the value."""

    def call(value: Any) -> Any:
        data = make()
        store = data[path[:-1] if len(path) == 4 else path[0]] if len(path) > 1 else data
        setattr(store, path[-1], value)
        return use(data)

    return call


OF = ("user", "rates", "item")
CALLS: dict[str, Callable[[Any], Any]] = {
    **{
        f"Training({name}=)": lambda v, name=name: attacked(
            gp.MetaAttack(gp.Training(**{"steps": 2, "lr": 0.1, name: v}))
        )
        for name in ("steps", "lr", "momentum", "optimizer", "weight_decay", "clip")
    },
    **{
        f"MetaAttack({name}=)": lambda v, name=name: attacked(gp.MetaAttack(SHORT, **{name: v}))
        for name in ("flips_per_step", "constraints", "redraw", "hypergradient")
    },
    **{
        f"PGDAttack({name}=)": lambda v, name=name: attacked(
            gp.PGDAttack(SHORT, **{"steps": 2, "samples": 1, name: v}),
            gp.NodeClassification(citation_graph(), objective="self"),
        )
        for name in ("steps", "lr", "samples", "block_size")
    },
    "NodeBudget(limit)": lambda v: attacked(gp.RandomAttack([gp.NodeBudget(v)])),
    "Budget(flips)": lambda v: gp.RandomAttack()(nodes(), gp.Budget(v)),
    "Budget.fraction": lambda v: gp.RandomAttack()(nodes(), gp.Budget.fraction(v)),
    "attack(budget=)": lambda v: gp.RandomAttack()(nodes(), v),
    "attack(seed=)": lambda v: gp.RandomAttack()(nodes(), 2, seed=v),
    "attack(max_memory=)": lambda v: gp.RandomAttack()(nodes(), 2, max_memory=v),
    **{
        f"{kind.__name__}({name}=)": lambda v, kind=kind, name=name: attacked(
            gp.MetaAttack(SHORT), links(kind(**{name: v}))
        )
        for kind, name in (
            (gp.CF, "dim"), (gp.CF, "scale"), (gp.CF, "dropout"), (gp.GMF, "layers"),
            (gp.GMF, "activation"), (gp.LightGCN, "layers"), (gp.NeuMF, "layers"),
        )
    },
    **{
        f"Recommendation({name}=)": lambda v, name=name: attacked(
            gp.MetaAttack(SHORT), links(**{name: v})
        )
        for name in ("objective", "candidates", "loss", "seed", "heldout_fraction")
    },
    **{
        f"NodeClassification({name}=)": lambda v, name=name: attacked(
            gp.MetaAttack(SHORT), gp.NodeClassification(citation_graph(), **{name: v})
        )
        for name in ("surrogate", "objective", "candidates", "attack_loss", "labels", "mix")
    },
    **{
        f"evaluate({name}=)": lambda v, name=name: gp.evaluate(
            citation_graph(dtype=torch.float32), random_flips(),
            **{"victims": ["sgc"], "seeds": [0], name: v},
        )
        for name in ("victims", "seeds", "budgets", "metrics", "checkpoint")
    },
    **{
        f"Study({name}=)": lambda v, name=name: planned([gp.Study(
            **{"tasks": nodes(), "attacks": gp.RandomAttack(), "budgets": [2],
               "victims": ["sgc"], name: v},
        )])
        for name in ("tasks", "attacks", "budgets", "victims", "seeds", "attack_seed", "metrics")
    },
    "datasets.load(name)": gp.datasets.load,
    "Perturbation.load": gp.Perturbation.load,
    "load_graph": gp.datasets.load_graph,
    "Perturbation.apply(data)": lambda v: random_flips().apply(v),
}  # fmt: skip
FIELDS: dict[str, Callable[[Any], Any]] = {
    **{
        f"Data.{name}": with_field(
            citation_graph, (name,),
            lambda d: attacked(gp.MetaAttack(SHORT), gp.NodeClassification(d)),
        )
        for name in ("x", "y", "edge_index", "train_mask", "test_mask", "edge_weight")
    },
    **{
        f"HeteroData.{name}": with_field(
            interaction_graph, (*OF, name),
            lambda d: attacked(gp.MetaAttack(SHORT), gp.Recommendation(d, gp.CF(2))),
        )
        for name in ("edge_index", "neg_edge_index", "unseen_edge_index", "unseen_neg_edge_index")
    },
    **{
        f"HeteroData[{kind!r}].num_nodes": with_field(
            interaction_graph, (kind, "num_nodes"),
            lambda d: attacked(gp.MetaAttack(SHORT), gp.Recommendation(d, gp.CF(2))),
        )
        for kind in ("user", "item")
    },
}  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """One input: ``kind`` is refused, accepted, unclear, wrong or hang."""

    call: str
    value: str
    kind: str
    said: str = ""


def outcomes() -> Iterator[Outcome]:
    """All inputs, one after the other."""
    for calls, values in ((CALLS, VALUES), (FIELDS, {**TENSORS, **VALUES})):
        for name, call in calls.items():
            for described, value in values.items():
                yield outcome(name, call, described, value)


def outcome(name: str, call: Callable[[Any], Any], described: str, value: Any) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        if name == "evaluate(checkpoint=)" and isinstance(value, str) and value:
            value = str(Path(folder, value))
        try:
            with alarm():
                found = call(value)
        except TimeoutError:
            return Outcome(name, described, "hang")
        except REFUSALS as error:
            said = str(error).replace("\n", " ")
            clear = len(said) > 15 and not said.startswith(("<", "'"))
            return Outcome(name, described, "refused" if clear else "unclear", said[:120])
        except Exception as error:  # another class is no refusal
            return Outcome(name, described, "unclear", f"{type(error).__name__}: {error}"[:120])
    return Outcome(name, described, "accepted" if sound(found) else "wrong")


def sound(found: Any) -> bool:
    """Whether a result may be right: flips of pairs of the graph, each once, figures finite."""
    if isinstance(found, gp.Perturbation):
        pairs, shape = found.pairs, found.meta["shape"]
        inside = all(bool((pairs[side] < shape[side]).all()) for side in (0, 1))
        apart = len(found) == torch.unique(pairs, dim=1).size(1)
        return inside and apart and bool((pairs >= 0).all()) and len(found) <= found.meta["budget"]
    runs = getattr(found, "runs", None)
    return runs is None or bool(np.isfinite(runs[["clean", "poisoned"]].to_numpy()).all())


@contextmanager
def alarm() -> Iterator[None]:
    def ring(*_: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
