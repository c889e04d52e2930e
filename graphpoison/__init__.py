"""Meta-gradient poisoning attacks on graphs and recommenders, on PyTorch Geometric."""

from . import datasets
from .attacks import Attack, MetaAttack, RandomAttack
from .budget import Budget
from .constraints import Constraint, NoSingletons
from .evaluate import evaluate
from .hypergradient import Flips, Hypergradient, MetaGradient, Unrolled
from .models import CF, GMF, MLP, LightGCN, LinearGCN, NeuMF, Recommender, ReLUGCN
from .perturbation import Perturbation
from .report import Report
from .tasks import NodeClassification, Recommendation, Task
from .victims import ModuleVictim, RecommenderVictim

__version__ = "0.1.0"

__all__ = [
    "CF",
    "GMF",
    "MLP",
    "Attack",
    "Budget",
    "Constraint",
    "Flips",
    "Hypergradient",
    "LightGCN",
    "LinearGCN",
    "MetaAttack",
    "MetaGradient",
    "ModuleVictim",
    "NeuMF",
    "NoSingletons",
    "NodeClassification",
    "Perturbation",
    "RandomAttack",
    "ReLUGCN",
    "Recommendation",
    "Recommender",
    "RecommenderVictim",
    "Report",
    "Task",
    "Unrolled",
    "datasets",
    "evaluate",
]
