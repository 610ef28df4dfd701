"""The command lines that make a run again."""

import shlex
from collections.abc import Iterator
from typing import Any

import yaml

from gbench.choices import Choices, resolve
from gbench.spec import RunSpec


def repeat_command(run_id: str) -> str:
    """By run id, where its result is at hand."""
    return f"gbench run --spec {run_id}"


def brief_command(spec: RunSpec, fold: str | None = None) -> str:
    """With the settings that differ from what the cards recommend today; ``fold``: another than its own, or `all`."""
    split = spec.split
    plain = resolve(
        Choices(
            model=spec.reference,
            dataset=spec.dataset,
            target=spec.target,
            beside=spec.beside,
            split=split.scheme,
            fold=split.fold,
            seed=spec.seed,
        )
    )
    defaults = dict(_settings(plain))
    return _command(spec, {key: value for key, value in _settings(spec) if value != defaults.get(key)}, fold)


def full_command(spec: RunSpec) -> str:
    """With every setting spelled out, so that later defaults change nothing."""
    return _command(spec, dict(_settings(spec)))


def _command(spec: RunSpec, settings: dict[str, Any], fold: str | None = None) -> str:
    targets = ",".join((spec.target, *spec.beside))
    words = ["gbench", "run", "--model", spec.reference, "--dataset", spec.dataset, "--target", targets]
    words += ["--split", spec.split.scheme, "--fold", fold or str(spec.split.fold), "--seed", str(spec.seed)]
    for key, value in settings.items():
        words += ["--set", f"{key}={_yaml(value)}"]
    return shlex.join(words)


def _settings(spec: RunSpec) -> Iterator[tuple[str, Any]]:
    """Dotted keys as ``--set`` takes them."""
    sections: dict[str, dict[str, Any]] = {
        "split": spec.split.model_dump(mode="json", exclude={"scheme", "fold"}),
        "graph": spec.graph.model_dump(mode="json") if spec.graph else {},
        "model": spec.config,
        "training": spec.training.model_dump(mode="json") if spec.training else {},
    }
    for section, values in sections.items():
        for key, value in values.items():
            yield f"{section}.{key}", value


def _yaml(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6)
    return text.removesuffix("...\n").strip()
