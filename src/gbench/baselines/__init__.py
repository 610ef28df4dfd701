"""The content folder ``baselines/``, importable: ``gbench.baselines.<name>.<module>``."""

from gbench.content import content

__path__.append(str(content("baselines")))
