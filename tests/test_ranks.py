"""Several processes that share one attack make the flips of one process, to the last bit.

Most tests run the ranks as threads, which exchange tensors through a list. Processes of a gloo
group run the code that is not safe in threads (the global generator of PRBCD), and torchrun runs
the command line.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import citation_graph, interaction_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from killed import CONTEXT
from torch import Tensor
from torch import distributed as dist
from torch_geometric.data import HeteroData
from typer.testing import CliRunner

import graphpoison as gp
from graphpoison._mailbox import Peer
from graphpoison._ranks import ALONE, RankError, Ranks
from graphpoison._signals import Terminated
from graphpoison.cli import app
from graphpoison.cli.processes import Processes, device_of
from graphpoison.sparse import FactoredGradient, Pattern, shares
from graphpoison.sparse.shares import Shares, blocks, fold

ADAM = gp.Training(steps=8, lr=0.05, optimizer="adam")
TIMEOUT = 120


@dataclass(frozen=True)
class Threads(Ranks):
    """Ranks that are threads of this process."""

    meeting: threading.Barrier = field(default=None, repr=False)  # type: ignore[assignment]
    table: list[Any] = field(default_factory=list, repr=False)

    def gather(self, own: Tensor, counts: Any) -> Tensor:
        assert own.size(0) == counts[self.rank]
        parts = self.meet(own.detach().clone())
        assert [part.size(0) for part in parts] == list(counts)
        return torch.cat(parts)

    def _sent_by_first(self, content: bytes) -> bytes:
        return self.meet(content)[0]

    def exchange(self, own: Tensor, counts: Any) -> list[Tensor]:
        parts = self.meet(own.detach().clone().split(list(counts[self.rank])))
        found = [each[self.rank] for each in parts]
        assert [part.numel() for part in found] == [count[self.rank] for count in counts]
        return found

    def meet(self, own: Any) -> list[Any]:
        try:
            self.table[self.rank] = own
            self.meeting.wait(TIMEOUT)
            found = list(self.table)
            self.meeting.wait(TIMEOUT)
        except threading.BrokenBarrierError as error:
            raise self.gone() from error
        return found


def together(size: int, job: Callable[[Ranks], Any]) -> list[Any]:
    """``job`` of each of ``size`` ranks; an error of one leaves the others alone."""
    meeting, table = threading.Barrier(size), [None] * size

    def run(rank: int) -> Any:
        try:
            return job(Threads(rank, size, meeting=meeting, table=table))
        except BaseException:
            meeting.abort()
            raise

    with ThreadPoolExecutor(size) as pool:
        return [each.result() for each in [pool.submit(run, rank) for rank in range(size)]]


def interactions() -> HeteroData:
    """Few items, so that there are several parts."""
    return interaction_graph(users=90, items=4, positives=170, negatives=150)


def same(one: gp.Perturbation, other: gp.Perturbation) -> bool:
    """Flips with all their columns: pairs, scores and losses."""
    return one.flips.equals(other.flips)


RECOMMENDERS = {
    "cf": gp.CF(5),
    "gmf-layers": gp.GMF(5, (6, 3)),
    "lightgcn": gp.LightGCN(5),
    "dropout": gp.CF(5, dropout=0.2),
}
BOTH = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["single", "double"])


@BOTH
@pytest.mark.parametrize("name", RECOMMENDERS)
def test_recommenders_get_the_same_flips(name: str, dtype: torch.dtype) -> None:
    task = gp.Recommendation(interactions(), RECOMMENDERS[name], dtype=dtype)
    assert len(Shares.of(task.state.pattern).rows) == 5  # four parts
    attack = gp.MetaAttack(ADAM, 5)
    alone = attack(task, 15)
    for size in (2, 3):
        found = together(size, lambda ranks: attack(task.over(ranks), 15))
        assert all(same(alone, each) for each in found)
        assert [each.provenance["ranks"] for each in found] == [size] * size


@BOTH
@pytest.mark.parametrize("loss", ["bpr", "softmax"])
@pytest.mark.parametrize("name", ["cf", "lightgcn"])
def test_ranking_losses_get_the_same_flips(name: str, loss: Any, dtype: torch.dtype) -> None:
    task = gp.Recommendation(interactions(), RECOMMENDERS[name], dtype=dtype, loss=loss)
    attack = gp.MetaAttack(ADAM, 5)
    assert all(
        same(attack(task, 10), each)
        for each in together(2, lambda ranks: attack(task.over(ranks), 10))
    )


@pytest.mark.parametrize("objective", ["self", "heldout", gp.Degrade(k=2)], ids=str)
def test_objectives_get_the_same_flips(objective: Any) -> None:
    task = gp.Recommendation(interactions(), gp.CF(4), objective)
    attack = gp.MetaAttack(ADAM, 5)
    found = together(2, lambda ranks: attack(task.over(ranks), 10))
    assert all(same(attack(task, 10), each) for each in found)


def test_all_pairs_get_the_same_flips() -> None:
    task = gp.Recommendation(interactions(), gp.CF(4), candidates="all")
    attack = gp.MetaAttack(ADAM, 5)
    found = together(3, lambda ranks: attack(task.over(ranks), 10))
    assert all(same(attack(task, 10), each) for each in found)


@BOTH
@pytest.mark.parametrize("surrogate", ["linear-gcn", "sgc", "relu-gcn"])
def test_node_classifiers_get_the_same_flips(surrogate: str, dtype: torch.dtype) -> None:
    data = citation_graph(num_nodes=230, dtype=dtype, density=0.3)
    task = gp.NodeClassification(data, surrogate)
    attack = gp.MetaAttack(gp.Training(steps=10, lr=0.1), constraints=[gp.NoSingletons()])
    alone = attack(task, 3)
    found = together(3, lambda ranks: attack(task.over(ranks), 3))
    assert all(same(alone, each) for each in found)


def test_features_are_shared_too() -> None:
    data = citation_graph(num_nodes=60, dtype=torch.float32)
    task = gp.NodeClassification(data, "sgc", feature_candidates="all")
    attack = gp.MetaAttack(gp.Training(steps=5, lr=0.1))
    found = together(2, lambda ranks: attack(task.over(ranks), 6))
    assert all(same(attack(task, 6), each) for each in found)


@pytest.mark.parametrize(
    "attack",
    [
        gp.NewUsers(3, gp.MetaAttack(ADAM, 2, allow_removals=False)),
        gp.SimilarUsers(3, "kmeans", attack=gp.MetaAttack(ADAM, 2, allow_removals=False)),
        gp.PGDAttack(ADAM, 3, samples=2),
        gp.SwapSearch(gp.MetaAttack(ADAM), rounds=2),
        gp.RandomAttack(),
    ],
    ids=lambda attack: type(attack).__name__,
)
def test_other_attacks_get_the_same_flips(attack: Any) -> None:
    task = gp.Recommendation(interactions(), gp.CF(3))
    found = together(2, lambda ranks: attack(task.over(ranks), 4))
    assert all(same(attack(task, 4), each) for each in found)


@pytest.mark.parametrize("hypergradient", [gp.Approximate(), gp.Unrolled(stops=(3, 8))], ids=repr)
def test_hypergradients_agree(hypergradient: gp.Hypergradient) -> None:
    task = gp.Recommendation(interactions(), gp.CF(4))
    alone = hypergradient(task, ADAM)
    for found in together(3, lambda ranks: hypergradient(task.over(ranks), ADAM)):
        assert torch.equal(found.values, alone.values)
        assert found.loss == alone.loss


def test_implicit_gradients_agree() -> None:
    task = gp.Recommendation(interactions(), gp.CF(3), dtype=torch.float64)
    training = gp.Training(steps=400, lr=0.5, weight_decay=0.05, momentum=0.9)
    alone = gp.Implicit()(task, training)
    found = together(2, lambda ranks: gp.Implicit()(task.over(ranks), training))
    assert all(torch.equal(each.values, alone.values) for each in found)


@pytest.mark.parametrize("block", [17, 50])
@pytest.mark.parametrize("name", ["cf", "gmf-layers", "lightgcn", "bpr", "softmax"])
def test_blocks_and_parts_change_rounding_alone(
    name: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def values(ranks: Ranks = ALONE) -> Tensor:
        loss: Any = name if name in ("bpr", "softmax") else "log"
        model = RECOMMENDERS.get(name, gp.CF(4))
        task = gp.Recommendation(interactions(), model, loss=loss, dtype=torch.float64)
        return gp.Unrolled()(task.over(ranks), ADAM).values

    monkeypatch.setattr(shares, "MOST_PARTS", 1)
    plain = values()
    monkeypatch.setattr(shares, "MOST_PARTS", 16)
    monkeypatch.setattr(shares, "BLOCK", block)
    cut = values()
    torch.testing.assert_close(cut, plain, rtol=1e-9, atol=1e-14)
    assert all(torch.equal(cut, found) for found in together(3, values))


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 999),
    size=st.integers(2, 5),
    k=st.integers(1, 120),
    upper=st.booleans(),
    height=st.integers(1, 12),
)
def test_a_shared_search_finds_the_same(
    seed: int, size: int, k: int, upper: bool, height: int
) -> None:
    draw = torch.Generator().manual_seed(seed)
    left = torch.randn(40, 3, generator=draw)
    right = left if upper else torch.randn(30, 3, generator=draw)
    gradient = FactoredGradient(left, right, upper)
    excluded = (torch.rand(40 * len(right), generator=draw) < 0.1).nonzero().squeeze(1)
    allowed = torch.rand(40, len(right), generator=draw) < 0.6
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("graphpoison.sparse.search.FIRST_ROWS", height)
        arguments = (k, excluded, lambda row, col: allowed[row, col])
        alone = gradient.topk(*arguments)
        for found in together(size, lambda ranks: gradient.topk(*arguments, ranks)):
            assert torch.equal(found[0], alone[0])
            assert torch.equal(found[1], alone[1])


@given(st.integers(0, 5), st.data())
def test_sums_have_one_order(height: int, data: st.DataObject) -> None:
    count = 2**height
    values = torch.randn(count, 3, generator=torch.Generator().manual_seed(count))
    cuts = sorted(data.draw(st.lists(st.integers(0, count), max_size=4)))
    ends = [0, *cuts, count]

    def leaves(start: int, stop: int) -> list[shares.Node]:
        return [(0, number, [values[number].clone()]) for number in range(start, stop)]

    ((top, number, (whole,)),) = fold(leaves(0, count))
    assert (top, number) == (height, 0)
    ranks = [fold(leaves(*pair)) for pair in pairwise(ends)]
    ((_, _, (found,)),) = fold(node for nodes in ranks for node in nodes)
    assert torch.equal(whole, found)


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 5), st.floats(0.0, 1.0), st.integers(1, 9), st.booleans())
def test_every_row_has_one_rank(
    rows: int, columns: int, share: float, size: int, single: bool
) -> None:
    draw = torch.Generator().manual_seed(rows)
    index = (torch.rand(rows, columns, generator=draw) < share).nonzero().t()
    seen, entries = [], []
    for rank in range(size):
        ranks = Ranks(rank, size)
        pattern = Pattern(index[0], index[1], (rows, columns), ranks=ranks)
        for block in blocks(pattern, single):
            seen += list(range(block.rows.start, block.rows.stop))
            entries += list(range(block.entries.start, block.entries.stop))
            assert torch.equal(block.pattern.row + block.rows.start, index[0, block.entries])
            assert torch.equal(block.pattern.col, index[1, block.entries])
            assert block.num_parts == 1 or not single
    assert seen == list(range(rows))
    assert entries == list(range(index.size(1)))


def test_one_process_exchanges_nothing() -> None:
    own = torch.arange(3)
    assert ALONE.gather(own, [3]) is own
    assert ALONE.share(lambda: 5) == ALONE.in_turn(lambda: 5) == 5
    assert ALONE.any(True, own.device)
    ALONE.agree("flips", own.device, "digits")
    with pytest.raises(ValueError, match="init_process_group"):
        Ranks.of_group()
    with pytest.raises(TypeError, match="ranks must be Ranks"):
        gp.Recommendation(interactions(), gp.CF(3)).over(2)  # type: ignore[arg-type]


def test_errors_of_the_first_rank_are_shared() -> None:
    def fail(ranks: Ranks) -> str:
        def work() -> None:
            raise FileNotFoundError(2, "no such file", "flips.npz")

        with pytest.raises(FileNotFoundError, match="no such file") as caught:
            ranks.share(work)
        assert caught.value.filename == "flips.npz"
        return ranks.share(lambda: f"read by {ranks.rank}")

    assert together(3, fail) == ["read by 0"] * 3


def test_ranks_that_disagree_are_refused() -> None:
    def attack(ranks: Ranks) -> str:
        task = gp.Recommendation(interactions(), gp.CF(3), seed=ranks.rank)
        with pytest.raises(
            RankError, match=r"and the settings differ between rank 0 and rank 1\. "
        ):
            gp.MetaAttack(ADAM)(task.over(ranks), 2)
        task = gp.Recommendation(interactions(), gp.CF(3)).over(ranks)
        start = (torch.zeros(90, 3), torch.full((4, 3), float(ranks.rank)))
        with pytest.raises(RankError, match=r"initial parameters differ between rank 0"):
            gp.Unrolled().at(task, ADAM, task.state, start)
        return "refused"

    assert together(2, attack) == ["refused"] * 2


def test_an_error_of_one_rank_ends_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, file = gp.MetaAttack.propose, tmp_path / "flips.npz"

    def propose(self: gp.MetaAttack, task: gp.Task, *rest: Any) -> Any:
        if task.ranks.rank == 1 and rest[-1] == 2:
            raise MemoryError("too little")
        return whole(self, task, *rest)

    task, attack, found = gp.Recommendation(interactions(), gp.CF(3)), gp.MetaAttack(ADAM), {}

    def job(ranks: Ranks) -> None:
        try:
            attack(task.over(ranks), 5, checkpoint=file)
        except Exception as error:
            found[ranks.rank] = error
            raise

    with monkeypatch.context() as patch:
        patch.setattr(gp.MetaAttack, "propose", propose)
        with pytest.raises(RankError, match="has ended or cannot be reached"):
            together(2, job)
    assert type(found[1]) is MemoryError
    assert len(gp.Perturbation.load(file)) == 2
    assert same(attack(task, 5, checkpoint=file), attack(task, 5))


def test_divergence_is_named_by_all() -> None:
    """On the way back each rank has cotangents of its own pairs."""
    model = gp.GMF(8, (8,), scale=1.0, activation="tanh")
    task = gp.Recommendation(interactions(), model)
    training = gp.Training(steps=300, lr=60.0)

    def job(ranks: Ranks) -> str:
        with pytest.raises(FloatingPointError, match="in the reverse pass, at step") as caught:
            gp.Unrolled()(task.over(ranks), training)
        return str(caught.value)

    one, other = together(2, job)
    assert one == other


@pytest.mark.parametrize("model", [gp.CF(3), gp.GMF(3)], ids=["cf", "gmf"])
def test_a_checkpoint_goes_to_any_number_of_ranks(model: Any, tmp_path: Path) -> None:
    task, attack = gp.Recommendation(interactions(), model), gp.MetaAttack(ADAM)
    whole = attack(task, 6)
    for first, then in ((1, 2), (2, 1), (2, 3)):
        file = tmp_path / f"{first}-{then}.npz"
        whole.prefix(3).save(file)
        cut_off(file, first)

        def job(ranks: Ranks, file: Path = file) -> gp.Perturbation:
            return attack(task.over(ranks), 6, checkpoint=file if ranks.first else file.name)

        found = together(then, job)
        assert all(same(each, whole) for each in found)
        assert same(gp.Perturbation.load(file), whole)
        assert found[0].provenance["ranks"] == then


def cut_off(file: Path, ranks: int) -> None:
    """Make the flips of ``file`` a checkpoint that ``ranks`` ranks have left."""
    found = gp.Perturbation.load(file)
    left = {**found.provenance, "ranks": ranks, "finished": False, "flips": len(found)}
    replace(found, provenance=left).save(file)


# processes of a gloo group


def in_processes(size: int, folder: Path, job: Callable[[Ranks, Path], Any]) -> list[Any]:
    """The result of ``job`` in each process of a group, or the name of its error."""
    workers = [
        CONTEXT.Process(target=_session, args=(rank, size, folder, job)) for rank in range(size)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(TIMEOUT)
        assert worker.exitcode is not None, "a process hangs"
    return [
        torch.load(folder / f"{rank}.pt", weights_only=False)
        if (folder / f"{rank}.pt").exists()
        else worker.exitcode
        for rank, worker in enumerate(workers)
    ]


def _session(rank: int, size: int, folder: Path, job: Callable[[Ranks, Path], Any]) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=size
    )
    try:
        result = job(Ranks.of_group(), folder)
    except Exception as error:
        result = f"{type(error).__name__}: {error}"
    torch.save(result, folder / f"{rank}.pt")
    dist.destroy_process_group()


def _some_attacks(ranks: Ranks, folder: Path) -> dict[str, bool]:
    nodes = gp.NodeClassification(citation_graph(num_nodes=120), "sgc")
    attack = gp.MetaAttack(gp.Training(steps=6, lr=0.1))
    cases = {"sgc": (nodes, attack), "cf": (gp.Recommendation(interactions(), gp.CF(5)), attack)}
    return _compared(cases, ranks, folder)


def _many_attacks(ranks: Ranks, folder: Path) -> dict[str, bool]:
    models = {"gmf": gp.GMF(5), "mlp": gp.MLP(4, (4,)), "neumf": gp.NeuMF(4, (5, 3))}
    models |= {"gmf-layers": gp.GMF(5, (6, 3)), "lightgcn": gp.LightGCN(3), "cf": gp.CF(5)}
    cases: dict[str, tuple[gp.Task, Any]] = {}
    for dtype in (torch.float32, torch.float64):
        for name, model in models.items():
            task = gp.Recommendation(interactions(), model, dtype=dtype)
            cases[f"{name} {dtype}"] = task, gp.MetaAttack(ADAM, 2)
    cases["prbcd"] = cases["cf torch.float32"][0], gp.PRBCD(ADAM, 3, 60)
    return _compared(cases, ranks, folder)


def _compared(cases: dict[str, tuple[gp.Task, Any]], ranks: Ranks, folder: Path) -> dict[str, bool]:
    """Whether the flips, and the checkpoint, are those of one process."""
    found = {}
    for name, (task, attack) in cases.items():
        file = folder / f"{name}.npz"
        shared = attack(task.over(ranks), 6, checkpoint=file)
        found[name] = same(attack(task, 6), shared) and same(gp.Perturbation.load(file), shared)
    return found


def _killed(ranks: Ranks, folder: Path) -> None:
    whole = gp.MetaAttack.propose

    def propose(self: gp.MetaAttack, *rest: Any) -> Any:
        if ranks.rank == 1 and rest[-1] == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(self, *rest)

    gp.MetaAttack.propose = propose  # type: ignore[method-assign]
    task = gp.Recommendation(interactions(), gp.CF(5)).over(ranks)
    gp.MetaAttack(ADAM)(task, 5, checkpoint=folder / "flips.npz")


def test_processes_get_the_same_flips(tmp_path: Path) -> None:
    for found in in_processes(2, tmp_path, _some_attacks):
        assert found == {"sgc": True, "cf": True}


def _mapped(ranks: Ranks, folder: Path) -> list[Any]:
    def work() -> gp.Recommendation:
        return gp.Recommendation(interactions(), gp.CF(5))

    def fail() -> None:
        raise FileNotFoundError(2, "no such file", "log.csv")

    task = ranks.mapped(work)
    with pytest.raises(FileNotFoundError, match="no such file"):
        ranks.mapped(fail)
    flips = gp.MetaAttack(ADAM, 2)(task.over(ranks), 4)
    return [same(flips, gp.MetaAttack(ADAM, 2)(work(), 4)), ranks.mailbox is not None]


def test_the_first_process_makes_a_task_for_all(tmp_path: Path) -> None:
    shared = Peer.this().home is not None
    assert in_processes(2, tmp_path, _mapped) == [[True, shared]] * 2


@pytest.mark.slow
def test_processes_get_the_same_flips_of_every_model(tmp_path: Path) -> None:
    for found in in_processes(2, tmp_path, _many_attacks):
        assert len(found) == 13
        assert all(found.values()), found


def test_a_killed_process_ends_the_other(tmp_path: Path) -> None:
    first, second = in_processes(2, tmp_path, _killed)
    assert first.startswith("RankError: another process of this attack has ended")
    assert second == -signal.SIGKILL
    assert len(gp.Perturbation.load(tmp_path / "flips.npz")) == 2


# the command line


def test_the_first_to_end_decides_how_all_end() -> None:
    store = dist.HashStore()
    first, second = (Processes(Ranks(rank, 2), store) for rank in (0, 1))
    assert second.end(1, "error: no memory") == (1, "error: no memory")
    assert first.end(143, "interrupted: 4 flips") == (1, "error: no memory")
    error = first.gone()
    assert type(error) is RankError
    assert str(error) == "error: no memory"


def test_interrupts_keep_the_words_of_each() -> None:
    store = dist.HashStore()
    first, second = (Processes(Ranks(rank, 2), store) for rank in (0, 1))
    assert second.end(143, "interrupted") == (143, "interrupted")
    assert isinstance(first.gone(), Terminated)
    assert first.end(130, "interrupted: 4 flips") == (143, "interrupted: 4 flips")
    assert Processes().end(2, "error") == (2, "error")


def test_a_process_that_says_nothing_was_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphpoison.cli.processes.PATIENCE", 0.05)
    error = Processes(Ranks(0, 2), dist.HashStore()).gone()
    assert "died without a message" in str(error)


def test_each_process_needs_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert device_of("cpu", Ranks(1, 2)) == "cpu"
    assert device_of("cuda:1", ALONE) == "cuda:1"
    assert device_of("cuda", Ranks(1, 2)) == "cuda:1"
    with pytest.raises(ValueError, match="one GPU for all processes"):
        device_of("cuda:0", Ranks(1, 2))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ValueError, match="this machine has 1 for 2 processes"):
        device_of("cuda", Ranks(1, 2))


def write_log(path: Path) -> Path:
    draw = np.random.default_rng(0)
    pairs = [(u, i) for u in range(200) for i in draw.choice(4, 2, replace=False)]
    path.write_text("user,item\n" + "".join(f"u{u},i{i}\n" for u, i in pairs))
    return path


HURT = """
import os, signal, sys
import graphpoison as gp
from graphpoison.cli import app
whole = gp.MetaAttack.propose
def propose(self, task, state, limit, seed, step):
    if step == 4 and os.environ["RANK"] == "1":
        if sys.argv[-1] == "error":
            raise MemoryError("too little")
        os.kill(os.getpid(), getattr(signal, sys.argv[-1]))
    return whole(self, task, state, limit, seed, step)
gp.MetaAttack.propose = propose
app(sys.argv[1:-1], prog_name="graphpoison")
"""


def torchrun(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    package = str(Path(gp.__file__).parents[1])
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    return subprocess.run(
        [*command, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": package, "OMP_NUM_THREADS": "1"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


COMMAND = ["attack", "log.csv", "--attack=meta", "--surrogate=gmf", "--steps=8", "--budget=6"]


@pytest.mark.slow
def test_torchrun_makes_the_flips_of_one_process(tmp_path: Path) -> None:
    write_log(tmp_path / "log.csv")
    ran = torchrun("-m", "graphpoison", *COMMAND, "--json", "--out", "two.npz", folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["flips"] == 6
    assert ran.stderr.count("users are 'user'") == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert CliRunner().invoke(app, [*COMMAND, "--out", "one.npz"]).exit_code == 0
    found = [gp.Perturbation.load(tmp_path / name) for name in ("one.npz", "two.npz")]
    assert same(*found)
    assert [each.provenance["ranks"] for each in found] == [1, 2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "code", "text"),
    [
        ("error", 1, "error: too little"),
        ("SIGTERM", 143, "interrupted: flips.checkpoint.npz holds 4 flips; the same command"),
        ("SIGKILL", None, "error: another process of this command has died without a message"),
    ],
)
def test_what_ends_one_process_ends_all(
    kind: str, code: int | None, text: str, tmp_path: Path
) -> None:
    write_log(tmp_path / "log.csv")
    (tmp_path / "hurt.py").write_text(HURT)
    ran = torchrun("hurt.py", *COMMAND, kind, folder=tmp_path)
    lines = [line for line in ran.stderr.splitlines() if line.startswith(("error", "interrupted"))]
    assert len(lines) == 1
    assert lines[0].startswith(text)
    if code is not None:
        assert ran.stderr.count(f"exitcode  : {code} ") == 2
    held = gp.Perturbation.load(tmp_path / "flips.checkpoint.npz")
    assert len(held) == 4


@pytest.mark.slow
def test_other_commands_are_refused(tmp_path: Path) -> None:
    ran = torchrun("-m", "graphpoison", "datasets", folder=tmp_path)
    assert ran.stderr.count("datasets runs in one process") == 1
    assert ran.stderr.count("exitcode  : 2 ") == 2
