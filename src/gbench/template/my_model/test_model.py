"""The laws every model obeys, held over this one: `pytest` in this folder runs them."""

from pathlib import Path

import pytest

from gbench.laws import examine, laws_of

MODEL = str(Path(__file__).parent.resolve())


@pytest.mark.parametrize("law", laws_of(MODEL))
def test_it_obeys(law: str) -> None:
    finding = examine(MODEL, law)
    if finding.holds is None:
        pytest.skip(finding.sentence)
    assert finding.holds, finding.sentence
