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
from .evaluate import evaluate
from .fake_users import FakeUsers
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
from .transfer import transfer_matrix
from .transforms import ApplyPerturbation
from .victims import ModuleVictim, RecommenderVictim, SurrogateVictim, surrogate_victim

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
    "Flips",
    "Hypergradient",
    "Implicit",
    "Injection",
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
    "PGDAttack",
    "Perturbation",
    "RandomAttack",
    "ReLUGCN",
    "Recommendation",
    "Recommender",
    "RecommenderVictim",
    "Report",
    "SimilarUsers",
    "SurrogateVictim",
    "Task",
    "Unrolled",
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
    "similar_users_attack",
    "surrogate_meta_attack",
    "surrogate_victim",
    "transfer_matrix",
]
