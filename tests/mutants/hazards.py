"""Wrong engines on saved values, versions and .data."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from tests.mutants.mutant import OverTorch, mutant, patch, several


@patch(
    "reference_engine.graph:Node._check_versions",
    "saved-values-unchecked",
    "DAT-1 DAT-2 DAT-3 DAT-4 DAT-5 DET-5",
    "Saved values have no versions: backward uses whatever stands in memory by then, as in most"
    " engines written for teaching.",
)
def unchecked(original: Callable[..., Any], self: Any, saved: Any) -> None:
    return None


def _checked_where(wanted: Callable[[bool], bool]) -> Callable[..., Any]:
    """Return a check of those saved values for which `wanted(is an output)` holds."""

    def check(original: Callable[..., Any], self: Any, saved: Any) -> None:
        kept: tuple[Any, ...] = ()
        plan = getattr(self, "_plan", None)  # custom functions have none, and keep their check
        for place, source in enumerate(plan.sources if plan else ()):
            if wanted(source >= len(self.next)):
                kept += saved[3 * place : 3 * place + 3]
        original(self, kept if plan else saved)

    return check


patch(
    "reference_engine.graph:Node._check_versions",
    "saved-results-unchecked",
    "DAT-3 DET-5",
    "The check of saved values is made for operands and forgotten for results.",
)(_checked_where(lambda output: not output))
patch(
    "reference_engine.graph:Node._check_versions",
    "saved-operands-unchecked",
    "DAT-2 DAT-4 DAT-5",
    "The check of saved values is made for results and forgotten for operands.",
)(_checked_where(lambda output: output))


@patch(
    "reference_engine.graph:Node._check_versions",
    "only-first-saved-value-checked",
    "DAT-2",
    "Of several saved values the first is checked.",
)
def first_checked(original: Callable[..., Any], self: Any, saved: Any) -> None:
    original(self, saved[:3])


@patch(
    "reference_engine.inplace:bump",
    "writes-under-no-grad-uncounted",
    "DAT-5",
    "Writes under no_grad do not count, as nothing is recorded there.",
)
def counted_in_grad_mode(original: Callable[..., Any], target: Any) -> None:
    from reference_engine import is_grad_enabled

    if is_grad_enabled():
        original(target)


@patch(
    "reference_engine.inplace:bump",
    "writes-through-views-uncounted",
    "DAT-4 DAT-17",
    "A write through a view is not counted as a write to its base.",
)
def views_uncounted(original: Callable[..., Any], target: Any) -> None:
    if not target._is_view():
        original(target)


@patch(
    "reference_engine.views:_view",
    "views-count-for-themselves",
    "DAT-4 DAT-17",
    "A view has a version of its own, so that writes to its base are not noticed through it.",
)
def counted_apart(original: Callable[..., Any], *args: Any) -> Any:
    from reference_engine.storage import new_storage

    made = original(*args)
    if not made.is_inference():
        made._storage = new_storage()
        made._rare.view.version = 0
    return made


@patch(
    "reference_engine.inplace:bump",
    "writes-counted-twice",
    "DAT-17",
    "A write counts for the tensor and once more for its memory.",
)
def counted_twice(original: Callable[..., Any], target: Any) -> None:
    original(target)
    original(target)


@patch(
    "reference_engine.inplace:bump",
    "version-is-a-flag",
    "DAT-17",
    "The version says whether a tensor was ever written, so that a second write is not seen.",
)
def flag_only(original: Callable[..., Any], target: Any) -> None:
    if target._storage.version == 0:
        original(target)


class Uncounted(OverTorch):
    """Does not count the writes of one operation."""

    def __init__(self, op: str) -> None:
        super().__init__()
        self.op = op

    def apply_(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        if op != self.op:
            super().apply_(op, target, *tensors, **params)
            return
        with torch.autograd._unsafe_preserve_version_counter(target):
            super().apply_(op, target, *tensors, **params)


for _op, _caught_by in (
    ("zero", "DAT-4 DAT-17 DET-5"),
    ("mul", "DAT-2 DAT-3 DAT-17"),
    ("add", "DAT-2 DAT-17"),
    ("copy", "DAT-17"),
):
    mutant(
        f"{_op}-in-place-uncounted",
        _caught_by,
        f"The version is not raised by {_op}_, one operation among hundreds that was forgotten.",
    )(partial(Uncounted, _op))


@mutant(
    "every-write-is-a-hazard",
    "DAT-6 DAT-7",
    "Every operand's version is checked, whether or not its values are needed.",
)
class EveryWrite(OverTorch):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        found = super().apply(op, *tensors, **params)
        seen = [(t, t._version) for t in tensors if not t.is_inference()]

        def check(_gradients: Any) -> None:
            if any(tensor._version != version for tensor, version in seen):
                raise RuntimeError(f"an operand of {op} was modified in place")

        for result in several(found):
            if result.grad_fn is not None:
                result.grad_fn.register_prehook(check)
        return found


@mutant(
    "tracked-tensors-refuse-writes",
    "DAT-6 DAT-10",
    "No tensor that takes part in a graph may be written in place.",
)
class NoWrites(OverTorch):
    def apply_(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        if target.requires_grad and torch.is_grad_enabled():
            raise RuntimeError("tensors that require gradients are immutable")
        super().apply_(op, target, *tensors, **params)


class SavesOperand(torch.autograd.Function):
    """exp or sigmoid, with derivatives in terms of the operand."""

    @staticmethod
    def forward(ctx: Any, x: Any, op: str) -> Any:
        ctx.save_for_backward(x)
        ctx.op = op
        return getattr(torch, op)(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (x,) = ctx.saved_tensors
        y = getattr(torch, ctx.op)(x)
        return gradients[0] * (y if ctx.op == "exp" else y * (1 - y)), None


class OperandSaved(OverTorch):
    """Saves the operand where the result would do."""

    def __init__(self, op: str) -> None:
        super().__init__()
        self.op = op

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        if op == self.op and tensors[0].requires_grad and torch.is_grad_enabled():
            return SavesOperand.apply(tensors[0], op)
        return super().apply(op, *tensors, **params)


for _op in ("exp", "sigmoid"):
    mutant(
        f"{_op}-saves-its-operand",
        "DAT-7",
        f"{_op} saves its operand, so that code which overwrites that one is refused.",
    )(partial(OperandSaved, _op))


class Data(OverTorch):
    """Makes something else of `.data`."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        super().__init__()
        self.make = make

    def data(self, tensor: Any) -> Any:
        return self.make(tensor)


for _name, _caught_by, _wrong, _make in (
    (
        "data-copies",
        "DAT-8 DAT-9 ACC-3",
        ".data copies the values: old initialisers and training loops change nothing.",
        lambda t: t.data.clone(),
    ),
    (
        "data-keeps-the-flag",
        "DAT-8",
        ".data requires gradients like its tensor.",
        lambda t: t.data.requires_grad_(t.requires_grad),
    ),
    (
        "data-is-detach",
        "DAT-9 DAT-17",
        ".data shares the version of its tensor, so that the documented hole in the check is closed"
        " and old code refused.",
        lambda t: t.detach(),
    ),
    (
        "data-is-recorded",
        "DAT-8",
        ".data is an alias in the graph; a write through it is refused or recorded.",
        lambda t: t.view_as(t),
    ),
):
    mutant(_name, _caught_by, _wrong)(partial(Data, _make))
