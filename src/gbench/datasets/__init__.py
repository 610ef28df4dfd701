"""The content folder ``datasets/``, importable: ``gbench.datasets.<name>.<module>``."""

from gbench.content import content

__path__.append(str(content("datasets")))
