"""Words of messages, tables and pages."""


def counted(number: int, noun: str) -> str:
    """``"1 flip"``, ``"1,200 flips"``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
