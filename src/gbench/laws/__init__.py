"""The laws every model obeys, to be held over a model by its tests, here and in packages outside.

    import pytest
    from gbench.laws import examine, laws_of

    @pytest.mark.parametrize("law", laws_of("./my_model"))
    def test_my_model_obeys(law):
        finding = examine("./my_model", law)
        assert finding.holds is not False, finding.sentence

``gbench models check`` prints the same findings as a table.
"""

from gbench.laws.changes import CHANGES, Change, rewrite
from gbench.laws.finding import TOLERANCE, Finding
from gbench.laws.subjects import (
    batch_of,
    claims,
    crystals_with_pairs,
    is_network,
    network,
    predict,
    prototypes,
    shaken_prototypes,
)
from gbench.laws.verdict import Report, check, examine, laws_of

__all__ = [
    "CHANGES",
    "TOLERANCE",
    "Change",
    "Finding",
    "Report",
    "batch_of",
    "check",
    "claims",
    "crystals_with_pairs",
    "examine",
    "is_network",
    "laws_of",
    "network",
    "predict",
    "prototypes",
    "rewrite",
    "shaken_prototypes",
]
