"""The random attack beside another, and attacks that end before their budget."""

import logging

import pytest
import torch
from conftest import citation_graph, interaction_graph

import graphpoison as gp
from graphpoison.graphs import PairState

SHORT = gp.Training(steps=3, lr=0.1)
RULES = [gp.NoSingletons(), gp.NodeBudget(2)]
VICTIM = gp.RecommenderVictim(gp.CF(dim=2), "small", gp.Training(steps=3, lr=0.1))


@pytest.mark.parametrize(
    ("attack", "removals", "additions"),
    [
        (gp.MetaAttack(SHORT, 2, RULES), True, True),
        (gp.MetaAttack(SHORT, 2, RULES, allow_removals=False), False, True),
        (gp.MetaAttack(SHORT, 2, RULES, allow_additions=False), True, False),
        (gp.PGDAttack(SHORT, constraints=RULES), True, True),
        (gp.GRBCD(SHORT, constraints=RULES, allow_removals=False), False, True),
        (gp.DegreeAttack(RULES), False, True),
        (gp.DICE(RULES), True, True),
        (gp.DICE(RULES, removal_share=0.0), False, True),
        (gp.DICE(RULES, removal_share=1.0), True, False),
    ],
)
def test_constraints_and_kinds_are_those_of_the_attack(
    attack: gp.Attack, removals: bool, additions: bool
) -> None:
    assert gp.random_like(attack) == gp.RandomAttack(tuple(RULES), removals, additions)


def test_of_additions_to_interactions_it_is_the_baseline_of_the_thesis() -> None:
    assert gp.random_like(gp.meta_attack()) == gp.baseline_attack() == gp.RandomAttack()


@pytest.mark.parametrize(
    "attack",
    [
        gp.NewUsers(2, gp.MetaAttack(SHORT, allow_removals=False)),
        gp.SimilarUsers(2, "sample", attack=gp.MetaAttack(SHORT, 2, RULES)),
        gp.SimilarUsers(2, "kmeans", attack=gp.MetaAttack(SHORT, allow_removals=False)),
        gp.SimilarUsers(2, "kmeans", attack=gp.meta_attack(SHORT), training=gp.Training(steps=2)),
    ],
)
def test_fake_users_are_the_same(attack: gp.Injection) -> None:
    task, beside = gp.Recommendation(interaction_graph(), gp.CF(dim=3)), gp.random_like(attack)
    assert isinstance(beside.attack, gp.RandomAttack)
    ours, theirs = (each(task, 4, seed=3).fake_users for each in (attack, beside))
    assert torch.equal(ours.edges, theirs.edges)
    assert len(ours.latent) == len(theirs.latent)
    assert all(map(torch.equal, ours.latent, theirs.latent))


class FewAdditions(gp.Constraint):
    """No edge may be added."""

    def additions(self, state: PairState) -> object:
        return lambda source, target: (source < 0) & (target < 0)

    def removals(self, state: PairState) -> None:
        return None

    def violation(self, clean: PairState, poisoned: PairState) -> None:
        return None


def test_where_additions_are_refused_edges_are_removed() -> None:
    """A removal is one pair of thousands, and hardly ever drawn among the refused additions."""
    task = gp.NodeClassification(citation_graph(num_nodes=300, num_features=300))
    task.state = gp.NodeClassification(ring(300)).state
    found = gp.RandomAttack([FewAdditions()], allow_removals=True)(task, 250)
    assert len(found) == found.removed.size(1) == 250


def ring(nodes: int) -> object:
    data = citation_graph(num_nodes=nodes, num_features=nodes)
    here = torch.arange(nodes)
    edges = torch.stack([here, (here + 1) % nodes])
    data.edge_index = torch.cat([edges, edges.flip(0)], dim=1)
    return data


def test_an_attack_that_ended_early_is_evaluated_where_it_ended(
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = interaction_graph()
    task = gp.Recommendation(data, gp.CF(dim=2))
    long, short = gp.RandomAttack()(task, 12), gp.RandomAttack([gp.NodeBudget(1)])(task, 12)
    made = len(short)
    assert made < 9
    with caplog.at_level(logging.WARNING):
        table = gp.evaluate(data, {"long": long, "short": short}, [VICTIM], [0, 1], [9, 12]).table
    assert set(table.query("attack == 'long'")["flips"]) == {9, 12}
    rows = table.query("attack == 'short'")
    assert rows["flips"].eq(made).all()
    assert rows["seeds"].eq(2).all()
    assert f"short ended after {made} flips: evaluated there, not at 12" in caplog.text
    for asked_for_less in (short.prefix(made - 1), gp.RandomAttack()(task, made)):
        with pytest.raises(ValueError, match="were made"):
            gp.evaluate(data, asked_for_less, [VICTIM], [0], [9])


def test_algorithm_4_goes_on_where_random_flips_ran_out() -> None:
    attack = gp.MetaAttack(SHORT, constraints=[gp.NodeBudget(1)], allow_removals=False)
    report = gp.surrogate_meta_attack(
        interaction_graph(), gp.CF(dim=2), gp.CF(dim=2), [2, 7], attack=attack, seeds=[0]
    )
    random = report.perturbations["random"]
    assert random.meta["settings"]["attack"]["constraints"] != []
    assert report.runs.query("attack == 'random'")["flips"].max() == len(random) <= 7
