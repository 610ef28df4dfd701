"""Statistics of scores. Nothing here knows a model: arrays or DataFrames in, numbers or DataFrames out.

``docs/statistics.md`` says which is used where, and what simulation found of each.
"""

from gbench.stats.aggregate import mean_ranks, mean_skills
from gbench.stats.change import rises
from gbench.stats.comparison import corrected_t_test, paired_bootstrap
from gbench.stats.holm import holm
from gbench.stats.intervals import Interval, t_interval
from gbench.stats.pairs import compare_folds, compare_items
from gbench.stats.picture import critical_difference, critical_difference_svg
from gbench.stats.ranks import rank_groups

__all__ = [
    "Interval",
    "compare_folds",
    "compare_items",
    "corrected_t_test",
    "critical_difference",
    "critical_difference_svg",
    "holm",
    "mean_ranks",
    "mean_skills",
    "paired_bootstrap",
    "rank_groups",
    "rises",
    "t_interval",
]
