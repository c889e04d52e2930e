"""Coverage-guided fuzzing of everything that reads text or files: ``make fuzz``.

Each target runs in a process of its own: atheris does not return. A target ends with an error when
an input raises something else than a ValueError, changes the content of a file with a digest, or
takes longer than ten seconds or 4 GB.
"""

import argparse
import json
import logging
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["graphpoison"], enable_loader_override=False):
    from damage import FORMATS, Format, tried

    from graphpoison.cli.chosen_ids import number_or_share, share
    from graphpoison.parsing import parse_budget, parse_constraint

Target = Callable[[bytes], None]


def of_text(read: Callable[[str], object]) -> Target:
    def target(content: bytes) -> None:
        tried(lambda: read(content.decode("utf-8", "replace")))

    return target


def of_file(of: Format, folder: Path) -> Target:
    path = folder / of.name
    of.make(path)
    whole = of.read(path)

    def target(content: bytes) -> None:
        path.write_bytes(content)
        found, refused = tried(lambda: of.read(path))
        assert not refused or of.name in refused, refused
        assert refused or not of.checked or not content or found == whole

    return target


TEXT: dict[str, tuple[Target, str]] = {
    "budget": (of_text(parse_budget), "5%"),
    "constraint": (of_text(parse_constraint), "node-budget=3"),
    "number": (of_text(lambda text: number_or_share("fake_users", text, 50)), "0.5"),
    "share": (of_text(lambda text: share("max_profile_share", text)), "25%"),
}
FILES = {each.name: each for each in FORMATS if not each.checked or each.name == "flips.npz"}
"""Of the formats with digests one: random changes are refused by the digests."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", default=[*TEXT, *FILES])
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--out", type=Path, default=Path("out/fuzz.json"))
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        fuzz(args.targets[0], args.seconds)
    found = {name: alone(name, args.seconds) for name in args.targets}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(found, indent=1))
    failed = [name for name, row in found.items() if row["errors"]]
    sys.exit(f"errors in {', '.join(failed)}" if failed else 0)


def alone(name: str, seconds: int) -> dict[str, int]:
    """The inputs that a process tries on the target ``name``, and whether one of them fails."""
    command = [sys.executable, __file__, name, "--seconds", str(seconds), "--one"]
    done = subprocess.run(command, capture_output=True, text=True)
    runs = re.search(r"number_of_executed_units: +([0-9]+)", done.stderr)
    failed = bool(done.returncode) or runs is None
    inputs = 0 if runs is None else int(runs[1])
    print(name, inputs, done.stderr[-3000:] if failed else "", flush=True)  # noqa: T201
    return {"inputs": inputs, "errors": int(failed)}


def fuzz(name: str, seconds: int) -> None:
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as place:
        folder, corpus = Path(place), Path(place, "corpus")
        corpus.mkdir()
        if name in TEXT:
            target, seed = TEXT[name]
            (corpus / "seed").write_text(seed)
        else:
            target = of_file(FILES[name], folder)
            (corpus / "seed").write_bytes((folder / name).read_bytes())
        limits = [f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=4096"]
        limits += ["-verbosity=0", "-print_final_stats=1"]
        atheris.Setup([sys.argv[0], *limits, str(corpus)], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
