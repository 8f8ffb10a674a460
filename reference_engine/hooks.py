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
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary, ref

from reference_engine.modes import MODES

if TYPE_CHECKING:
    from reference_engine.forward import Tangents
    from reference_engine.graph import Cotangent, Cotangents, Node
    from reference_engine.tensor import Tensor

Hooks = dict[int, Callable[..., Any]]
_ids = count()


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


class NodeHooks:
    """What has been attached to a node; most nodes have none.

    ``F`` is the namespace of what the cotangents are made of.
    """

    __slots__ = ("metadata", "output", "post", "pre", "retained", "tangents")

    def __init__(self) -> None:
        self.metadata: dict[Any, Any] = {}
        #: tensor hooks, by output: called with that output's cotangent, in order of registration
        self.output: dict[int, Hooks] = {}
        self.pre: Hooks = {}
        self.post: Hooks = {}
        #: outputs whose tensor asked to retain_grad
        self.retained: dict[int, ref[Tensor]] = {}
        #: those of what the node saved
        self.tangents: Sequence[Tangents] = ()

    def arrive(self, grads: list[Cotangent], F: Any) -> list[Cotangent]:
        """Calls the tensor hooks and fills retained ``.grad``; returns the cotangents."""
        for nr, hooks in self.output.items():
            if hooks:
                grads[nr] = _through(list(hooks.values()), grads[nr], F)
        for nr, reference in self.retained.items():
            tensor = reference()
            if tensor is not None and grads[nr] is not None:
                F.retain(tensor, grads[nr])
        return grads

    def before(self, grads: list[Cotangent], F: Any) -> list[Cotangent]:
        """Calls the pre-hooks with the cotangents of the node's outputs."""
        for hook in list(self.pre.values()):
            grads = _replaced(hook, [grads], F, "node's pre-hook")
        return grads

    def after(self, outs: Cotangents, grads: Cotangents, F: Any) -> Cotangents:
        """Calls the post-hooks with the cotangents of the node's inputs and outputs."""
        for hook in list(self.post.values()):
            outs = _replaced(hook, [outs, grads], F, "node's hook")
        return outs


def _through(hooks: Sequence[Callable[..., Any]], grad: Cotangent, F: Any) -> Cotangent:
    # as in PyTorch, a hook is called with None for a gradient that is undefined
    (value,) = _tensors([grad], F)
    for hook in hooks:
        result = _checked(hook(value), value, "tensor hook")
        value = value if result is None else result
    return None if value is None else F.from_tensor(value)


def _replaced(
    hook: Callable[..., Any], given: Sequence[Cotangents], F: Any, kind: str
) -> list[Cotangent]:
    """What a node's hook returned, checked, in place of the first that it was given."""
    grads, shown = given[0], [_tensors(some, F) for some in given]
    result = hook(*shown)
    if result is None:
        return list(grads)
    if not isinstance(result, tuple):
        raise TypeError(f"a {kind} must return a tuple or None, got {result!r}")
    if len(result) != len(grads):
        raise RuntimeError(
            f"a {kind} returned {len(result)} gradients; expected {len(grads)}, or None"
        )
    found = [_checked(x, old, kind) for x, old in zip(result, shown[0], strict=True)]
    return [None if x is None else F.from_tensor(x) for x in found]


def _checked(value: Any, old: Tensor | None, kind: str) -> Tensor | None:
    """What a hook returned in place of a gradient: one of the same shape and dtype, or None."""
    from reference_engine.tensor import Tensor

    if value is not None and not isinstance(value, Tensor):
        raise TypeError(f"a {kind} must return Tensors or None, got {value!r}")
    if value is None:
        return None
    if old is None:
        raise RuntimeError(f"a {kind} returned a gradient for an undefined one; return None")
    for what in ("shape", "dtype"):
        if getattr(value, what) != getattr(old, what):
            raise RuntimeError(
                f"a {kind} returned a gradient of {what} {getattr(value, what)} for one of "
                f"{getattr(old, what)}; it must keep it"
            )
    return value


def _tensors(grads: Cotangents, F: Any) -> tuple[Tensor | None, ...]:
    return tuple(None if g is None else F.to_tensor(g) for g in grads)


# of several tensors -------------------------------------------------------------------------------
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
    if not all(x.requires_grad for x in tensors):
        raise RuntimeError("a multi-grad hook needs tensors that require grad, and one does not")
    #: run that is going on -> what it has computed
    arrived: WeakKeyDictionary[Any, dict[int, Tensor | None]] = WeakKeyDictionary()
    lock = Lock()
    nodes = [_finder(x) for x in tensors]

    def arrive(place: int, grad: Tensor | None) -> None:
        task = MODES.task
        with lock:
            found = arrived.setdefault(task, {})
            found[place] = grad
            awaited = 1 if mode == "any" else sum(task.enters(node()) for node in nodes)
            complete = len(found) == awaited
        if complete:
            fn(grad if mode == "any" else [found.get(i) for i in range(len(nodes))])

    return _Handles([x.register_hook(partial(arrive, i)) for i, x in enumerate(tensors)])


def _finder(tensor: Tensor) -> Callable[[], Node | None]:
    """Finds a tensor's node without keeping it: the node keeps the hook."""
    node = tensor._edge()[0]
    if node is None:
        return lambda: None
    if not tensor.is_leaf:
        return ref(node)
    leaf = ref(tensor)  # whose node lives only as long as a graph uses it
    return lambda: None if (x := leaf()) is None else x._edge()[0]
