"""Measures workloads: random graphs of the given sizes are attacked, and the attack is timed."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch_geometric.data import Data, HeteroData
from torch_geometric.utils import to_undirected

from .._random import generator
from ..attacks import Attack, MetaAttack
from ..constraints import NoSingletons
from ..models import CF, EASE, GMF, SGC, LightGCN, LinearGCN
from ..ranking_presets import ranking_attack
from ..tasks import NodeClassification, Recommendation, Task
from ..training import Training
from .model import Coefficients, estimate_by_size
from .nodes import NodeWorkload
from .recommenders import RankingWorkload, RecommenderWorkload
from .workload import Workload

FLIPS_PER_STEP = 5
"""Flips per gradient in attacks on recommenders."""
PROFILE_SHARE = 0.25
LR = {"adam": 0.05, "sgd": 1.0}
CALIBRATION_SECONDS = (0.5, 1.0, 2.0, 4.0)
"""Estimated time of each attack of a calibration on the measured machine."""


def random_graph(workload: Workload, seed: int = 0) -> Data | HeteroData:
    """A random graph of the sizes of ``workload``: uniform pairs, labels and binary features."""
    draw = generator(seed)
    if isinstance(workload, NodeWorkload):
        return _random_nodes(workload, draw)
    assert isinstance(workload, RecommenderWorkload | RankingWorkload)
    stride = workload.users * workload.items // workload.pairs
    codes = torch.randint(stride, (workload.pairs,), generator=draw)
    codes += stride * torch.arange(workload.pairs)  # distinct and sorted
    data = HeteroData()
    data["user"].num_nodes, data["item"].num_nodes = workload.users, workload.items
    index = torch.stack([codes // workload.items, codes % workload.items])
    data["user", "rates", "item"].edge_index = index
    return data


def _random_nodes(workload: NodeWorkload, draw: torch.Generator) -> Data:
    nodes, entries = workload.nodes, workload.nodes * workload.features
    source = torch.randint(nodes, (workload.edges,), generator=draw)
    shift = 1 + torch.randint(nodes - 1, (workload.edges,), generator=draw)
    x = torch.zeros(nodes, workload.features)
    ones = torch.randint(entries, (math.ceil(workload.density * entries),), generator=draw)
    x.view(-1)[ones] = 1.0
    labelled = torch.zeros(nodes, dtype=torch.bool)
    labelled[torch.randperm(nodes, generator=draw)[: workload.num_labels]] = True
    return Data(
        x=x,
        y=torch.randint(workload.classes, (nodes,), generator=draw),
        edge_index=to_undirected(torch.stack([source, (source + shift) % nodes])),
        train_mask=labelled,
    )


def run(workload: Workload, data: Data | HeteroData) -> float:
    """Seconds of the attack of ``workload`` on ``data``, from the data to the flips."""
    began = time.perf_counter()
    task, attack, flips = _attack(workload, data)
    attack(task, flips)
    if task.state.weight.is_cuda:
        torch.cuda.synchronize(task.state.weight.device)
    return time.perf_counter() - began


def _attack(workload: Workload, data: Data | HeteroData) -> tuple[Task[Any], Attack, int]:
    """Task, attack and number of flips."""
    if isinstance(workload, NodeWorkload):
        sgc = workload.surrogate == "sgc"
        model = SGC(workload.hops) if sgc else LinearGCN(workload.hidden)
        training = Training(workload.steps, 0.1, momentum=0.9)
        attack = MetaAttack(training, constraints=[NoSingletons()])
        return NodeClassification(data, model), attack, workload.gradients
    if isinstance(workload, RankingWorkload):
        removals = workload.halves == 2
        ranking = ranking_attack(PROFILE_SHARE, steps=workload.steps, allow_removals=removals)
        return Recommendation(data, EASE()), ranking, max(2, workload.pairs // 100)
    assert isinstance(workload, RecommenderWorkload)
    kinds: dict[str, Callable[[], CF | GMF | LightGCN]] = {
        "cf": lambda: CF(workload.dim),
        "gmf": lambda: GMF(workload.dim, workload.layers),
        "lightgcn": lambda: LightGCN(workload.dim, workload.hops),
    }
    task = Recommendation(data, kinds[workload.surrogate](), "train", loss=workload.loss)
    training = Training(workload.steps, LR[workload.optimizer], optimizer=workload.optimizer)
    attack = MetaAttack(training, FLIPS_PER_STEP, allow_removals=False)
    return task, attack, FLIPS_PER_STEP * workload.gradients


def calibrate(
    workload: Workload, device: str = "cpu", coefficients: Coefficients | None = None
) -> float:
    """The ratio of the time on this machine, with its threads, to the time on the measured machine.

    Runs four attacks of the same kind as ``workload`` on smaller random graphs, for about 8 seconds
    on a machine as fast as the measured one. The first attack is a warm-up and is not counted.

    Args:
        workload: the planned attack.
        device: ``"cpu"`` or ``"cuda"``.
        coefficients: by default the installed coefficients of the device.

    Returns:
        The geometric mean of the ratios of measured to estimated seconds.

    Raises:
        ValueError: there are no coefficients for the device.
    """
    known = Coefficients.load(device) if coefficients is None else coefficients
    ratios = []
    for seconds in CALIBRATION_SECONDS:
        small = shrunk(workload, seconds, device, known)
        expected = estimate_by_size(small, device=device, coefficients=known)
        measured = run(small, random_graph(small).to(device))
        ratios.append(measured / (expected.setup_seconds + expected.seconds))
    return math.prod(ratios[1:]) ** (1 / (len(ratios) - 1))


def shrunk(workload: Workload, seconds: float, device: str, known: Coefficients) -> Workload:
    """``workload`` with one gradient, on a graph small enough to take about ``seconds``."""
    share = 1.0
    while True:
        small = _smaller(workload, share)
        expected = estimate_by_size(small, device=device, coefficients=known)
        if expected.setup_seconds + expected.seconds <= seconds or share < 1e-9:
            return small
        share *= 0.8


def smallest(workload: Workload) -> Workload:
    """An attack of the same kind on a graph of a few hundred nodes."""
    return _smaller(workload, 0.0)


def _smaller(workload: Workload, share: float) -> Workload:
    def part(count: int, least: int) -> int:
        return min(count, max(least, round(share * count)))

    if isinstance(workload, NodeWorkload):
        nodes = part(workload.nodes, 200)
        labels = min(nodes - 1, part(workload.num_labels, 20))
        edges = min(part(workload.edges, 200), nodes * (nodes - 1) // 4)
        features = part(workload.features, 50)
        return replace(
            workload, nodes=nodes, edges=edges, features=features, labels=labels, gradients=1
        )
    assert isinstance(workload, RecommenderWorkload | RankingWorkload)
    users, items = part(workload.users, 100), part(workload.items, 100)
    pairs = min(part(workload.pairs, 1000), max(1, users * items // 4))
    if isinstance(workload, RankingWorkload):
        steps = part(workload.steps, 2)
        return replace(workload, users=users, items=items, pairs=pairs, steps=steps)
    return replace(workload, users=users, items=items, pairs=pairs, gradients=1)
