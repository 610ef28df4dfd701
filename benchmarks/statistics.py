"""How often intervals cover and tests err, by simulation: the table of docs/statistics.md.

python -m benchmarks.statistics
"""

from collections.abc import Callable

import numpy as np

from gbench.stats.comparison import bootstrap_p_values
from gbench.stats.intervals import percentile_interval, t_interval
from gbench.stats.resampling import FloatArray, resampled_sums

TRIALS = 4000
ITEMS = (20, 50, 100, 250)
Draw = Callable[[np.random.Generator, tuple[int, int]], FloatArray]


def half_normal(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """|error| of normal errors, mean 1."""
    return np.asarray(np.abs(rng.normal(size=shape)) * np.sqrt(np.pi / 2))


def exponential(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """|error| with a long tail, mean 1."""
    return rng.exponential(size=shape)


def heavy(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """|error| of which a few make up much, log-normal of sigma 1, mean 1."""
    return rng.lognormal(mean=-0.5, sigma=1.0, size=shape)


DRAWS: dict[str, Draw] = {"half-normal": half_normal, "exponential": exponential, "log-normal": heavy}


def coverage(draw: Draw, items: int) -> float:
    """Of percentile bootstrap intervals of a mean error."""
    errors = draw(np.random.default_rng(0), (items, TRIALS))
    drawn = resampled_sums(errors) / items
    return float(
        np.mean([low <= 1 <= high for low, high in (percentile_interval(column, items) for column in drawn.T)])
    )


def found(draw: Draw, items: int, factor: float) -> float:
    """Share of pairs that the paired bootstrap tells apart, one of which has errors larger by ``factor``.

    Items are hard or easy for both: what an item multiplies errors by is log-normal of sigma 0.5.
    """
    rng = np.random.default_rng(1)
    hardness = rng.lognormal(sigma=0.5, size=(items, TRIALS))
    differences = hardness * (factor * draw(rng, hardness.shape) - draw(rng, hardness.shape))
    return float((bootstrap_p_values(differences) < 0.05).mean())


def main() -> None:
    """Print the tables."""
    print("| errors | items | coverage, % | found of nothing, % | found of +10 % | found of +30 % |")
    print("|---|---|---|---|---|---|")
    for name, draw in DRAWS.items():
        for items in ITEMS:
            values = [coverage(draw, items), *(found(draw, items, factor) for factor in (1.0, 1.1, 1.3))]
            print(f"| {name} | {items} | " + " | ".join(f"{100 * value:.1f}" for value in values) + " |", flush=True)
    for number in (3, 5, 8):
        values = np.random.default_rng(2).normal(size=(TRIALS, number)).tolist()
        hits = np.mean([low <= 0 <= high for low, high in map(t_interval, values)])
        print(f"t interval of {number} values: {100 * hits:.1f} %")


if __name__ == "__main__":
    main()
