"""How attacks and evaluations stand hostile input, kills, signals, company and damage:
``make reliability`` writes docs/reliability.md.
"""

import argparse
import json
import logging
import os
import signal
import tempfile
import time
import warnings
from collections import Counter
from importlib.metadata import distribution, requires
from pathlib import Path

import killed
import numpy as np
import pandas as pd
import torch
from conftest import interaction_graph
from damage import FORMATS

import graphpoison as gp
from graphpoison._store import Store
from graphpoison._version import __version__
from graphpoison.attacks import checkpoint

Rows = list[tuple[object, ...]]
PLACES = 200
"""Places of a file at which a bit is changed."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--signals", type=int, default=12, help="of each kind")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("docs/reliability.md"))
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    draw = np.random.default_rng(0)
    began = time.monotonic()
    parts = [
        inputs(),
        section("Kills", "job | kills | resumed to the same result", kills(args.kills, draw)),
        section(
            "Signals", "signal | sent | resumed to the same flips", signals(args.signals, draw)
        ),
        section("Two processes, one file", "work | pairs | nothing lost", company(args.pairs)),
        section("Changed bits", "file | places | refused | harmless | another result", bits(draw)),
        fuzzed(Path("out/fuzz.json")),
        mutants(Path("out/mutants.json")),
        coverage(Path("out/coverage.json")),
        section("Licences", "package | version | licence", licences()),
    ]
    minutes = (time.monotonic() - began) / 60
    intro = (
        f"Measured by `make reliability` in {minutes:.0f} minutes: graphpoison {__version__}, "
        f"torch {torch.__version__}, seed 0. A row with fewer successes than trials is a "
        "defect, and so is another result of a file with a digest in *Changed bits*.\n"
    )
    args.out.write_text("\n".join(["# Reliability", "", intro, *parts]))


def section(title: str, head: str, rows: Rows) -> str:
    columns = head.count("|") + 1
    print(title, time.strftime("%X"), flush=True)  # noqa: T201
    lines = [f"## {title}", "", f"| {head} |", "| --- " * columns + "|"]
    lines += [f"| {' | '.join(map(str, row))} |" for row in rows]
    return "\n".join([*lines, ""])


def inputs() -> str:
    from hostile import outcomes  # each process imports this module

    found = list(outcomes())
    count = Counter(each.kind for each in found)
    calls = len({each.call for each in found})
    kinds = ("refused", "accepted", "unclear", "wrong", "hang")
    table = section("Hostile inputs", " | ".join(kinds), [tuple(count[kind] for kind in kinds)])
    rest = [
        f"- `{each.call}`, {each.value}: {each.kind} {each.said}"
        for each in found
        if each.kind not in ("refused", "accepted")
    ]
    said = (
        f"{len(found):,} inputs: values of other types, out of range, huge, NaN or empty, for "
        f"each of {calls} arguments and fields of a graph, one at a time (`tests/hostile.py`). "
        "*Refused*: an error that says a sentence, of a class for bad input. *Accepted*: the flips "
        "are pairs of the graph, each once, within the budget, or the figures are finite. *Wrong*: "
        "they are not. *Hang*: no end within 20 seconds.\n"
    )
    return "\n".join([table, said, *rest, ""])


def kills(total: int, draw: np.random.Generator) -> Rows:
    """Sessions that SIGKILL ends at a drawn moment, then one session to the end."""
    rows, left = [], total
    names = list(killed.JOBS)
    while left > 0:
        for name in names:
            with tempfile.TemporaryDirectory() as place:
                expected = killed.JOBS[name](Path(place))
            with tempfile.TemporaryDirectory() as place:
                stops = [int(draw.integers(0, 6)) for _ in range(3)]
                count = killed.kill_and_resume(name, Path(place), stops, draw)
                found = killed.JOBS[name](Path(place))  # reads the finished files
            rows.append((name, count, count if same(found, expected) else 0))
            left -= count
            if left <= 0:
                break
    table = pd.DataFrame(rows).groupby(0, sort=False).sum().reset_index()
    return [*table.itertuples(index=False, name=None), ("all", *table[[1, 2]].sum())]


def same(found: pd.DataFrame, expected: pd.DataFrame) -> bool:
    try:
        pd.testing.assert_frame_equal(found, expected)
    except AssertionError:
        return False
    return True


ATTACK = gp.MetaAttack(killed.SHORT, 2)
BUDGET = 30


def attack_at(path: Path, _: int = 0) -> None:
    checkpoint.SAVE_EVERY_SECONDS = 0.0
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it, and
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell this one in the background
    ATTACK(killed.link_task(), BUDGET, checkpoint=path)


def signals(count: int, draw: np.random.Generator) -> Rows:
    """Attacks that a signal ends at a drawn moment, and that go on."""
    expected = ATTACK(killed.link_task(), BUDGET).flips
    rows: Rows = []
    for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        sent = right = 0
        while sent < count:
            with tempfile.TemporaryDirectory() as place:
                path = Path(place, "flips.npz")
                process = killed.CONTEXT.Process(target=attack_at, args=(path,))
                process.start()
                while process.is_alive() and not path.exists():
                    time.sleep(0.001)
                time.sleep(draw.uniform(0, 0.02))
                assert process.pid is not None
                alive = process.is_alive()
                os.kill(process.pid, kind) if alive else None
                process.join()
                if not alive or process.exitcode == 0:
                    continue  # it was done before
                sent += 1
                kept = len(gp.Perturbation.load(path))
                resumed = ATTACK(killed.link_task(), BUDGET, checkpoint=path).flips
                right += kept > 0 and same(resumed, expected)
        rows.append((kind.name, sent, right))
    return rows


def evaluate_at(path: Path, first: int) -> None:
    data = interaction_graph()
    flips = gp.RandomAttack()(killed.link_task(), 6)
    victim = gp.RecommenderVictim(gp.CF(dim=2), "cf", killed.SHORT)
    gp.evaluate(data, flips, [victim], range(first, first + 5), checkpoint=path)


def company(pairs: int) -> Rows:
    """Two processes at once on one file."""
    rows: Rows = []
    for name, work in (("attack", attack_at), ("evaluate", evaluate_at)):
        right = 0
        for _ in range(pairs // 2):
            with tempfile.TemporaryDirectory() as place:
                path = Path(place, "file")
                both = [killed.CONTEXT.Process(target=work, args=(path, n)) for n in (0, 3)]
                for process in both:
                    process.start()
                for process in both:
                    process.join()
                if name == "attack":  # the second is refused, or finds the work done
                    complete = len(gp.Perturbation.load(path)) == BUDGET
                else:
                    complete = sum(key.startswith('["unit"') for key in Store(path).all()) == 8
                right += complete and any(process.exitcode == 0 for process in both)
        rows.append((name, pairs // 2, right))
    return rows


def bits(draw: np.random.Generator) -> Rows:
    """One bit of a file changed, many times."""
    rows: Rows = []
    with tempfile.TemporaryDirectory() as place:
        for each in FORMATS:
            path = Path(place, each.name)
            each.make(path)
            content, whole = path.read_bytes(), each.read(path)
            found: Counter[str] = Counter()
            bits = 8 * len(content)
            for where in draw.choice(bits, min(PLACES, bits), replace=False):
                damaged = bytearray(content)
                damaged[where // 8] ^= 1 << int(where % 8)
                path.write_bytes(damaged)
                try:
                    found["harmless" if each.read(path) == whole else "another"] += 1
                except ValueError:
                    found["refused"] += 1
            named = each.name if each.checked else f"{each.name}, no digest"
            rows.append(
                (named, found.total(), found["refused"], found["harmless"], found["another"])
            )
    return rows


def fuzzed(path: Path) -> str:
    """The figures of the last ``make fuzz``."""
    if not path.exists():
        return ""
    found = json.loads(path.read_text())
    rows: Rows = [(name, f"{row['inputs']:,}", row["errors"]) for name, row in found.items()]
    said = (
        "`make fuzz` gives each parser inputs that reach new branches of it "
        "([atheris](https://github.com/google/atheris)). An error is an exception other than a "
        "ValueError, other content of a file with a digest, 10 seconds or 4 GB.\n"
    )
    return section("Fuzzed", "parser or file | inputs | errors", rows) + "\n" + said


def mutants(path: Path) -> str:
    """The figures of the last ``make mutants``."""
    if not path.exists():
        return ""
    found = json.loads(path.read_text())
    packages = {
        **found["packages"],
        "all": dict(sum(map(Counter, found["packages"].values()), Counter())),
    }
    rows = [
        (name, row["mutants"], row["tried"], row["killed"], f"{row['killed'] / row['tried']:.1%}")
        for name, row in packages.items()
    ]
    said = (
        "`make mutants` changes one expression of a module at a time, and a test has to fail "
        "([mutmut](https://mutmut.readthedocs.io)). The mutants that were tried are drawn from all "
        "mutants, without mutants of sentences and of `device=` and `strict=`, which change no "
        "result on a CPU.\n"
    )
    head = "module | mutants | tried | killed | share"
    return section("Mutants", head, rows) + "\n" + said


def coverage(path: Path) -> str:
    """The figures of the last ``make coverage``."""
    if not path.exists():
        return ""
    total = json.loads(path.read_text())["totals"]
    kinds = {
        "lines": (total["num_statements"], total["covered_lines"]),
        "branches": (total["num_branches"], total["covered_branches"]),
    }
    rows = [(name, of, covered, f"{covered / of:.1%}") for name, (of, covered) in kinds.items()]
    said = "`make coverage` runs the tests of `make test` under coverage.py.\n"
    return section("Coverage", "of | all | covered | share", rows) + "\n" + said


def licences() -> Rows:
    """Of the packages that an installation needs."""
    rows: Rows = []
    for requirement in sorted(requires("graphpoison") or []):
        if "extra ==" in requirement:
            continue
        name = requirement.partition(">")[0].strip()
        found = distribution(name).metadata
        text = found.get("License-Expression") or found.get("License") or ""
        classes = [each for each in found.get_all("Classifier") or [] if "License" in each]
        named = 0 < len(text) <= 60 or not classes
        short = text if named else classes[-1].rpartition("::")[2]
        rows.append((name, distribution(name).version, short.strip()[:60]))
    return rows


if __name__ == "__main__":
    main()
