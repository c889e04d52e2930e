"""The experiment behind every table: the settings that the thesis states, and our own.

The thesis states the architectures, the data sets, the numbers of perturbations and, for node
classification, T = 100. T, learning rate, optimiser, embedding sizes and initialisation of the
recommenders are ours. They were found on MovieLens with other seeds and another split than here,
see ``docs/results/search.md``.

The share of unseen pairs is 20%, because every unseen accuracy of Table 4.11 is a multiple of
1/40,381. In Tables 4.2 to 4.6 every pair is a training pair, because the percentages of these
tables are of all sampled negatives.
"""

from dataclasses import dataclass, replace

from ..models import CF, GMF, LinearGCN, NeuMF
from ..training import Training
from .experiment import (
    DataSet,
    Experiment,
    Kind,
    NodeExperiment,
    RecommenderExperiment,
    Trained,
    Users,
)


@dataclass(frozen=True)
class Table:
    """A table of the thesis and the experiments whose figures it shows.

    Args:
        number: the table's number in the thesis.
        experiments: one for each line if lines are different experiments; otherwise one, and
            further ones with numbers of perturbations that the thesis does not report.
        twins: pairs of the attack of a column and the attack whose results stand beside the column.
    """

    number: str
    experiments: tuple[Experiment, ...]
    twins: tuple[tuple[str, str], ...] = ()


FIRST_SEED = 100  # seed of attacks and models; the search for settings used 0 to 4
DRAW = ("seed", 1)  # seed of negatives and split; the search for settings used 0
EVERY_PAIR = ("test_fraction", 0.0)
MOVIELENS = DataSet("movielens-100k", (DRAW,))
MOVIELENS_WHOLE = DataSet("movielens-100k", (DRAW, EVERY_PAIR))
STEAM = DataSet("steam", (DRAW, EVERY_PAIR, ("num_negatives", 100_000)))
ANIME = DataSet("anime", (DRAW, EVERY_PAIR, ("num_negatives", 200_000)))
NETFLIX_SIZED = DataSet(
    "synthetic-interactions",
    (
        DRAW,
        EVERY_PAIR,
        ("num_users", 8_138),
        ("num_items", 1_503),
        ("num_interactions", 1_660_495),
        ("num_negatives", 1_500_000),
    ),
)
"""A synthetic data set of the size that Table 4.19 gives for Netflix."""

DROPOUT = 0.2
TO_10K = (0, 2_000, 4_000, 6_000, 8_000, 10_000)
BOTH = ("baseline", "meta-attack")


def cf(dim: int) -> Trained:
    """Matrix factorisation with standard normal initial embeddings, the default of torch."""
    return Trained(CF(dim, scale=1.0), Training(steps=45, lr=0.05, optimizer="adam"))


CF_DESCENT = Trained(CF(8, scale=0.1), Training(steps=50, lr=1000.0))
GMF_SURROGATE = Trained(GMF(8, scale=0.1), Training(steps=50, lr=175.0))
GMF_TARGET = Trained(GMF(8, scale=0.1), Training(steps=50, lr=300.0))
GMF_LAYERS = Trained(GMF(8, (16, 8), scale=0.1), Training(steps=40, lr=0.02, optimizer="adam"))
GMF_LONGER = Trained(GMF(8, (16, 8), scale=0.1), Training(steps=80, lr=0.02, optimizer="adam"))
NEUMF = Trained(NeuMF(8, (16, 8), scale=0.1), Training(steps=30, lr=0.02, optimizer="adam"))


def _levels(
    name: str,
    dataset: DataSet,
    budgets: tuple[int, ...],
    step: int,
    trained: Trained = GMF_LAYERS,
) -> Experiment:
    """Tables 4.2 to 4.6: the target is the surrogate, with the same initial parameters."""
    return RecommenderExperiment(
        name=name,
        dataset=dataset,
        budgets=budgets,
        flips_per_step=step,
        attacks=BOTH,
        surrogate=trained,
        target=trained,
        same_start=True,
        shown=("target",),
        perturbed=(False, True),
    )


def _pair(
    name: str, surrogate: Trained, target: Trained, budgets: tuple[int, ...] = (0, 10_000)
) -> Experiment:
    """Tables 4.7 to 4.14: a surrogate, and a target with other initial parameters.

    With GMF as the surrogate, more flips per meta-gradient made a stronger attack.
    """
    return RecommenderExperiment(
        name=name,
        dataset=MOVIELENS,
        budgets=budgets,
        flips_per_step=500 if surrogate == GMF_SURROGATE else 200,
        attacks=BOTH,
        surrogate=surrogate,
        target=target,
    )


def _fake(
    count: int,
    kind: Kind,
    surrogate: Trained,
    target: Trained,
    budget: int = 10_000,
    dropout: float = 0.0,
) -> Experiment:
    """A line of Tables 4.15 to 4.18: fake users are added, and only their pairs are flipped."""
    return RecommenderExperiment(
        name=f"{kind}-users",
        dataset=MOVIELENS,
        budgets=(0, budget),
        flips_per_step=500,
        attacks=BOTH,
        surrogate=surrogate,
        target=target,
        users=Users(count, kind),
        dropout=dropout,
    )


NODES = NodeExperiment(
    name="cora",
    dataset=DataSet("cora"),
    budgets=(0.0, 2.5, 5.0, 10.0),
    flips_per_step=1,
    attacks=("meta-train", "meta-self", "baseline"),
    surrogate=LinearGCN(hidden=16),
    training=Training(steps=100, lr=0.1, momentum=0.9),
)

CASE_1 = _pair("case-1", cf(32), cf(32), TO_10K)
CASE_2 = _pair("case-2", cf(32), cf(16), TO_10K)
CASE_3 = _pair("case-3", GMF_SURROGATE, CF_DESCENT, TO_10K)

PAIRS = (
    CASE_1,
    _pair("cf-to-larger-cf", cf(32), cf(64)),
    CASE_2,
    _pair("cf-to-larger-cf", cf(16), cf(24)),
    _pair("cf-to-larger-cf", cf(24), cf(64), (0, 5_000)),
    _pair("cf-to-smaller-cf", cf(64), cf(24), (0, 5_000)),
    _pair("gmf-to-gmf", GMF_SURROGATE, GMF_TARGET),
    _pair("cf-to-gmf", CF_DESCENT, GMF_TARGET),
    CASE_3,
    _pair("neumf-to-neumf", NEUMF, NEUMF),
    _pair("cf-to-neumf", CF_DESCENT, NEUMF),
)
"""The lines of Tables 4.13 and 4.14. The thesis does not state the embedding sizes."""

NEW_USERS = (
    _fake(50, "new", CF_DESCENT, CF_DESCENT, 5_000, DROPOUT),
    _fake(20, "new", CF_DESCENT, CF_DESCENT),
    _fake(20, "new", GMF_SURROGATE, GMF_TARGET, 5_000, DROPOUT),
    _fake(30, "new", CF_DESCENT, GMF_TARGET, 5_000),
    _fake(15, "new", CF_DESCENT, GMF_TARGET, 5_000, DROPOUT),
    _fake(100, "new", GMF_SURROGATE, CF_DESCENT),
    _fake(10, "new", CF_DESCENT, CF_DESCENT),
)
"""The lines of Tables 4.15 and 4.16."""

SIMILAR_USERS = (
    _fake(200, "sample", CF_DESCENT, CF_DESCENT, 5_000),
    _fake(200, "kmeans", CF_DESCENT, CF_DESCENT),
    _fake(300, "sample", CF_DESCENT, CF_DESCENT),
    _fake(300, "kmeans", CF_DESCENT, CF_DESCENT),
    _fake(300, "sample", GMF_SURROGATE, GMF_TARGET),
    _fake(300, "sample", cf(8), cf(8)),
    _fake(943, "sample", CF_DESCENT, CF_DESCENT),
    _fake(500, "sample", CF_DESCENT, CF_DESCENT),
    _fake(943, "sample", GMF_SURROGATE, CF_DESCENT),
    _fake(943, "kmeans", CF_DESCENT, CF_DESCENT),
)
"""The lines of Tables 4.17 and 4.18. In the thesis, the sixth line has the same notes as the third;
here it has another model."""

MOVIELENS_42 = _levels("movielens", MOVIELENS_WHOLE, TO_10K, 200)
MOVIELENS_46 = replace(
    _levels("movielens-approx", MOVIELENS_WHOLE, (0, 200, 400, 600, 800, 1_000), 20),
    attacks=(*BOTH, "meta-approx"),
    perturbed=(False,),
)
NETFLIX = _levels("netflix-sized", NETFLIX_SIZED, (0, 400, 800, 1_200, 1_600, 2_000), 200)
NETFLIX_75K = replace(
    _levels("netflix-sized", NETFLIX_SIZED, (0, 15_000, 30_000, 45_000, 60_000, 75_000), 3_750),
    perturbed=(False,),
)

TABLES = {
    table.number: table
    for table in (
        Table("4.1", (NODES,), twins=(("published", "meta-train"),)),
        Table("4.2", (MOVIELENS_42,)),
        Table("4.3", (_levels("steam", STEAM, TO_10K, 200, GMF_LONGER),)),
        Table("4.4", (NETFLIX, NETFLIX_75K)),
        Table("4.5", (_levels("anime", ANIME, TO_10K, 200, GMF_LONGER),)),
        Table("4.6", (MOVIELENS_46,)),
        Table("4.7", (CASE_1,)),
        Table("4.8", (CASE_1,)),
        Table("4.9", (CASE_2,)),
        Table("4.10", (CASE_2,)),
        Table("4.11", (CASE_3,)),
        Table("4.12", (CASE_3,)),
        Table("4.13", PAIRS),
        Table("4.14", PAIRS),
        Table("4.15", NEW_USERS),
        Table("4.16", NEW_USERS),
        Table("4.17", SIMILAR_USERS),
        Table("4.18", SIMILAR_USERS),
    )
}
