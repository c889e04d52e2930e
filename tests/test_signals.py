"""Signals that end a process let a run save what it has, and nothing of them stays."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import citation_graph

import graphpoison as gp
from graphpoison._signals import ENDING, Terminated, terminable

SHORT = gp.Training(steps=3, lr=0.1)


@pytest.fixture(autouse=True)
def usual() -> Iterator[None]:
    """The tests may run where a signal is ignored, as under nohup."""
    before = [signal.signal(number, signal.SIG_DFL) for number in ENDING]
    yield
    for number, handler in zip(ENDING, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ENDING, ids=lambda number: number.name)
def test_an_attack_that_is_ended_keeps_its_flips(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, calls = gp.MetaAttack.propose, []

    def propose(self: gp.MetaAttack, *args: object) -> object:
        calls.append(args)
        if len(calls) == 4:
            os.kill(os.getpid(), number)
        return whole(self, *args)

    file, task = tmp_path / "flips.npz", gp.NodeClassification(citation_graph())
    with monkeypatch.context() as patch:
        patch.setattr(gp.MetaAttack, "propose", propose)
        with pytest.raises(Terminated, match=number.name):
            gp.MetaAttack(SHORT)(task, 6, checkpoint=file)
    assert len(gp.Perturbation.load(file)) in (3, 4)
    resumed = gp.MetaAttack(SHORT)(task, 6, checkpoint=file)
    assert resumed.flips.equals(gp.MetaAttack(SHORT)(task, 6).flips)
    assert all(signal.getsignal(each) is signal.SIG_DFL for each in ENDING)


def test_a_second_signal_does_not_stop_the_last_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, calls, save = gp.MetaAttack.propose, [], gp.Perturbation.save

    def propose(self: gp.MetaAttack, *args: object) -> object:
        calls.append(args)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return whole(self, *args)

    def saving(self: gp.Perturbation, path: Path) -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        save(self, path)

    file = tmp_path / "flips.npz"
    monkeypatch.setattr(gp.MetaAttack, "propose", propose)
    monkeypatch.setattr(gp.Perturbation, "save", saving)
    with pytest.raises(Terminated, match="SIGTERM"):
        gp.MetaAttack(SHORT)(gp.NodeClassification(citation_graph()), 6, checkpoint=file)
    assert len(gp.Perturbation.load(file)) >= 2


def test_handlers_of_others_stay() -> None:
    def theirs(*_: object) -> None: ...

    before = signal.signal(signal.SIGTERM, theirs)
    try:
        with terminable():
            assert signal.getsignal(signal.SIGTERM) is theirs
    finally:
        signal.signal(signal.SIGTERM, before)


def test_an_attack_may_run_in_a_thread() -> None:
    found = []
    task = gp.NodeClassification(citation_graph())
    thread = threading.Thread(target=lambda: found.append(gp.MetaAttack(SHORT)(task, 2)))
    thread.start()
    thread.join()
    assert len(found[0]) == 2
