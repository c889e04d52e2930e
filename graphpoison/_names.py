"""Names that the help of the command line shows, without the modules behind the names.

``tests/test_command_start.py`` compares them with the names that these modules know.
"""

ATTACKS = {
    "ranking": "rankings of an accurate recommender, all pairs considered",
    "strongest": "for nodes: SGC, a saturating margin; some flips are then undone and replaced",
    "meta": "exact meta-gradient (thesis, Algorithm 1; Metattack)",
    "meta-approx": "Meta-Approx, A-Meta (thesis, Algorithm 3)",
    "meta-implicit": "meta-gradient at convergence",
    "random": "random flips (thesis, Algorithm 2)",
    "dice": "DICE, by true labels",
    "degree": "pairs of the largest degrees",
    "pgd": "projected gradient",
    "min-max": "projected gradient, retraining",
    "prbcd": "PRBCD, random blocks",
    "grbcd": "GRBCD, greedy random blocks",
}
ATTACK_LOSSES = (
    *("cross-entropy", "masked-cross-entropy", "tanh-margin"),
    *("carlini-wagner", "cost-aware", "probability"),
)
CONSTRAINTS = ("no-singletons", "degree-distribution", "connectivity")
NODE_BUDGET = "node-budget"
NODE_CLASSIFIERS = ("linear-gcn", "relu-gcn", "sgc")
RECOMMENDERS = ("cf", "gmf", "mlp", "neumf", "lightgcn", "ease", "wmf")
NODE_VICTIMS = (
    *("gcn", "gat", "sage", "appnp", "sgc", "gcn-jaccard", "gcn-svd", "gnnguard"),
    *("soft-median-gcn", "soft-median-gdc", "grand", "mlp", "rgcn"),
)
RECOMMENDER_VICTIMS = (
    *("ease", "item-knn", "slim", "popularity", "implicit-als", "implicit-bpr"),
    *("lightgcn-bpr", "mf-softmax", "mf-bpr", "mult-vae"),
)
LOSSES = ("log", "bpr", "softmax")
OPTIMIZERS = ("sgd", "adam")
OBJECTIVES = ("train", "self", "both", "heldout")
LABELS = ("pseudo", "oracle")
CANDIDATES = ("sampled", "all")
METHODS = ("sample", "kmeans")
PAIR_METRICS = ("log_loss", "accuracy", "auroc")
"""Metrics of scored pairs, in the order in which they are measured."""
RELEVANCE_METRICS = ("ndcg", "recall", "hr", "precision", "mrr", "map")
"""Metrics of the unseen items among the first k of a user's list."""
LIST_METRICS = ("coverage", "popularity", "overlap")
"""Metrics of the lists themselves."""
TARGET_METRICS = ("t-hr", "t-ndcg", "any-t-hr")
"""Metrics of the target items in the lists, which an attack that promotes items raises."""
RANKING_METRICS = (*RELEVANCE_METRICS, *LIST_METRICS, *TARGET_METRICS)
"""All metrics of the first k items of a user's list, written ``"ndcg@10"``."""
SPLITS = ("random", "per-user", "leave-one-out", "time")
DATASETS = (
    *("cora", "cora-deeprobust", "cora-ml", "citeseer", "citeseer-deeprobust", "pubmed"),
    *("polblogs", "movielens-100k", "movielens-1m", "steam", "anime", "netflix", "gowalla"),
    *("synthetic-citation", "synthetic-interactions"),
)
CITATION_TABLES = (
    *("cora", "cora-seeds", "cora-ml", "cora-ml-seeds", "citeseer", "citeseer-seeds"),
    "cora-transfer",
)
PLANNED = ("cf", "gmf", "lightgcn", "ease", "linear-gcn", "sgc")
