"""Ninety crystals to learn from."""

import dataclasses
from collections.abc import Callable

from gbench.choices import Choices, resolve
from gbench.model import Head, Model
from gbench.observer import Observer
from gbench.prepare import make_task, prepare
from gbench.registry import model_class
from gbench.splitting import Split
from gbench.task import Task


def small_task(name: str, **settings: object) -> tuple[Task, Callable[[], Model]]:
    """A small task, and a network for it."""
    one, kind = resolve(Choices(model=name, split="formula", overrides=settings)), model_class(name)
    assert issubclass(kind, Model)
    whole = make_task(prepare(one, Observer()), kind)
    split = Split(whole.split.train[:80], whole.split.val[:10], whole.split.test)
    config = kind.Config.model_validate(one.config)
    return dataclasses.replace(whole, split=split), lambda: kind(config, Head())
