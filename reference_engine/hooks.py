"""Hooks: functions that are called while a graph runs backwards.

Order at a node, as PyTorch documents it: the hooks of the tensors it computed (in order of
registration), then ``.grad`` of those that retain it, then the node's pre-hooks, the node, its
post-hooks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from threading import Lock
from typing import Any, Literal
from weakref import WeakKeyDictionary, ref

from reference_engine.graph import AccumulateGrad, Cotangent, Node
from reference_engine.modes import MODES
from reference_engine.tensor import Tensor

_ids = count()
Hooks = dict[int, Callable[..., Any]]


class RemovableHandle:
    """Returned by every registration: ``remove()`` undoes it, also while hooks run, also twice."""

    def __init__(self, hooks: Hooks, hook: Callable[..., Any]) -> None:
        if not callable(hook):
            raise TypeError(f"a hook must be callable, got {hook!r}")
        self.id = next(_ids)
        self._hooks = hooks
        hooks[self.id] = hook

    def remove(self) -> None:
        """Unregisters the hook."""
        self._hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


def register_tensor_hook(tensor: Tensor, hook: Callable[..., Any]) -> RemovableHandle:
    """Attaches a hook to the place in the graph where the tensor was computed.

    RuntimeError when the tensor requires no grad.
    """
    if not tensor.requires_grad:
        raise RuntimeError("a hook needs a tensor that requires grad, and this one does not")
    node, nr = tensor._edge()
    if isinstance(node, AccumulateGrad):
        # kept by the leaf: its node lives only as long as a graph uses it
        return RemovableHandle(node.leaf_hooks(), hook)
    if node is None:  # a view made in no_grad, which no gradient reaches
        return RemovableHandle(tensor._extras().hooks, hook)
    return RemovableHandle(node.attached().output.setdefault(nr, {}), hook)


class _Handles(RemovableHandle):
    """Removes several hooks at once."""

    def __init__(self, handles: Sequence[RemovableHandle]) -> None:
        self._handles = handles

    def remove(self) -> None:
        """Unregisters the hooks."""
        for handle in self._handles:
            handle.remove()


def register_multi_grad_hook(
    tensors: Sequence[Tensor],
    fn: Callable[..., None],
    *,
    mode: Literal["all", "any"] = "all",
) -> RemovableHandle:
    """Calls ``fn(grads)`` once a run has computed the gradients of all ``tensors`` that it comes
    to (None for the others), or with ``mode="any"`` ``fn(grad)`` at the first.

    ValueError for another mode, RuntimeError for a tensor that requires no grad.
    """
    if mode not in ("all", "any"):
        raise ValueError(f"mode must be 'all' or 'any', got {mode!r}")
    #: run that is going on -> what it has computed
    arrived: WeakKeyDictionary[Any, dict[int, Tensor | None]] = WeakKeyDictionary()
    lock = Lock()
    nodes = [_finder(x) for x in tensors]

    def arrive(place: int, grad: Tensor | None) -> None:
        task = MODES.task
        with lock:
            found = arrived.setdefault(task, {})
            found[place] = grad
            if mode == "any":
                complete = len(found) == 1
            else:
                complete = len(found) == sum(task.visits(node()) for node in nodes)
        if complete and mode == "any":
            fn(grad)
        elif complete:
            fn([found.get(i) for i in range(len(nodes))])

    return _Handles([x.register_hook(partial(arrive, i)) for i, x in enumerate(tensors)])


def _finder(tensor: Tensor) -> Callable[[], Node | None]:
    """Finds a tensor's node without keeping it: the node keeps the hook."""
    if not tensor.requires_grad:
        raise RuntimeError("a multi-grad hook needs tensors that require grad, and one does not")
    node = tensor._edge()[0]
    if isinstance(node, AccumulateGrad):
        leaf = ref(tensor)
        return lambda: None if (x := leaf()) is None else x._edge()[0]
    return ref(node) if node is not None else lambda: None


def run_tensor_hooks(node: Node, grads: list[Cotangent], F: Any) -> list[Cotangent]:
    """Calls the hooks of a node's output tensors and fills retained ``.grad``; returns the
    cotangents.
    """
    attached = node.hooks
    assert attached is not None
    for nr, hooks in attached.output.items():
        if hooks:
            grads[nr] = _through(list(hooks.values()), grads[nr], F)
    for nr, reference in attached.retained.items():
        tensor = reference()
        if tensor is not None and grads[nr] is not None:
            F.retain(tensor, grads[nr])
    return grads


def _through(hooks: Sequence[Callable[..., Any]], grad: Cotangent, F: Any) -> Cotangent:
    # as in PyTorch, a hook is called with None for a gradient that is undefined
    value = None if grad is None else F.to_tensor(grad)
    for hook in hooks:
        result = hook(value)
        if result is None:
            continue
        if not isinstance(result, Tensor):
            raise TypeError(f"a tensor hook must return a Tensor or None, got {result!r}")
        if value is not None and result.shape != value.shape:
            raise RuntimeError(
                f"a hook returned a gradient of shape {list(result.shape)} for one of shape "
                f"{list(value.shape)}; it must keep the shape"
            )
        value = result
    return None if value is None else F.from_tensor(value)


def run_pre_hooks(node: Node, grads: list[Cotangent], F: Any) -> list[Cotangent]:
    """Calls the node's pre-hooks with the cotangents of its outputs."""
    attached = node.hooks
    assert attached is not None
    for hook in list(attached.pre.values()):
        given = _tensors(grads, F)
        grads = _replaced(hook(given), grads, F, "pre-hook")
    return grads


def run_post_hooks(
    node: Node, outs: Sequence[Cotangent], grads: Sequence[Cotangent], F: Any
) -> Sequence[Cotangent]:
    """Calls the node's post-hooks with the cotangents of its inputs and outputs."""
    attached = node.hooks
    assert attached is not None
    for hook in list(attached.post.values()):
        outs = _replaced(hook(_tensors(outs, F), _tensors(grads, F)), outs, F, "hook")
    return outs


def _tensors(grads: Sequence[Cotangent], F: Any) -> tuple[Tensor | None, ...]:
    return tuple(None if g is None else F.to_tensor(g) for g in grads)


def _replaced(result: Any, grads: Sequence[Cotangent], F: Any, kind: str) -> list[Cotangent]:
    """What a node's hook returned, checked, in place of what it was given."""
    if result is None:
        return list(grads)
    values = result if isinstance(result, (tuple, list)) else (result,)
    if len(values) != len(grads):
        raise RuntimeError(
            f"a node's {kind} returned {len(values)} gradients; expected {len(grads)}, or None"
        )
    for value in values:
        if value is not None and not isinstance(value, Tensor):
            raise TypeError(f"a node's {kind} must return Tensors or None, got {value!r}")
    return [None if v is None else F.from_tensor(v) for v in values]
