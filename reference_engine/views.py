"""Views: tensors over the memory of another, whose history must follow when the memory is written.

A view remembers its base and the chain of view ops between them. When the memory's version has
moved on since its history was made, the history is remade by applying the chain to the base, whose
own history the write has updated (see :mod:`reference_engine.inplace`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from reference_engine.backends.base import BACKENDS, DIFFERENTIABLE
from reference_engine.graph import Edge, Node
from reference_engine.modes import MODES, enable_grad
from reference_engine.rare import CreationMode, Rare, View, ViewStep
from reference_engine.storage import InferenceStorage
from reference_engine.tensor import Tensor, from_raw

if TYPE_CHECKING:
    from reference_engine.dispatch import Operator


def make_view(
    run: Operator, x: Tensor, params: Mapping[str, Any], raws: Sequence[Any], node: Node | None
) -> list[Tensor]:
    """The tensors that a view op gives: ``raws``, outputs of ``node``, over ``x``'s memory."""
    mode: CreationMode = "default" if run.single else "multi_output"
    if MODES.inference:
        mode = "inference"
    elif not MODES.recording:
        mode = "no_grad"
    return [
        _view(x, raw, (run.op, params, None if run.single else nr), mode, node, nr)
        for nr, raw in enumerate(raws)
    ]


def _view(
    x: Tensor, raw: Any, step: ViewStep, mode: CreationMode, node: Node | None, nr: int
) -> Tensor:
    made = from_raw(raw, x._storage)
    if isinstance(x._storage, InferenceStorage):
        return made
    above = x._rare.view
    made._rare = Rare()
    if above is None:
        made._rare.view = View(x, (step,), len(x._rare.reshaped), mode, (node, nr))
    else:
        mode, chain = above.mode if mode == "default" else mode, (*above.chain, step)
        made._rare.view = View(above.base, chain, above.age, mode, (node, nr))
    made._tracked = raw.dtype in DIFFERENTIABLE
    return made


def way_from_base(view: View) -> tuple[ViewStep, ...]:
    """The view ops from the base as it is now to the view: first back from the shape that ``t_``
    and its like have given the base since the view was taken.
    """
    return (*reversed(view.base._rare.reshaped[view.age :]), *view.chain)


def view_edge(tensor: Tensor, info: View) -> Edge:
    """The edge of a view, remade when its memory was written since it was made.

    RuntimeError for a view that cannot follow: made in no_grad or inference mode, or one of several
    outputs of one op.
    """
    version = int(tensor._storage.version)
    if info.version != version:
        check_creation(info, "its base, or another view of it,")
        with enable_grad():
            remade = replay(info.base, way_from_base(info))
        old = info.grad_fn
        info.grad_fn, info.nr = remade._noted()
        info.version = version
        move_retained(tensor, old, info.grad_fn, info.nr)
    return info.grad_fn, info.nr


def move_retained(tensor: Tensor, old: Node | None, new: Node | None, nr: int) -> None:
    """retain_grad follows a tensor to its new node: the old one no longer computes its value."""
    retained = old.hooks.retained if old is not None and old.hooks is not None else {}
    for place, held in list(retained.items()):
        if held() is tensor and new is not None:
            del retained[place]
            new.attached().retained[nr] = held


def replay(x: Any, chain: Sequence[ViewStep]) -> Any:
    """A chain of view ops applied to a tensor or a raw array."""
    from reference_engine.dispatch import apply, operator

    for op, params, nr in chain:
        run = operator(op)
        if isinstance(x, Tensor):
            made = apply(run, (x,), params)
        else:
            made = run.kernel(BACKENDS[type(x)])(x, **params)
        x = made if nr is None else made[nr]
    return x


_REASONS = {
    "no_grad": "was made in no_grad mode",
    "inference": "was made in inference mode",
    "multi_output": "is one of several outputs of one operation",
    "custom_function": "was returned by a custom Function",
}


def check_creation(info: View, modified: str) -> None:
    """Refuses to record a write to memory of a view whose history cannot follow."""
    reason = _REASONS.get(info.mode)
    if reason is not None:
        raise RuntimeError(
            f"a view that {reason} cannot follow when {modified} is modified in place with "
            "gradients on; do both inside the mode, or both outside, or modify a clone()"
        )
