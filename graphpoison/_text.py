"""Words of messages, tables and pages."""


def counted(number: int, noun: str) -> str:
    """``"1 flip"``, ``"1,200 flips"``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def further(k: int, gain: float) -> str:
    """``"into the top-10 lists of a further 1% of the users"``."""
    return f"into the top-{k} lists of a further {100 * gain:g}% of the users"


def duration(seconds: float) -> str:
    """``"0.35 s"``, ``"12 min"``, ``"3.1 days"``: two digits, in the unit that fits."""
    for unit, size in (("years", 31_557_600), ("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{_two_digits(seconds / size)} {unit}"
    return f"{_two_digits(seconds)} s"


def memory(count: float) -> str:
    """``"410 MB"``, ``"17 GB"``: two digits, units of powers of 1,000."""
    unit, size = ("GB", 1e9) if count >= 1e9 else ("MB", 1e6)
    return f"{_two_digits(count / size)} {unit}"


def _two_digits(value: float) -> str:
    rounded = float(f"{value:.2g}")
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:g}"
