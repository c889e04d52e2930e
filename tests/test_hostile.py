"""Values of other types, out of range, huge, NaN or empty: refused with a sentence, or right."""

import logging

import pytest
from hostile import CALLS, FIELDS, TENSORS, VALUES, outcome

BAD = ("unclear", "wrong", "hang")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [*CALLS, *FIELDS])
def test_hostile_values_are_refused_or_harmless(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    call = CALLS.get(name) or FIELDS[name]
    values = VALUES if name in CALLS else {**TENSORS, **VALUES}
    found = [outcome(name, call, described, value) for described, value in values.items()]
    assert [each for each in found if each.kind in BAD] == []
