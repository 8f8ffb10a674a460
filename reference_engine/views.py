"""Views: tensors over the memory of another, whose history must follow when the memory is written.

A view remembers its base and the chain of view ops between them. When the memory's version has
moved on since its history was made, the history is remade by applying the chain to the base, whose
own history the write has updated (see :mod:`reference_engine.inplace`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from reference_engine import errors
from reference_engine.backends.base import DIFFERENTIABLE
from reference_engine.graph import Node
from reference_engine.modes import MODES, enable_grad
from reference_engine.rare import CreationMode, Rare, View
from reference_engine.tensor import Tensor, from_raw

if TYPE_CHECKING:
    from reference_engine.dispatch import Operator


def make_view(
    run: Operator,
    x: Tensor,
    params: Mapping[str, Any],
    out: Any,
    edges: Sequence[tuple[Node | None, int]] | None,
) -> Any:
    """The tensor, or tuple of tensors, that a view op gives: ``out`` over ``x``'s memory."""
    from reference_engine.dispatch import make_node

    several = run.op.outputs != ("y",)
    raws = tuple(out) if several else (out,)
    mode: CreationMode = "multi_output" if several else "default"
    if MODES.inference:
        mode = "inference"
    elif not MODES.recording:
        mode = "no_grad"
    step = (run.op, dict(params))
    views = [_view(x, raw, (*step, i if several else None), mode) for i, raw in enumerate(raws)]
    if edges is not None and views and raws[0].dtype in DIFFERENTIABLE:
        node = make_node(run, (x,), params, views, edges)
        for nr, view in enumerate(views):
            info = view._view_info
            assert info is not None
            info.grad_fn, info.nr = node, nr
            view._tracked = True
    return tuple(views) if several else views[0]


def _view(x: Tensor, raw: Any, step: tuple[Any, Any, int | None], mode: CreationMode) -> Tensor:
    made = from_raw(raw, x._storage)
    if x.is_inference():
        return made
    above = x._view_info
    base = x if above is None else above.base
    chain = (step,) if above is None else (*above.chain, step)
    if above is not None and mode == "default":
        mode = above.mode
    rare = made._rare = Rare()
    rare.view = View(base, chain, mode, int(x._storage.version))
    made._tracked = raw.dtype in DIFFERENTIABLE
    return made


def become_view(target: Tensor, view: Tensor, name: str) -> Tensor:
    """Lets a tensor take the shape, strides and history of a view of itself: ``t_``, ``squeeze_``.

    RuntimeError for a leaf that requires grad. Views taken before keep their own history.
    """
    info, above = view._view_info, target._view_info
    if info is None:  # in inference mode there is no history to keep
        target._raw = view._raw
        return target
    if MODES.recording and target.requires_grad and target.is_leaf:
        raise errors.leaf_in_place(name, "a leaf")
    target._raw = view._raw
    if above is not None:
        old, target._extras().view = above.grad_fn, info
    elif info.grad_fn is not None:
        old, target._grad_fn, target._nr = target._grad_fn, info.grad_fn, info.nr
    else:
        return target
    move_retained(target, old, info.grad_fn, info.nr)
    return target


def view_edge(tensor: Tensor, info: View) -> tuple[Node | None, int]:
    """The edge of a view, remade when its memory was written since it was made.

    RuntimeError for a view that cannot follow: made in no_grad or inference mode, or one of several
    outputs of one op.
    """
    if info.grad_fn is None and not info.base.requires_grad:
        return None, 0
    version = int(tensor._storage.version)
    if info.version != version:
        check_creation(info, "its base, or another view of it,")
        with enable_grad():
            again = replay(info.base, info.chain)
        remade = again._view_info
        assert remade is not None
        old, info.grad_fn, info.nr = info.grad_fn, remade.grad_fn, remade.nr
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


def replay(base: Tensor, chain: Sequence[tuple[Any, Mapping[str, Any], int | None]]) -> Tensor:
    """The chain of view ops applied to a tensor."""
    from reference_engine.dispatch import apply, operator

    x = base
    for op, params, nr in chain:
        made = apply(operator(op), (x,), params)
        x = made if nr is None else made[nr]
    return x


def replay_raw(raw: Any, chain: Sequence[tuple[Any, Mapping[str, Any], int | None]]) -> Any:
    """The chain of view ops applied to a raw array."""
    from reference_engine.dispatch import operator

    for op, params, nr in chain:
        made = operator(op).kernel(type(raw))(raw, **params)
        raw = made if nr is None else made[nr]
    return raw


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
