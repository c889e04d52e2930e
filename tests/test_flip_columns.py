"""A perturbation takes flips that can be made, and nothing else."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphpoison as gp

INTERACTIONS = {"edge_type": ("user", "rates", "item")}


def table(**columns: object) -> pd.DataFrame:
    usual = {"step": [0], "source": [2], "target": [3], "added": [True]}
    return pd.DataFrame({**usual, "score": [0.5], "attack_loss": [1.0], **columns})


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"source": [-1]}, r"flips\['source'\] must hold integers from 0"),
        ({"target": [3.5]}, r"found (np.float64\()?3.5"),
        ({"target": [np.nan]}, "found .*nan"),
        ({"target": [np.inf]}, "found .*inf"),
        ({"target": ["3"]}, "found '3'"),
        ({"source": [True]}, "must hold integers"),
        ({"target": np.array([2**63 + 5], dtype=np.uint64)}, "must hold integers"),
        ({"target": pd.Series([2**70], dtype=object)}, "must hold integers"),
        ({"step": [-1]}, r"flips\['step'\]"),
        ({"added": ["False"]}, "must be True or False, found 'False'"),
        ({"added": [np.nan]}, "must be True or False"),
        ({"added": [2]}, "must be True or False"),
        ({"score": ["high"]}, r"flips\['score'\] must hold numbers"),
        ({"source": [3], "target": [2]}, "source < target"),
        ({"source": [3]}, "no node has an edge to itself"),
        ({"kind": ["node"]}, "kind"),
    ],
)
def test_values_that_are_no_flips_are_refused(columns: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        gp.Perturbation(table(**columns))


def test_both_directions_of_an_edge_are_refused() -> None:
    both = pd.concat([table(), table(source=[3], target=[2])])
    with pytest.raises(ValueError, match="source < target"):
        gp.Perturbation(both)
    assert len(gp.Perturbation(both, INTERACTIONS)) == 2


def test_nodes_beyond_the_graph_are_refused() -> None:
    with pytest.raises(ValueError, match=r"names 3, but the attacked graph has 3"):
        gp.Perturbation(table(), {"shape": [3, 3]})
    assert len(gp.Perturbation(table(), {"shape": [4, 4]})) == 1


def test_no_table_is_refused() -> None:
    with pytest.raises(TypeError, match="DataFrame, found list"):
        gp.Perturbation([(2, 3)])


def test_whole_numbers_of_any_type_are_taken() -> None:
    for kind in (np.int32, np.uint8, np.float64, object):
        found = gp.Perturbation(table(target=pd.Series([3], dtype=kind)))
        assert found.flips["target"].tolist() == [3]
    assert len(gp.Perturbation(table().iloc[:0].astype(object))) == 0


@settings(deadline=None, max_examples=60)
@given(
    source=st.one_of(st.integers(-3, 5), st.floats(-3, 5), st.booleans(), st.text(max_size=2)),
    target=st.one_of(st.integers(-3, 5), st.floats(-3, 5), st.none()),
    added=st.one_of(st.booleans(), st.integers(-1, 2), st.text(max_size=5)),
)
def test_what_is_taken_is_what_was_given(source: object, target: object, added: object) -> None:
    given_ = table(source=[source], target=[target], added=[added])
    try:
        found = gp.Perturbation(given_).flips
    except ValueError:
        return
    assert found["source"].tolist() == [source]
    assert found["target"].tolist() == [target]
    assert found["added"].tolist() == [added]
    assert 0 <= source < target
