"""Where tensors are worked on: the processor, or a GPU."""

import dataclasses
import re
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import psutil
import torch
from torch import Tensor

from gbench.errors import SpecError, unknown
from gbench.spec import Precision

CPU = torch.device("cpu")
T = TypeVar("T")


def choose_device(name: str = "auto", local_rank: int | None = None) -> torch.device:
    """The device of a name: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``. ``auto`` is a GPU where there is one.

    ``local_rank``: number of this process on its machine, where several train one model and each takes its own GPU.

    Raises:
        UnknownNameError: no such name.
        SpecError: no such device here.
    """
    if re.fullmatch(r"auto|cpu|cuda(:\d+)?", name) is None:
        raise unknown("device", name, ("auto", "cpu", "cuda", "cuda:1"))
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return CPU
    if not torch.cuda.is_available():
        why = "it sees no GPU" if torch.version.cuda else "it was built without CUDA"
        raise SpecError(f"--device {name}: torch {torch.__version__} has no CUDA device, {why}; use --device cpu")
    if local_rank is not None and ":" in name:
        raise SpecError(f"--device {name}: each of several processes takes a GPU of its own; use --device cuda")
    number, count = local_rank or 0, torch.cuda.device_count()
    number = int(name.partition(":")[2] or number)
    if number >= count:
        raise SpecError(f"cuda:{number} does not exist; torch sees {count}, counted from cuda:0")
    return torch.device("cuda", number)


def device_name(device: torch.device) -> str:
    """``cpu``, or the name of the GPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def check_precision(precision: Precision, device: torch.device) -> None:
    """Raise SpecError if a device lacks the arithmetic."""
    if precision != "bfloat16" or device.type != "cuda" or torch.cuda.get_device_capability(device) >= (8, 0):
        return
    raise SpecError(f"{device_name(device)} has no bfloat16; leave out training.precision, or use --device cpu")


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Context in which networks multiply matrices in bfloat16, if that is the precision; weights stay as they are."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bfloat16" else nullcontext()


def in_full(tensor: Tensor) -> AbstractContextManager[object]:
    """Context in which matrices are multiplied as they are, for what must be more exact than a network's states."""
    autocasts = torch.amp.is_autocast_available(tensor.device.type)
    return torch.autocast(tensor.device.type, enabled=False) if autocasts else nullcontext()


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on a device; to a GPU from pinned memory, so that the host goes on meanwhile."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def send_all(value: T, device: torch.device) -> T:
    """A tensor, or a tuple, list, dict or dataclass with all tensors in it, on a device."""
    found: Any = value
    if isinstance(found, Tensor):
        return send(found, device)  # type: ignore[return-value]
    if isinstance(found, tuple):
        sent = [send_all(part, device) for part in found]
        return tuple(sent) if type(found) is tuple else type(found)(*sent)  # type: ignore[return-value]
    if isinstance(found, list):
        return [send_all(part, device) for part in found]  # type: ignore[return-value]
    if isinstance(found, dict):
        return {key: send_all(part, device) for key, part in found.items()}  # type: ignore[return-value]
    if dataclasses.is_dataclass(found) and not isinstance(found, type):
        fields = {field.name: send_all(getattr(found, field.name), device) for field in dataclasses.fields(found)}
        return dataclasses.replace(found, **fields)  # type: ignore[return-value]
    return value


def free_bytes(device: torch.device) -> int:
    """Memory that is free on a device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)
