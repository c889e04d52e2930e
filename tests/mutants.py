"""Mutation testing of the modules that results depend on: ``make mutants``.

mutmut changes one expression at a time; a test has to fail. ``[tool.mutmut]`` in pyproject.toml
names the modules and the tests. A share of all mutants is drawn, without mutants of sentences and
without mutants that no result shows on a CPU (``device=``, ``strict=True``). Of the tests that run
a mutated function, the quickest are taken, up to a number of seconds: the share of killed mutants
is a lower bound. Mutants that were killed before are not tried again.
"""

import argparse
import json
import random
import re
from collections import Counter
from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path
from typing import Any

import mutmut.__main__ as tool
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.state import state

KILLED = ("killed", "timeout", "segfault", "suspicious", "caught by type check")
HIDDEN = re.compile(r'[fr]{0,2}"[^"]* [^"]*"|,? ?strict=\w+|,? ?device=[\w.]+|\.to\([\w.]*\)')


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--share", type=float, default=0.2, help="of all mutants that is tried")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=10.0, help="of tests for each mutant")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("out/mutants.json"))
    args = parser.parse_args()
    every, runner, drawn = tool.collect_source_file_mutation_data, tool.get_mutant_runner, []

    def sampled(*, mutant_names: Any) -> Any:
        mutants, data = every(mutant_names=mutant_names)
        draw = random.Random(args.seed)
        drawn.extend(
            (data, name, result if tool.status_by_exit_code[result] in KILLED else None)
            for data, name, result in mutants
            if draw.random() < args.share and not hidden(data, name)
        )
        totals.update(package(each[0]) for each in mutants)
        chosen = state().tests_by_mangled_function_name
        chosen.update({name: quickest(tests, args.seconds) for name, tests in chosen.items()})
        return drawn, data

    def passing(*children: Any) -> Any:
        found = runner(*children)
        found.run_clean_tests = lambda tests: 0  # all tests have passed when they were timed
        return found

    totals: Counter[str] = Counter()
    tool.collect_source_file_mutation_data = sampled
    tool.get_mutant_runner = passing
    tool._run((), args.processes)
    rows: dict[str, Counter[str]] = {}
    alive = []
    for data, name, _ in drawn:
        status = tool.status_by_exit_code[data.exit_code_by_key[name]]
        killed = status in KILLED
        rows.setdefault(package(data), Counter()).update(tried=1, killed=killed)
        if not killed:
            alive.append(f"{name} ({status})")
    found = {name: {"mutants": totals[name], **row} for name, row in sorted(rows.items())}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"packages": found, "alive": sorted(alive)}, indent=1))


def quickest(tests: Iterable[str], seconds: float) -> list[str]:
    """The tests that take the least time, the first in any case."""
    took = state().duration_by_test
    found = sorted(tests, key=took.__getitem__)
    within = accumulate(took[test] for test in found)
    return [test for test, sum_ in zip(found, within, strict=True) if sum_ <= seconds] or found[:1]


def package(data: SourceFileMutationData) -> str:
    return Path(data.path).parts[1].removesuffix(".py")


def hidden(data: SourceFileMutationData, name: str) -> bool:
    """Whether the two versions are the same but for parts that no result shows."""
    lines = get_diff_for_mutant(name, path=data.path).splitlines()
    before, after = (
        [
            HIDDEN.sub("", line[1:]).rstrip(", )")
            for line in lines
            if line[:1] == mark and line[:3] != mark * 3
        ]
        for mark in "-+"
    )
    return before == after


if __name__ == "__main__":
    main()
