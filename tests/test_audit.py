"""Audits of promotions: the numbers of accounts, the page and the command."""

import json
from pathlib import Path

import pandas as pd
import pytest
from conftest import citation_graph
from test_pages import Outline
from typer.testing import CliRunner

import graphpoison as gp
from graphpoison.cli import app
from graphpoison.evaluation.accounts import promotion_hit_rate


@pytest.fixture(scope="module")
def data() -> object:
    return gp.datasets.load(
        "synthetic-interactions", num_users=60, num_items=40, num_interactions=700
    )


@pytest.fixture(scope="module")
def found(data: object) -> gp.PromotionAudit:
    return gp.audit_promotions(data, sample=3, share=0.2, k=5, most=12)


def test_the_number_of_accounts_is_enough_and_one_step_fewer_is_not(
    data: object, found: gp.PromotionAudit
) -> None:
    row = found.table.dropna(subset="accounts").query("accounts > 0").iloc[0]
    item, length = int(row["item"]), found.settings["profile_length"]
    rate = promotion_hit_rate(data, gp.victims.recommender_victim("ease"), [item], 5)
    enough = gp.promote(data, [item], int(row["accounts"]), length, 5, steps=15)
    assert rate(enough) == pytest.approx(row["hit_rate"])
    assert rate(enough) >= 0.2
    if row["accounts"] > 1:
        assert rate(gp.promote(data, [item], int(row["accounts"]) - 1, length, 5, steps=15)) < 0.2


def test_items_go_from_the_least_to_the_most_popular(found: gp.PromotionAudit) -> None:
    users = found.table["users"].tolist()
    assert users == sorted(users)
    assert len(set(found.table["item"])) == 3
    tried = found.table[found.table["accounts"] != 0]
    assert tried["caught"].between(0, 1).all()
    needless = found.table[found.table["accounts"] == 0]
    assert (needless["before"] >= 0.2).all()
    assert (needless["hit_rate"] == needless["before"]).all()
    assert (tried["before"] < 0.2).all()
    assert "3 items" in repr(found)
    assert "<table" in found._repr_html_()


def test_an_item_that_takes_too_many_accounts_is_missing(data: object, tmp_path: Path) -> None:
    found = gp.audit_promotions(data, [0], share=1.0, k=1, most=2)
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
    assert "into the top-5 lists of 20% of the users" in page.text["h1"]
    found.plot(tmp_path / "chart.svg")
    assert (tmp_path / "chart.svg").stat().st_size > 1000


def test_the_command_goes_by_the_ids_of_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pairs = [(user, (user * step) % 23) for user in range(40) for step in (1, 3, 7, 8)]
    rows = [(f"c{user}", f"SKU-{item}") for user, item in pairs]
    pd.DataFrame(rows, columns=["customer", "article"]).to_csv("shop.csv", index=False)
    options = ["--item", "SKU-3", "--share", "10%", "--most", "6", "-k", "3", "--html", "a.html"]
    done = CliRunner().invoke(app, ["audit", "shop.csv", *options, "--json"])
    assert done.exit_code == 0, done.output
    (row,) = json.loads(done.stdout)["table"]
    assert row["item"] == "SKU-3"
    assert Path("a.html").exists()
    again = CliRunner().invoke(app, ["audit", "shop.csv", *options])
    assert again.exit_code == 2
    assert "already exists" in again.output


def test_what_cannot_be_audited(data: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="share must lie in"):
        gp.audit_promotions(data, share=0.0)
    with pytest.raises(ValueError, match="items"):
        gp.audit_promotions(data, [40])
    gp.datasets.save_graph(citation_graph(), tmp_path / "graph.pt")
    done = CliRunner().invoke(app, ["audit", str(tmp_path / "graph.pt")])
    assert done.exit_code == 2
    assert "found a graph of nodes" in done.output
