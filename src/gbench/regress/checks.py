"""Checks: what was found, beside what was stored."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from gbench.cards import Frozen
from gbench.regress.published import Pair
from gbench.regress.reference import TrainingRecord
from gbench.regress.suite import PublishedCase, SpeedCase, Suite
from gbench.regress.trainings import KEYS, Trained
from gbench.stats import rises

Kind = Literal["graphs", "weights", "errors", "published", "speed"]


class Check(Frozen):
    """One check."""

    kind: Kind
    name: str
    ok: bool
    expected: str
    found: str
    limit: str = ""
    why: str = ""
    """If it failed: what that means and what to do, in a sentence."""

    @property
    def result(self) -> str:
        """In a word."""
        return "ok" if self.ok else "REGRESSION"


def check_graphs(name: str, trained: Trained, stored: TrainingRecord) -> Check:
    """Whether the edges are those of the reference, as built and as batched."""
    now, then = trained.edges, stored.edges
    ok = now == then
    places = [] if ok or now is None or then is None else [
        words
        for words, same in (("as built", now.built == then.built), ("as batched", now.batched == then.batched))
        if not same
    ]  # fmt: skip
    return Check(
        kind="graphs",
        name=name,
        ok=ok,
        expected=then.built[:12] if then else "no edges",
        found=now.built[:12] if now else "no edges",
        limit="equal",
        why=""
        if ok
        else f"the edges {' and '.join(places) or 'are there or not'} are others than those of the reference",
    )


def check_weights(name: str, trained: Trained, stored: TrainingRecord) -> Check:
    """Whether training moves the weights that it moved."""
    still = sorted(set(trained.unmoved) - set(stored.unmoved))
    return Check(
        kind="weights",
        name=name,
        ok=not still,
        expected=f"{len(stored.unmoved)} unmoved",
        found=f"{len(trained.unmoved)} unmoved",
        limit="no more",
        why=f"training no longer moves {', '.join(still[:3])}{', ...' if len(still) > 3 else ''}" if still else "",
    )


def check_errors(trained: dict[str, Trained], stored: dict[str, pd.DataFrame], suite: Suite) -> Iterator[Check]:
    """Whether the errors of trainings rose, by :func:`gbench.stats.rises` over all of them."""
    frames = []
    for name, one in trained.items():
        now = one.errors.rename(columns={"error": "after"})
        both = now.merge(stored[name].rename(columns={"error": "before"}), on=KEYS, how="outer")
        if both[["before", "after"]].isna().any(axis=None):
            yield _other_items(name, both)
            continue
        both["item"] = both["id"] + "/" + both["site"].astype(str)
        frames.append(both.assign(task=name).astype({"before": np.float64, "after": np.float64}))
    if frames:
        for row in rises(pd.concat(frames, ignore_index=True)).to_dict("records"):
            yield _rise(row, suite)


def _other_items(name: str, both: pd.DataFrame) -> Check:
    lost, new = (int(both[column].isna().sum()) for column in ("after", "before"))
    return Check(
        kind="errors",
        name=name,
        ok=False,
        expected=f"{int(both['before'].notna().sum())} test items",
        found=f"{int(both['after'].notna().sum())} test items",
        limit="the same",
        why=f"the test part is another: {lost} of the reference's predictions are gone, {new} are new",
    )


def _rise(row: Mapping[Hashable, Any], suite: Suite) -> Check:
    ok = not (row["p_holm"] < suite.alpha and row["rise"] > suite.worse_by)
    return Check(
        kind="errors",
        name=str(row["task"]),
        ok=ok,
        expected=f"{row['before']:.4g}",
        found=f"{row['after']:.4g} ({row['rise']:+.1%}, p = {row['p_holm']:.2g})",
        limit=f"{suite.worse_by:+.0%}, p = {suite.alpha:g}",
        why=""
        if ok
        else f"the test MAE rose by {row['rise']:.1%}, over {row['items']} items and {row['seeds']} seeds "
        f"(p = {row['p_holm']:.2g})",
    )


def check_published(case: PublishedCase, pairs: Sequence[Pair]) -> Check:
    """Whether published scores are reached, in every fold."""
    worst = max(pairs, key=lambda pair: abs(pair.difference))
    ok = abs(worst.difference) <= case.tolerance
    target = f" {case.target}" if case.target else ""
    return Check(
        kind="published",
        name=f"{case.model} {case.dataset}{target} {case.split}",
        ok=ok,
        expected=f"{np.mean([pair.published for pair in pairs]):.4g}",
        found=f"{np.mean([pair.now for pair in pairs]):.4g} ({worst.difference:+.1%} at most)",
        limit=f"±{case.tolerance:.1%}",
        why="" if ok else f"the MAE of fold {worst.fold} is {worst.now:.4g}, published {worst.published:.4g}",
    )


def check_speed(case: SpeedCase, stored: float, ratio: float) -> Check:
    """Whether a piece of work takes longer, in units of its kernel."""
    slower = ratio / stored - 1
    ok = slower <= case.slower_by
    return Check(
        kind="speed",
        name=case.work,
        ok=ok,
        expected=f"{stored:.2f} of the kernel",
        found=f"{ratio:.2f} ({slower:+.0%})",
        limit=f"{case.slower_by:+.0%}",
        why="" if ok else f"{case.work} takes {slower:.0%} longer beside a kernel that did not change",
    )
