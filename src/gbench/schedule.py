"""The learning rate over the steps of a training."""

import math

from gbench.spec import Training

FINAL_RATE = 1e-3
"""The schedules end at this share of the peak rate."""


def rate_at(step: int, steps: int, settings: Training) -> float:
    """Learning rate of a step: linear (``cosine``) or cosine (``one-cycle``) rise, then cosine fall."""
    rise = settings.warmup * steps
    peak, low = settings.learning_rate, settings.learning_rate * FINAL_RATE
    if step < rise:
        done = (step + 1) / (rise + 1)
        if settings.schedule == "one-cycle":
            start = peak / 25
            return start + (peak - start) * (1 - math.cos(math.pi * done)) / 2
        return peak * done
    done = (step - rise) / max(steps - 1 - rise, 1)
    return low + (peak - low) * (1 + math.cos(math.pi * min(done, 1.0))) / 2
