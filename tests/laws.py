"""The laws of models (:mod:`gbench.laws`), and the networks they are held over."""

from gbench.laws import (
    CHANGES,
    Finding,
    batch_of,
    claims,
    crystals_with_pairs,
    is_network,
    network,
    predict,
    rewrite,
)
from gbench.registry import model_names

__all__ = [
    "CHANGES", "NETWORKS", "assert_holds", "batch_of", "claims", "crystals_with_pairs", "network", "predict", "rewrite",
]  # fmt: skip

NETWORKS = [name for name in model_names() if is_network(name)]


def assert_holds(finding: Finding) -> None:
    """Fail unless the law holds."""
    assert finding.holds, finding.sentence
