"""Names the shell completes."""


def datasets(incomplete: str) -> list[str]:
    """Datasets that begin so."""
    from gbench.registry import dataset_names

    return _beginning(dataset_names(), incomplete)


def models(incomplete: str) -> list[str]:
    """Models that begin so."""
    from gbench.registry import model_names

    return _beginning(model_names(), incomplete)


def schemes(incomplete: str) -> list[str]:
    """Split schemes that begin so."""
    from gbench.splitting.scheme import schemes

    return _beginning(list(schemes()), incomplete)


def _beginning(names: list[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
