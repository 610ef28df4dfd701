"""A second device for tests on machines that have none: it works on real numbers, and is named ``meta``.

Tensors on it hold theirs apart, as those of a GPU do: they do not mix with tensors of the processor, and every number
that leaves the device is counted, for there the host would wait.
"""

from collections import Counter
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map

ELSEWHERE = torch.device("meta")
SIZES_FROM_NUMBERS = {"nonzero", "bincount", "masked_select", "_unique2", "unique_dim", "unique_consecutive"}
"""Operations whose result has a size that the host must ask for."""


class Held(Tensor):
    """A tensor on the device."""

    numbers: Tensor

    @staticmethod
    def __new__(cls, numbers: Tensor) -> "Held":
        made: Held = Tensor._make_wrapper_subclass(
            cls, numbers.shape, strides=numbers.stride(), storage_offset=numbers.storage_offset(),
            dtype=numbers.dtype, device=ELSEWHERE, requires_grad=False,
        )  # fmt: skip
        made.numbers = numbers
        return made

    def __repr__(self, **_: object) -> str:  # type: ignore[override]
        return f"Held({self.numbers})"

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]  # pyright: ignore

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return work(func, args, kwargs or {}, Counter())


def is_here(value: object) -> bool:
    """Whether it is a tensor of the processor; lone numbers may meet tensors of any device, as in torch."""
    return isinstance(value, Tensor) and not isinstance(value, Held) and value.dim() > 0


def work(func: Any, args: Any, kwargs: Any, waits: "Counter[str]") -> Any:
    """Do it on the numbers, if all tensors are on one device."""
    name = func._schema.name.removeprefix("aten::")
    values = tree_flatten((args, kwargs))[0]
    held, target = [value for value in values if isinstance(value, Held)], kwargs.get("device")
    # lengths of sequences are on the processor on a GPU too
    moves = name in ("_to_copy", "copy_", "_pack_padded_sequence")
    if held and not moves and (strange := [value for value in values if is_here(value)]):
        raise RuntimeError(f"{name}: {len(held)} tensors elsewhere and {len(strange)} of the processor")
    leaves = bool(held) and (
        name in ("_local_scalar_dense", "is_nonzero", "equal", *SIZES_FROM_NUMBERS)
        or (name == "_to_copy" and target is not None and torch.device(target) != ELSEWHERE)
        or (name == "copy_" and not isinstance(args[0], Held))
        or (name == "repeat_interleave" and kwargs.get("output_size") is None)
        or (name in ("index", "index_put", "index_put_") and any(value.dtype == torch.bool for value in held[1:]))
    )
    if leaves:
        waits[name] += 1
    stays = (target is None and bool(held)) if not (target and torch.device(target) == ELSEWHERE) else True
    if name == "copy_":
        stays = isinstance(args[0], Held)
    if target is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}

    def numbers(value: Any) -> Any:
        return value.numbers if isinstance(value, Held) else value

    out = func(*tree_map(numbers, args), **tree_map(numbers, kwargs))
    if not stays:
        return out
    if name == "_pack_padded_sequence":
        return Held(out[0]), out[1]
    out = tree_map(lambda value: Held(value) if isinstance(value, Tensor) else value, out)
    return return_and_correct_aliasing(func, args, kwargs, out)


class Elsewhere(TorchDispatchMode):
    """While it lasts, ``torch.device("meta")`` is a device that works."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.waits: Counter[str] = Counter()
        """How often the host waited, by operation."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return work(func, args, kwargs or {}, self.waits)
