"""A trained network back from its files: a spec and safetensors, never a pickle."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from gbench.building import build_network
from gbench.cards import validate
from gbench.errors import DataError, SpecError
from gbench.registry import dataset_card
from gbench.result import WEIGHTS_FILE
from gbench.runner import SPEC_FILE
from gbench.spec import RunSpec
from gbench.task import Scale
from gbench.train import Fit


def read_spec(folder: Path) -> RunSpec:
    """The spec of the run in ``folder``.

    Raises:
        DataError: there is none, or it is no JSON.
        SpecError: it is no spec of this gbench.
    """
    path = folder / SPEC_FILE
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read; a saved model is {SPEC_FILE} and {WEIGHTS_FILE}") from error
    return validate(RunSpec, raw, str(path), SpecError)


def load_fitted(folder: Path) -> Fit:
    """The network of a run, with the weights of its best epoch, ready for :func:`gbench.train.predict`.

    ``folder`` is that of a result or of a model from MLflow; ``spec.json`` and ``weights.safetensors`` are read.
    Of several targets learned together, the fit is about the one that the spec names.

    Raises:
        DataError: a file is missing or damaged.
        SpecError: the model is not the one that was trained.
    """
    spec = read_spec(folder)
    model = build_network(spec, dataset_card(spec.dataset).targets[spec.target])
    path = folder / WEIGHTS_FILE
    try:
        with safe_open(path, "pt") as opened:
            scale = json.loads(opened.metadata()["scale"])
        model.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not the weights of {spec.model} as {SPEC_FILE} describes it ({error})") from error
    output = scale.pop("output", 0)
    references = tuple(scale.pop("references", ()))
    # those of other targets lie with their own runs
    return Fit(model.eval(), (Scale(**scale, references=references),) * len(spec.learned), 0, output=output)
