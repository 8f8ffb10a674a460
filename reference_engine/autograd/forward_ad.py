"""The names of ``torch.autograd.forward_ad``: one level of forward mode, by number."""

from __future__ import annotations

from typing import NamedTuple

from reference_engine import forward
from reference_engine.modes import MODES, Mode
from reference_engine.tensor import Tensor

#: the level entered, innermost last; there is one at most
_entered: list[forward.Level] = []


class UnpackedDualTensor(NamedTuple):
    """What :func:`unpack_dual` gives."""

    primal: Tensor
    tangent: Tensor | None


def enter_dual_level() -> int:
    """Begins a level of forward mode, and returns its number, 0.

    RuntimeError inside another, as in PyTorch; ``func.jvp`` and its like do nest.
    """
    if _entered:
        raise RuntimeError("a dual level cannot be entered inside another; use func.jvp to nest")
    _entered.append(forward.Level().__enter__())
    return 0


def exit_dual_level(*, level: int | None = None) -> None:
    """Ends the level: its tangents are gone. RuntimeError when there is none, or not this one."""
    if not _entered or level not in (None, 0):
        raise RuntimeError(
            f"there is no dual level {level or 0} to exit; call enter_dual_level first"
        )
    _entered.pop().__exit__()


class dual_level(Mode):  # noqa: N801
    """A level of forward mode, for a block or a decorated function: ``make_dual`` works inside."""

    def __enter__(self) -> int:
        return enter_dual_level()

    def __exit__(self, *exception: object) -> None:
        exit_dual_level()

    def clone(self) -> Mode:
        """Another such block."""
        return dual_level()


def make_dual(tensor: Tensor, tangent: Tensor, *, level: int | None = None) -> Tensor:
    """A view of ``tensor`` that carries ``tangent`` through operations.

    RuntimeError outside a level, for a tensor that has a tangent, and for one of another shape;
    ValueError unless both are floating or complex.
    """
    return forward.make_dual(tensor, tangent, _level(level))


def unpack_dual(tensor: Tensor, *, level: int | None = None) -> UnpackedDualTensor:
    """A tensor's primal and tangent; the tangent is None where there is none."""
    if not _entered and level is None:
        return UnpackedDualTensor(tensor, None)
    if not isinstance(tensor, Tensor):
        raise TypeError(f"unpack_dual takes a Tensor, got {type(tensor).__name__}")
    found = _level(level)
    if not MODES.forward:
        return UnpackedDualTensor(tensor, None)
    return UnpackedDualTensor(*forward.unpack(tensor, found))


def _level(number: int | None) -> forward.Level:
    if not _entered or number not in (None, 0):
        raise RuntimeError("a dual tensor needs a dual level, and none is open; enter dual_level()")
    return _entered[-1]


#: forward mode on or off, for a block
_set_fwd_grad_enabled = forward.paused

__all__ = [
    "UnpackedDualTensor", "dual_level", "enter_dual_level", "exit_dual_level", "make_dual",
    "unpack_dual",
]  # fmt: skip
