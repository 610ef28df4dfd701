"""How many processor cores there are for this process."""


def cores() -> int:
    """Cores this process may use: by affinity, by the limit of a container, by ``LOKY_MAX_CPU_COUNT``.

    joblib and scikit-learn go by the same number.
    """
    # joblib is for work that is worth several processes, and not worth its import elsewhere
    import joblib

    return int(joblib.cpu_count())
