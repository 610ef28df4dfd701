"""``gbench doctor``: is everything here that gbench needs?"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from gbench.cli.console import console, print_json, table

EMBEDDED = "pbe_prototypes"
"""The dataset that needs no file from elsewhere."""


class Check(NamedTuple):
    """One finding."""

    what: str
    ok: bool
    required: bool
    found: str


def doctor(
    results: Annotated[Path, typer.Option("--results", help="Where results are written.")] = Path("results"),
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Check versions, folders, datasets and the tracking server; exit code 1 if something required is missing."""
    checks = [_attempt(name, required, find) for name, required, find in _checks(results)]
    if as_json:
        print_json([check._asdict() for check in checks])
    else:
        shown = table("", "what", "found")
        for check in checks:
            mark = "ok" if check.ok else "MISSING" if check.required else "no"
            shown.add_row(mark, check.what, check.found)
        console.print(shown)
    if any(check.required and not check.ok for check in checks):
        raise typer.Exit(1)


def _checks(results: Path) -> list[tuple[str, bool, Callable[[], str]]]:
    from gbench.content import cache_dir
    from gbench.registry import dataset_names

    others = [name for name in dataset_names() if name != EMBEDDED]
    return [
        ("Python", True, lambda: sys.version.split()[0]),
        ("torch", True, _torch),
        ("PyG", True, lambda: _version("torch_geometric")),
        ("DGL", False, _dgl),
        ("cache", True, lambda: _writable(cache_dir())),
        ("results", True, lambda: _writable(results)),
        ("mirror", False, _mirror),
        (f"dataset {EMBEDDED}", True, _embedded),
        *((f"dataset {name}", False, lambda name=name: _whereabouts(name)) for name in others),
        ("MLflow", False, lambda: _mlflow(results)),
    ]


def _attempt(what: str, required: bool, find: Callable[[], str]) -> Check:
    try:
        return Check(what, True, required, find())
    except Exception as error:
        return Check(what, False, required, str(error) or type(error).__name__)


def _version(module: str) -> str:
    import importlib

    return str(importlib.import_module(module).__version__)


def _torch() -> str:
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    return f"{torch.__version__}, {device}, {torch.get_num_threads()} threads"


def _dgl() -> str:
    from gbench.batch import import_dgl

    return str(import_dgl().__version__)


def _writable(folder: Path) -> str:
    from gbench.storage import atomic_path

    existing = next(place for place in (folder, *folder.resolve().parents) if place.is_dir())
    if not os.access(existing, os.W_OK):
        raise PermissionError(f"{folder} cannot be written")
    if folder.is_dir():
        with atomic_path(folder / "doctor") as temporary:
            temporary.write_bytes(b"ok")
        (folder / "doctor").unlink()
    return str(folder)


def _mirror() -> str:
    from gbench.fetch import MIRROR

    mirror = os.environ.get(MIRROR)
    if not mirror:
        raise LookupError(f"{MIRROR} is not set; sources come from their own addresses")
    if not mirror.startswith("http") and not Path(mirror).is_dir():
        raise LookupError(f"{mirror} is not a folder")
    return mirror


def _embedded() -> str:
    from gbench.dataset import load

    loaded = load(EMBEDDED, download=False)
    return f"{EMBEDDED}@{loaded.card.version}, {len(loaded.crystals):,} crystals, verified"


def _whereabouts(name: str) -> str:
    from gbench.cli.datasets import WHERE
    from gbench.mirror import whereabouts
    from gbench.registry import dataset_card

    card = dataset_card(name)
    place = whereabouts(card)
    if place == "nowhere":
        raise LookupError(f"{name}@{card.version}, {WHERE[place]}")
    return f"{name}@{card.version}, {WHERE[place]}"


def _mlflow(results: Path) -> str:
    from gbench.tracking import check_reachable, tracking_uri

    uri = tracking_uri(results)
    check_reachable(uri)
    return uri
