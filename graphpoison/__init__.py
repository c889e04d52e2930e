"""Meta-gradient poisoning attacks on graphs and recommenders, on PyTorch Geometric."""

from . import datasets
from ._version import __version__
from .attacks import (
    DICE,
    GRBCD,
    PRBCD,
    Attack,
    DegreeAttack,
    Injection,
    MetaAttack,
    NewUsers,
    PGDAttack,
    RandomAttack,
    SimilarUsers,
    SurrogateAttack,
    random_like,
)
from .budget import Budget
from .constraints import (
    Connectivity,
    Constraint,
    DegreeDistribution,
    NodeBudget,
    NoSingletons,
    cooccurring_features,
)
from .evaluation import evaluate, transfer_matrix
from .graphs import FakeUsers, Interactions, NodeGraph, read_graph
from .hypergradient import Approximate, Flips, Hypergradient, Implicit, MetaGradient, Unrolled
from .models import CF, GMF, MLP, LightGCN, LinearGCN, NeuMF, Recommender, ReLUGCN
from .perturbation import Perturbation
from .presets import (
    baseline_attack,
    meta_approx,
    meta_attack,
    metattack,
    new_users_attack,
    similar_users_attack,
    surrogate_meta_attack,
)
from .report import Report
from .tasks import NodeClassification, Recommendation, Task
from .training import Training
from .transforms import ApplyPerturbation
from .victims import (
    FittedNodes,
    FittedRecommender,
    ModuleVictim,
    RecommenderVictim,
    SurrogateVictim,
    Victim,
    surrogate_victim,
)

__all__ = [
    "CF",
    "DICE",
    "GMF",
    "GRBCD",
    "MLP",
    "PRBCD",
    "ApplyPerturbation",
    "Approximate",
    "Attack",
    "Budget",
    "Connectivity",
    "Constraint",
    "DegreeAttack",
    "DegreeDistribution",
    "FakeUsers",
    "FittedNodes",
    "FittedRecommender",
    "Flips",
    "Hypergradient",
    "Implicit",
    "Injection",
    "Interactions",
    "LightGCN",
    "LinearGCN",
    "MetaAttack",
    "MetaGradient",
    "ModuleVictim",
    "NeuMF",
    "NewUsers",
    "NoSingletons",
    "NodeBudget",
    "NodeClassification",
    "NodeGraph",
    "PGDAttack",
    "Perturbation",
    "RandomAttack",
    "ReLUGCN",
    "Recommendation",
    "Recommender",
    "RecommenderVictim",
    "Report",
    "SimilarUsers",
    "SurrogateAttack",
    "SurrogateVictim",
    "Task",
    "Training",
    "Unrolled",
    "Victim",
    "__version__",
    "baseline_attack",
    "cooccurring_features",
    "datasets",
    "evaluate",
    "meta_approx",
    "meta_attack",
    "metattack",
    "new_users_attack",
    "random_like",
    "read_graph",
    "similar_users_attack",
    "surrogate_meta_attack",
    "surrogate_victim",
    "transfer_matrix",
]
