"""Audits of promotions: the numbers of accounts, the page and the command."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import citation_graph
from matplotlib.text import Text
from test_pages import Outline
from torch import Tensor
from torch_geometric.data import HeteroData
from typer.testing import CliRunner

import graphpoison as gp
from graphpoison import promotion_audit
from graphpoison.cli import app
from graphpoison.graphs import read_interactions
from graphpoison.report.audit_page import draw_audit

MOST = 9


@pytest.fixture(scope="module")
def data() -> HeteroData:
    return gp.datasets.load(
        "synthetic-interactions", num_users=60, num_items=40, num_interactions=700
    )


@pytest.fixture(scope="module")
def found(data: HeteroData) -> gp.PromotionAudit:
    return gp.audit_promotions(data, sample=4, gain=0.1, k=5, most=MOST)


def dense_gains(graph: gp.Interactions, item: int, length: int) -> list[int]:
    """Number of users who get ``item`` into their top 5, above the number without fake accounts,
    for 0 to ``MOST`` accounts: EASE as a victim, in NumPy, with a sort of each list."""
    users, items = graph.edge_index.numpy()
    real = np.zeros((graph.num_users, graph.num_items))
    real[users, items] = 1.0
    hits = []
    for number in range(MOST + 1):
        fake = np.zeros((number, graph.num_items))
        if number:
            made = gp.promote(graph, [item], number, length, 5, steps=15)
            fake[made.added[0].numpy() - graph.num_users, made.added[1].numpy()] = 1.0
        matrix = np.concatenate([real, fake])
        inverse = np.linalg.inv(matrix.T @ matrix + gp.victims.EASE().l2 * np.eye(len(matrix.T)))
        weights = np.eye(len(inverse)) - inverse / np.diag(inverse)
        scores = np.where(real > 0, -np.inf, real @ weights)
        best = np.argsort(-scores, axis=1)[:, :5]
        hits.append(int(((best == item).any(axis=1) & (real[:, item] == 0)).sum()))
    return [number - hits[0] for number in hits]


def test_the_number_of_accounts_against_all_numbers(
    data: HeteroData, found: gp.PromotionAudit
) -> None:
    graph = read_interactions(data)
    answers = 0
    for row in found.table.to_dict("records"):
        lacking = graph.num_users - row["users"]
        gains = dense_gains(graph, int(row["item"]), found.settings["profile_length"])
        enough = [gain >= 0.1 * lacking for gain in gains]
        number = row["accounts"]
        if pd.isna(number):
            assert not enough[MOST]
            continue
        answers += 1
        assert row["hit_rate"] - row["before"] == pytest.approx(gains[number] / lacking)
        assert enough[number]
        assert not enough[number - 1]
        if enough == sorted(enough):
            assert number == enough.index(True)
    assert answers >= 2


@pytest.fixture
def attacked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of accounts of the attacks that are made."""
    numbers: list[int] = []

    def promote(graph: object, items: object, number: int, *args: object, **options: Any) -> Any:
        numbers.append(number)
        return gp.promote(graph, items, number, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(promotion_audit, "promote", promote)
    return numbers


class Shown:
    """A victim that shows item 0 to a number of users by the number of fake accounts."""

    name = "shown"

    def __init__(self, by_accounts: list[int]) -> None:
        self.by_accounts = by_accounts
        self.fits: list[int] = []

    def fit(self, graph: gp.Interactions, seed: int) -> "Shown":
        self.fits.append(graph.num_users - graph.num_real_users)
        self.items = graph.num_items
        return self

    def scores(self, users: Tensor) -> Tensor:
        scores = torch.arange(self.items).double().repeat(len(users), 1)
        scores[users < self.by_accounts[self.fits[-1]], 0] = 99.0
        return scores


def shop_without(item: int) -> gp.Interactions:
    """100 users with three of the items 1 to 5, and user 100 with ``item``."""
    pairs = [(user, 1 + (user + step) % 5) for user in range(100) for step in range(3)]
    return gp.Interactions(torch.tensor([*pairs, (100, item)]).t().contiguous(), 101, 7)


def audited(by_accounts: list[int], gain: float) -> tuple[dict[str, Any], Shown]:
    victim = Shown(by_accounts)
    found = gp.audit_promotions(
        shop_without(0), [0], gain=gain, k=1, profile_length=3, most=9, victim=victim
    )
    (row,) = found.table.to_dict("records")
    return row, victim


@pytest.mark.parametrize("before", [0, 5, 28, 57])
def test_a_gain_of_exactly_one_point_is_enough(before: int) -> None:
    """Sums of shares are rounded: 0.05 + 0.01 is above 0.06."""
    row, _ = audited([before + number // 4 for number in range(10)], 0.01)
    assert row["before"] == pytest.approx(before / 100)
    assert row["accounts"] == 4


def test_each_attack_is_made_and_measured_once(attacked: list[int]) -> None:
    row, victim = audited([10, 10, 10, 10, 10, 13, 13, 13, 13, 13], 0.03)
    assert row["accounts"] == 5
    assert attacked == [1, 2, 4, 8, 6, 5]
    assert victim.fits == [0, *attacked]


def test_more_accounts_may_promote_less(attacked: list[int]) -> None:
    """The result is enough, one account less is not; a smaller number goes unseen."""
    row, _ = audited([10, 10, 10, 20, 10, 10, 10, 20, 20, 20], 0.1)
    assert row["accounts"] == 7
    assert 3 not in attacked


def test_an_item_that_is_shown_already_is_not_attacked(attacked: list[int], tmp_path: Path) -> None:
    row, victim = audited([96] * 10, 0.05)
    assert pd.isna(row["accounts"])
    assert row["hit_rate"] == row["before"] == 0.96
    assert (attacked, victim.fits) == ([], [0])
    found = gp.audit_promotions(shop_without(0), [0], gain=0.05, k=1, victim=Shown([96]))
    found.to_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "96.0% see it already" in Outline(page).text["td"]
    assert "nan%" not in page


def test_an_item_that_all_users_have_is_not_drawn() -> None:
    pairs = [(user, item) for user in range(12) for item in (0, 1 + user % 3)]
    graph = gp.Interactions(torch.tensor(pairs).t().contiguous(), 12, 5)
    found = gp.audit_promotions(graph, sample=9, k=1, most=1)
    assert sorted(found.table["item"]) == ["1", "2", "3", "4"]


def test_items_go_from_the_least_to_the_most_popular(found: gp.PromotionAudit) -> None:
    users = found.table["users"].tolist()
    assert users == sorted(users)
    assert len(set(found.table["item"])) == 4
    assert found.table["caught"].dropna().between(0, 1).all()
    assert "4 items" in repr(found)
    assert "<table" in found._repr_html_()


@pytest.mark.parametrize("most", [1, 2, 3, 17, 1234])
def test_the_chart_counts_accounts_and_suits_a_phone(found: gp.PromotionAudit, most: int) -> None:
    table = found.table.assign(accounts=pd.array([most, None, 1, None], dtype="Int64"))
    figure = draw_audit(table, {**found.settings, "most": most})
    figure.canvas.draw()
    (axes,) = figure.axes
    assert all(float(tick).is_integer() for tick in axes.get_xticks())
    phone = 358 / 72 / figure.get_figwidth()  # pixels of a point on a screen of 390 pixels
    texts = [text for text in figure.findobj(Text) if text.get_text()]
    assert min(text.get_fontsize() for text in texts) * phone >= 12
    right = max(text.get_window_extent().x1 for text in texts)
    assert right <= figure.bbox.x1


def test_an_item_that_takes_too_many_accounts_is_missing(data: HeteroData, tmp_path: Path) -> None:
    found = gp.audit_promotions(data, [0], gain=0.9, k=1, most=2)
    assert found.table["accounts"].isna().all()
    assert 0.0 <= found.table["hit_rate"][0] < 1.0
    found.to_html(tmp_path / "page.html")
    page = Outline((tmp_path / "page.html").read_text("utf-8"))
    assert "2 fake accounts promote none of the 1 items" in page.text["h1"]
    assert "more than 2" in page.text["td"]


def test_the_page_is_sound(found: gp.PromotionAudit, tmp_path: Path) -> None:
    found.to_html(tmp_path / "page.html")
    page = Outline((tmp_path / "page.html").read_text("utf-8"))
    assert not page.wrong
    assert not page.open
    assert "into the top-5 lists of a further 10% of the users" in page.text["h1"]
    found.plot(tmp_path / "chart.svg")
    assert (tmp_path / "chart.svg").stat().st_size > 1000


def test_the_command_goes_by_the_ids_of_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pairs = [(user, (user * step) % 23) for user in range(40) for step in (1, 3, 7, 8)]
    rows = [(f"c{user}", f"SKU-{item}") for user, item in pairs]
    pd.DataFrame(rows, columns=["customer", "article"]).to_csv("shop.csv", index=False)
    options = ["--item", "SKU-3", "--gain", "10%", "--most", "6", "-k", "3", "--html", "a.html"]
    done = CliRunner().invoke(app, ["audit", "shop.csv", *options, "--json"])
    assert done.exit_code == 0, done.output
    (row,) = json.loads(done.stdout)["table"]
    assert row["item"] == "SKU-3"
    assert Path("a.html").exists()
    again = CliRunner().invoke(app, ["audit", "shop.csv", *options])
    assert again.exit_code == 2
    assert "already exists" in again.output


def test_what_cannot_be_audited(data: HeteroData, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="gain must lie in"):
        gp.audit_promotions(data, gain=0.0)
    with pytest.raises(ValueError, match="items"):
        gp.audit_promotions(data, [40])
    gp.datasets.save_graph(citation_graph(), tmp_path / "graph.pt")
    done = CliRunner().invoke(app, ["audit", str(tmp_path / "graph.pt")])
    assert done.exit_code == 2
    assert "found a graph of nodes" in done.output
