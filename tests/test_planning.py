"""Estimates by size: what is counted, how it is fitted, and the command."""

import importlib.util
import json
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import graphpoison as gp
from graphpoison._ranks import ALONE
from graphpoison._text import duration, memory
from graphpoison.cli import app
from graphpoison.estimates import (
    Cluster,
    Coefficients,
    Workload,
    calibrate,
    estimate_by_size,
    measuring,
)
from graphpoison.estimates.by_name import KINDS, workload_of
from graphpoison.estimates.fitting import fit, largest_ratio, total
from graphpoison.estimates.measuring import random_graph, smallest
from graphpoison.training import iterates
from graphpoison.training.run import Run

CF = gp.RecommenderWorkload(40, 30, 200, dim=4, steps=3)
EASE = gp.RankingWorkload(40, 30, 200, steps=2)
GCN = gp.NodeWorkload(60, 120, 20, 3, labels=10, steps=4)
WORKLOADS: list[Workload] = [
    CF,
    replace(CF, optimizer="sgd", gradients=3),
    replace(CF, loss="bpr"),
    replace(CF, surrogate="gmf"),
    replace(CF, surrogate="gmf", layers=(6, 3)),
    replace(CF, surrogate="lightgcn", hops=1),
    EASE,
    replace(EASE, halves=1),
    GCN,
    replace(GCN, labels=30, gradients=2),
    replace(GCN, surrogate="sgc"),
    replace(GCN, surrogate="sgc", labels=30),
    replace(GCN, surrogate="sgc", hops=3, labels=None, density=0.5),
]


def unit_coefficients(seconds: float = 1e-9, process_bytes: float = 1e8) -> Coefficients:
    """One for every kind of every surrogate, wherever iterates are kept."""
    large = replace(CF, users=10**7, items=10**4, pairs=10**7, steps=100)
    fresh = replace(large, optimizer="sgd")
    filed = replace(CF, users=10**5, pairs=1000, dim=64, steps=10)
    assert large.place() == "checkpoints"
    assert filed.place() == "file"
    kinds = [replace(large, surrogate=name) for name in ("cf", "lightgcn")]
    kinds += [replace(large, surrogate="gmf", layers=(4,)), replace(large, loss="bpr")]
    works = [*WORKLOADS, *kinds, filed, fresh]
    return Coefficients(
        {name: seconds for work in works for name in total(work.operations())},
        {name: 1.0 for work in works for name in total(work.bytes())},
        process_bytes,
        "a processor",
    )


UNIT = unit_coefficients()


def seconds(workload: Workload, **options: Any) -> float:
    cost = estimate_by_size(workload, coefficients=UNIT, **options)
    return cost.setup_seconds + cost.seconds


# Workloads


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda each: type(each).__name__)
def test_the_attack_that_is_measured_is_the_one_that_is_counted(workload: Workload) -> None:
    data = random_graph(workload)
    task, attack, flips = measuring._attack(workload, data)
    halves = getattr(workload, "halves", 1)
    assert attack.sample(task, flips)[1] == workload.num_gradients
    assert task.clean_edges.size(1) == pytest.approx(workload.num_edges, rel=0.1)
    if isinstance(workload, gp.RecommenderWorkload):
        assert task.state.num_listed == workload.num_pairs
        assert task.clean_edges.size(1) == workload.pairs
    found = attack(task, flips)
    assert 0 < len(found) <= flips
    assert halves == 1 or found.removed.size(1)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("surrogate", ["cf", "lightgcn"])
def test_iterates_are_as_large_as_they_are_said_to_be(optimizer: Any, surrogate: Any) -> None:
    workload = replace(CF, optimizer=optimizer, surrogate=surrogate)
    task, attack, _ = measuring._attack(workload, random_graph(workload))
    assert isinstance(attack, gp.MetaAttack)
    start = task.init(torch.Generator())
    field = task.training_field(task.prepare(task.state), start, attack.training.inner.linear)
    found = iterates._num_bytes(Run.of(attack.training, field, start).recorded_start)
    assert found - workload.iterate_bytes in range(0, 64)  # a count of steps


def test_iterates_go_where_training_puts_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert CF.place() == "memory"
    monkeypatch.setattr(iterates, "KEPT_BYTES", CF.steps * CF.iterate_bytes - 1)
    assert CF.place() == "file"
    assert CF.place(on_cpu=False) == "checkpoints"
    monkeypatch.setattr(iterates, "SPOOLED_BYTES", 0)
    assert CF.place() == "checkpoints"
    checkpoints = CF.bytes().shared["iterates"]
    assert checkpoints == (2 + 2) * CF.iterate_bytes  # of 3 iterates: 0 and 2; then 0 and 1
    assert "cf: steps x pairs x width, again" in CF.operations().shared


def test_the_iterates_of_a_run_are_kept_where_the_estimate_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(iterates, "KEPT_BYTES", 0)
    kept = iterates._keep(((torch.zeros(4),), ()), 9, ALONE)
    assert isinstance(kept, iterates.Spooled)
    monkeypatch.setattr(iterates, "SPOOLED_BYTES", 0)
    assert iterates._keep(((torch.zeros(4),), ()), 9, ALONE).stride == 3


@pytest.mark.parametrize(
    ("workload", "changes", "message"),
    [
        (CF, {"users": 0}, "users must be at least 1"),
        (CF, {"pairs": 601}, "pairs=601 and as many negatives are more than the 1,200 pairs"),
        (EASE, {"pairs": 1201}, "pairs=1,201 are more than the 1,200 pairs"),
        (CF, {"surrogate": "ease"}, "surrogate='ease' is not known"),
        (CF, {"loss": "bpr", "surrogate": "gmf"}, "loss='bpr' is for surrogate='cf'"),
        (CF, {"layers": (8,)}, "layers are for surrogate='gmf'"),
        (CF, {"hops": 3}, "hops are for surrogate='lightgcn'"),
        (EASE, {"halves": 3}, "halves must be 1 or 2"),
        (GCN, {"edges": 10**6}, "edges=1,000,000 are more than 60 nodes can have"),
        (GCN, {"labels": 60}, "labels must be at most 59"),
        (GCN, {"hops": 3}, "surrogate='linear-gcn' has hops=2"),
        (GCN, {"surrogate": "sgc", "hidden": 8}, "hidden is for surrogate='linear-gcn'"),
        (GCN, {"density": 0.0}, "density must lie in"),
    ],
)
def test_bad_sizes_are_refused(workload: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(workload, **changes)


# The sum of coefficients

GROWING = {
    gp.RecommenderWorkload: ("users", "items", "pairs", "dim", "steps", "gradients"),
    gp.RankingWorkload: ("users", "items", "steps"),
    gp.NodeWorkload: ("nodes", "edges", "steps", "gradients"),
}


@given(st.sampled_from(WORKLOADS), st.data())
def test_a_larger_attack_costs_no_less(workload: Workload, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(GROWING[type(workload)]))
    size = getattr(workload, name)
    larger = {name: data.draw(st.integers(size, 3 * size))}
    if name in ("pairs", "edges"):
        larger[name] = min(larger[name], 500)
    grown: Any = replace(workload, **larger)  # type: ignore[type-var]
    assert seconds(grown) >= seconds(workload)
    assert (estimate_by_size(grown, coefficients=UNIT).bytes or 0) >= (
        estimate_by_size(workload, coefficients=UNIT).bytes or 0
    )


def test_the_cost_is_a_sum_by_kind() -> None:
    known = replace(UNIT, seconds={**UNIT.seconds, "attacks": 3.0})
    cost = estimate_by_size(replace(CF, gradients=7), coefficients=known)
    assert cost.proposals == 7
    assert cost.setup_seconds == pytest.approx(3.0 + 400e-9)
    one = estimate_by_size(CF, coefficients=known)
    assert cost.seconds == pytest.approx(7 * one.seconds)
    assert cost.bytes == one.bytes
    work = CF.operations()
    assert one.seconds == pytest.approx(1e-9 * sum({**work.shared, **work.whole}.values()))


def test_a_scale_is_of_time_alone() -> None:
    assert seconds(CF, scale=2.5) == pytest.approx(2.5 * seconds(CF))
    slow, fast = (estimate_by_size(CF, scale=each, coefficients=UNIT) for each in (9.0, 1.0))
    assert slow.bytes == fast.bytes


@pytest.mark.parametrize("count", [2, 8])
def test_ranks_divide_the_pairs_and_exchange_the_tables(count: int) -> None:
    work = replace(CF, users=400, items=300, pairs=60_000)
    cluster = Cluster(count, efficiency=0.5, gigabits=8.0)
    one, several = seconds(work), seconds(work, cluster=cluster)
    shared = 1e-9 * sum(work.operations().shared.values())
    others = (count - 1) / count
    rows = 5 * others * 300  # of items, their sums, and in the adjoint of both and of cotangents
    sent = 4 * (3 * 4 * rows + others * 120_000)  # bytes, steps, width
    assert several == pytest.approx(one - shared + shared / (0.5 * count) + sent / 1e9)
    alone = estimate_by_size(work, coefficients=UNIT).bytes
    each = estimate_by_size(work, cluster=cluster, coefficients=UNIT).bytes
    assert alone is not None
    divided = sum(work.bytes().shared.values())
    assert each == pytest.approx(alone - divided + divided / count, abs=1)


def test_more_ranks_than_parts_of_the_pairs_are_of_no_use() -> None:
    work = replace(CF, users=400, items=300, pairs=6_000)  # 2 parts
    assert [work.share(ranks) for ranks in (1, 2, 3)] == [1.0, 0.5, 0.5]


@pytest.mark.parametrize("workload", [EASE, GCN])
def test_what_ranks_cannot_divide_is_refused(workload: Workload) -> None:
    with pytest.raises(ValueError, match=r"ranks=2 divide .* runs on one"):
        estimate_by_size(workload, cluster=Cluster(2), coefficients=UNIT)


def test_a_task_is_not_a_workload() -> None:
    with pytest.raises(TypeError, match=r"gp\.estimate\(attack, task, budget\)"):
        estimate_by_size("cora", coefficients=UNIT)  # type: ignore[arg-type]


# Coefficients


def test_the_fit_finds_the_coefficients_of_exact_sums() -> None:
    truth = {"a": 2.0, "b": 0.0, "c": 3e-9}
    draw = torch.Generator().manual_seed(0)
    points = []
    for _ in range(8):
        sizes = torch.rand(3, generator=draw).tolist()
        counts = {"a": 1.0, "b": 100 * sizes[1], "c": 1e9 * sizes[2]}
        points.append((counts, sum(truth[name] * counts[name] for name in truth)))
    found = fit(points)
    assert found == pytest.approx(truth, rel=1e-6, abs=1e-12)


def test_the_fit_is_of_relative_errors_and_never_negative() -> None:
    assert fit([({"n": 1.0}, 1.0), ({"n": 100.0}, 300.0)])["n"] == pytest.approx(
        (1.0 + 1 / 3) / (1.0 + 1 / 9)
    )
    falling = [({"one": 1.0, "n": n}, 10.0 - n) for n in (1.0, 2.0, 3.0)]
    assert fit(falling)["n"] == 0.0
    with pytest.raises(ValueError, match="one or more"):
        fit([({"n": 1.0}, 0.0)])


def test_the_largest_ratio_is_of_either_direction() -> None:
    assert largest_ratio([(1.0, 1.2), (3.0, 1.5)]) == 2.0


def test_coefficients_are_kept_by_device(tmp_path: Path) -> None:
    path = tmp_path / "known.json"
    UNIT.save("cpu", path)
    replace(UNIT, threads=0).save("cuda", path)
    assert Coefficients.load("cpu", path) == UNIT
    assert Coefficients.load("cuda", path).threads == 0
    path.write_text('{"cpu": 1}')
    with pytest.raises(ValueError, match="holds no coefficients"):
        Coefficients.load("cpu", path)


def test_what_was_not_measured_is_named() -> None:
    with pytest.raises(ValueError, match="'tpu' is not known"):
        Coefficients.load("tpu")
    with pytest.raises(ValueError, match=r"lack \['pairs searched', .*\]; .*fit_estimate"):
        estimate_by_size(CF, coefficients=replace(UNIT, seconds={}))


def test_calibration_is_the_mean_ratio_of_small_attacks(monkeypatch: pytest.MonkeyPatch) -> None:
    known = replace(UNIT, seconds=dict.fromkeys(UNIT.seconds, 1e-6))
    ran: list[Workload] = []

    def run(workload: Workload, data: object) -> float:
        cost = estimate_by_size(workload, coefficients=known)
        ran.append(workload)
        return (cost.setup_seconds + cost.seconds) * (100.0, 1.0, 4.0, 2.0)[len(ran) - 1]

    monkeypatch.setattr(measuring, "run", run)
    large = replace(CF, users=10**6, items=10**5, pairs=10**8, gradients=50)
    assert calibrate(large, coefficients=known) == pytest.approx(2.0)  # the first one warms up
    assert all(each.gradients == 1 and each.dim == large.dim for each in ran)  # type: ignore[attr-defined]
    sizes = [each.pairs for each in ran]  # type: ignore[attr-defined]
    assert all(small < more for small, more in pairwise(sizes))


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda each: type(each).__name__)
def test_the_smallest_attack_is_small_and_runs(workload: Workload) -> None:
    assert seconds(smallest(workload)) <= seconds(workload)
    assert measuring.run(smallest(workload), random_graph(smallest(workload))) > 0.0


# The benchmark


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    path = Path(__file__).parents[1] / "benchmarks" / "fit_estimate.py"
    spec = importlib.util.spec_from_file_location("fit_estimate", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_points_are_told_apart_and_the_check_has_others(benchmark: ModuleType) -> None:
    keys = [point.key for point in [*benchmark.POINTS, *benchmark.CHECK]]
    assert len(set(keys)) == len(keys)
    assert len(benchmark.CHECK) == 13
    assert all(benchmark.Point.of(key).key == key for key in keys)


def test_the_points_measure_every_kind(benchmark: ModuleType) -> None:
    def kinds(points: list[Any]) -> set[str]:
        found: set[str] = set()
        for point in points:
            with point.limits():
                found |= {*total(point.workload.operations()), *total(point.workload.bytes())}
        return found

    assert kinds(benchmark.CHECK) <= kinds(benchmark.POINTS)
    assert {*UNIT.seconds, *UNIT.bytes} <= kinds(benchmark.POINTS)


def test_a_point_is_measured_and_fitted(benchmark: ModuleType) -> None:
    points = [benchmark.Point(CF), benchmark.Point(replace(CF, pairs=300), checkpoints=True)]
    values = [{"seconds": 2.0, "bytes": 5e6, "process": 7.0}, {"seconds": 3.0, "bytes": 6e6}]
    found = benchmark.fitted(points, [values[0], {**values[1], "process": 8.0}], "cpu")
    assert found.process_bytes == 8.0
    assert found.points == 2
    lines = benchmark.compared(
        points, [{**each, "processor": 1.0} for each in values], found, "cpu"
    )
    assert [line["ratio"] for line in lines] == pytest.approx([1.0, 1.0], abs=0.02)


# The command


@pytest.fixture
def known(tmp_path: Path) -> str:
    UNIT.save("cpu", tmp_path / "known.json")
    return str(tmp_path / "known.json")


def call(known: str, text: str) -> Any:
    return CliRunner().invoke(app, ["estimate", "--coefficients", known, *text.split()])


LARGE = "--users 1000000 --items 50000 --pairs 100000000 --steps 50 --dim 64 --budget 1%"


def test_the_command_says_what_a_large_attack_costs(known: str) -> None:
    done = call(known, f"{LARGE} --surrogate cf --ranks 8 --flips-per-step 1000 --json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["flips"] == 1_000_000
    assert found["gradients"] == 1000
    work = gp.RecommenderWorkload(10**6, 50_000, 10**8, dim=64, gradients=1000)
    cost = estimate_by_size(work, cluster=Cluster(8), coefficients=UNIT)
    (line,) = found["costs"]
    assert line["ranks"] == 8
    assert line["seconds"] == pytest.approx(cost.setup_seconds + cost.seconds)
    assert line["bytes"] == cost.bytes


def test_several_numbers_of_ranks_make_a_table(known: str) -> None:
    done = call(known, f"{LARGE} --surrogate cf --ranks 1,8 --efficiency 0.5")
    assert done.exit_code == 0, done.output
    head, one, eight = done.stdout.splitlines()[-3:]
    assert head.split()[:2] == ["ranks", "setup"]
    assert [line.split()[0] for line in (one, eight)] == ["1", "8"]
    assert "efficiency 0.5, 10 Gbit/s" in done.stdout


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{LARGE} --surrogate cf --ranks 8", ["1% of 100,000,000 edges", "one in 8"]),
        (f"{LARGE} --surrogate cf --loss bpr --optimizer sgd", ["gradients 1,000,000"]),
        (
            "--users 9000 --items 900 --pairs 9000 --surrogate gmf --layers 16,8 --steps 3",
            ["in memory"],
        ),
        ("--users 9000 --items 900 --pairs 9000 --surrogate lightgcn --hops 3", ["450 flips"]),
        ("--users 900 --items 90 --pairs 9000 --surrogate ease --epochs 5", ["gradients 10"]),
        (
            "--nodes 3000 --edges 6000 --features 99 --classes 3 --surrogate sgc --budget 7",
            ["3,000 nodes, 6,000 edges, 99 features", "gradients 7"],
        ),
    ],
)
def test_every_surrogate_on_the_command_line(known: str, text: str, words: list[str]) -> None:
    done = call(known, text)
    assert done.exit_code == 0, done.output
    text = " ".join(done.stdout.split())
    assert all(word in text for word in words), done.stdout
    assert "a processor, 1 thread" in done.stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("--surrogate cf --users 9 --items 9", "pairs must be given for surrogate='cf'"),
        (f"{LARGE} --surrogate cf --nodes 9", "nodes is not for surrogate='cf'"),
        (f"{LARGE} --surrogate cf --epochs 9", "--epochs is not for --surrogate cf; use --steps"),
        (f"{LARGE} --surrogate ease", "--steps is not for --surrogate ease; use --epochs"),
        (f"{LARGE} --surrogate bpr", "use surrogate='cf' with loss='bpr'"),
        (f"{LARGE} --surrogate svd", "surrogate='svd' is not known"),
        (f"{LARGE} --surrogate gmf --layers 8;8", "layers='8;8' must be numbers"),
        (f"{LARGE} --surrogate cf --ranks 0", "ranks must be at least 1"),
        (f"{LARGE} --surrogate cf --efficiency 2", "efficiency must lie in"),
        (f"{LARGE} --surrogate cf --scale 2 --calibrate", "--calibrate and --scale exclude"),
        (f"{LARGE} --surrogate cf --device cuda", "device='cuda'"),
    ],
)
def test_wrong_usage(known: str, text: str, message: str) -> None:
    done = call(known, text)
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert message in done.stderr


def test_a_calibration_is_shown(known: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphpoison.cli.by_size.calibrate", lambda *_: 1.75)
    text = "--users 900 --items 90 --pairs 9000 --surrogate cf --json"
    plain, found = (
        json.loads(call(known, f"{text}{more}").stdout) for more in ("", " --calibrate")
    )
    assert found["scale"] == 1.75
    assert found["costs"][0]["seconds"] == pytest.approx(1.75 * plain["costs"][0]["seconds"])


def test_names_lead_to_workloads() -> None:
    for surrogate, kind in KINDS.items():
        example: Any = next(each for each in WORKLOADS if isinstance(each, kind))
        sizes = {
            name: value
            for name, value in asdict(example).items()
            if name not in ("surrogate", "layers")
        }
        found = workload_of(surrogate, sizes)
        assert type(found) is kind
        assert getattr(found, "surrogate", "ease") == surrogate


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0123, "0.012 s"), (119, "120 s"), (121, "2 min"), (9000, "2.5 h"), (1e6, "12 days")],
)
def test_durations(value: float, text: str) -> None:
    assert duration(value) == text


def test_a_duration_of_years() -> None:
    assert duration(4e10) == "1,300 years"


@pytest.mark.parametrize(
    ("value", "text"), [(4.12e8, "410 MB"), (2.04e9, "2 GB"), (1.7e12, "1,700 GB")]
)
def test_memory_in_words(value: float, text: str) -> None:
    assert memory(value) == text
