"""The page on split cards says what is so."""

import re

import pytest

from gbench.audit import verdict
from gbench.content import content_root

PAGE = content_root() / "docs" / "splits.md"


@pytest.fixture
def text() -> str:
    if not PAGE.is_file():
        pytest.skip("a wheel has no docs")
    return PAGE.read_text(encoding="utf-8")


def test_its_example_runs(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    exec(code, {})
    promised = code.rpartition("# ")[2].strip()
    assert capsys.readouterr().out.strip() == promised


def test_its_limits_are_those_of_the_code(text: str) -> None:
    assert f"{100 * verdict.LEAK_SHARE:.0f} % or more of the test rows" in text
    assert f"no distance ratio above {verdict.OOD_RATIO}, classifier AUC at most {verdict.OOD_AUC}" in text
    assert f"a distance ratio of {verdict.STRONG_RATIO} or more" in text
    assert f"Kolmogorov-Smirnov distance of {verdict.STRONG_KS} or more" in text
