"""Progress without a terminal."""

import io
import logging
import sys

import pytest
from tqdm.auto import tqdm

from graphpoison import _progress
from graphpoison._progress import Lines, clock, paced, progress_bar, tracked
from graphpoison.cli.output import logs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    """A clock that stands still until it is moved."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake = Clock()
    monkeypatch.setattr(_progress, "time", fake)
    return fake


def stderr(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO) -> io.StringIO:
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def test_a_line_after_5_seconds_then_every_30(time: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    out = stderr(monkeypatch, io.StringIO())
    with progress_bar(100, "flip", shown=True) as bar:
        for _ in range(100):
            time.now += 1.0
            bar.update(1)
    assert out.getvalue().splitlines() == [
        "5 of 100 flips in 0:05, about 1:35 left",
        "35 of 100 flips in 0:35, about 1:05 left",
        "65 of 100 flips in 1:05, about 0:35 left",
        "95 of 100 flips in 1:35, about 0:05 left",
        "100 of 100 flips in 1:40",
    ]


def test_a_short_loop_says_nothing(time: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    out = stderr(monkeypatch, io.StringIO())
    for _ in tracked(range(4), 4, "item", shown=True):
        time.now += 1.0
    assert out.getvalue() == ""


def test_one_long_step_says_nothing(time: Clock) -> None:
    said: list[str] = []
    with Lines(1, "flip", said.append) as lines:
        time.now += 600.0
        lines.update()
    assert said == []


def test_work_of_an_earlier_run_does_not_shorten_the_rest(time: Clock) -> None:
    said: list[str] = []
    lines = Lines(1000, "flip", said.append, initial=900)
    time.now += 10.0
    lines.refresh()  # nothing is done yet: no rate
    time.now += 30.0
    lines.update(10)
    assert said == ["900 of 1,000 flips in 0:10", "910 of 1,000 flips in 0:40, about 6:00 left"]


def test_an_interrupted_loop_ends_with_its_state(
    time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = stderr(monkeypatch, io.StringIO())
    bar = progress_bar(10, "flip", shown=True)
    for _ in range(2):
        time.now += 6.0
        bar.update(1)
    with pytest.raises(KeyboardInterrupt), bar:
        raise KeyboardInterrupt
    assert out.getvalue().splitlines()[-1] == "2 of 10 flips in 0:12, about 0:48 left"


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    out = stderr(monkeypatch, Terminal())
    assert list(tracked("abc", 3, "item", shown=True)) == ["a", "b", "c"]
    assert "3/3" in out.getvalue()


def test_a_notebook_has_the_bar_of_tqdm(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr(monkeypatch, io.StringIO())
    monkeypatch.setattr(_progress, "tqdm_notebook", tqdm)
    assert isinstance(progress_bar(3, "item", shown=True), tqdm)


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_no_progress(time: Clock, monkeypatch: pytest.MonkeyPatch, stream: io.StringIO) -> None:
    out = stderr(monkeypatch, stream)
    for _ in tracked("abc", 3, "item", shown=False):
        time.now += 60.0
    assert out.getvalue() == ""


def test_a_loop_within_a_step_logs_its_pace(time: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for _ in paced(3, "gradient"):
        time.now += 4.0
    assert caplog.messages == [
        "2 of 3 gradients in 0:08, about 0:04 left",
        "3 of 3 gradients in 0:12",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (59.6, "1:00"), (230, "3:50"), (3723, "1:02:03")]
)
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


@pytest.mark.parametrize("shown", [True, False])
def test_the_command_line_shows_the_pace_only_with_progress(
    time: Clock, monkeypatch: pytest.MonkeyPatch, shown: bool
) -> None:
    out = stderr(monkeypatch, io.StringIO())
    with logs(progress=shown):
        for _ in paced(3, "gradient"):
            time.now += 4.0
        logging.getLogger("graphpoison").info("done")
    assert out.getvalue().splitlines()[-1] == "done"
    assert ("of 3 gradients" in out.getvalue()) == shown
