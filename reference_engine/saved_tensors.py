"""What stands between a node and the tensors it saves: hooks that pack and unpack them.

A node that saved under hooks holds a :class:`Packed` in place of the usual flat tuple of (raw
array, storage, version). The arrays are then the hooks' business, and no version is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from reference_engine.backends.base import of_array
from reference_engine.graph import CONSTANT
from reference_engine.modes import MODES, Mode, no_grad
from reference_engine.storage import Detached, Storage, new_storage
from reference_engine.tensor import Tensor, from_raw

PackHook = Callable[[Tensor], Any]
UnpackHook = Callable[[Any], Tensor]


class Packed:
    """The saved values of one node, packed."""

    __slots__ = ("_saved", "_unpack")

    def __init__(
        self,
        saved: tuple[Any, ...],
        hooks: tuple[PackHook, UnpackHook],
        inputs: Sequence[Any],
    ) -> None:
        pack_hook, self._unpack = hooks
        # a hook may want to know parameters; results it gets without history, or keeping one
        # would close a cycle
        leaves = {id(x._raw): x for x in inputs if isinstance(x, Tensor) and x.is_leaf}
        #: value, storage and version of each, or what the hook made of these, True and 0
        self._saved: list[Any] = []
        for value, storage, version in zip(saved[::3], saved[1::3], saved[2::3], strict=True):
            if storage is CONSTANT:
                self._saved += (value, storage, version)
                continue
            before = int(storage.version)
            with no_grad():
                x = leaves.get(id(value))
                self._saved += (pack_hook(from_raw(value, storage) if x is None else x), True, 0)
            if int(storage.version) != before:
                raise RuntimeError(
                    f"a pack hook modified the saved tensor of shape {list(value.shape)} in place; "
                    "return a modified clone() instead"
                )

    def unpack(self) -> tuple[Any, ...]:
        """The saved values as they were before packing; TypeError when the hook gives no Tensor."""
        flat: list[Any] = []
        saved = self._saved
        for value, storage, version in zip(saved[::3], saved[1::3], saved[2::3], strict=True):
            if storage is not True:
                flat += (value, storage, version)
                continue
            with no_grad():
                found = self._unpack(value)
            if not isinstance(found, Tensor):
                raise TypeError(f"an unpack hook must return a Tensor, got {found!r}")
            raw, now = found._raw, found._storage.version
            if isinstance(now, Detached) and not of_array(raw).batched:
                raw = raw[...]  # to detach in place leaves alone what hooks have packed
            flat += (raw, found._storage, now)
        return tuple(flat)


def pack(saved: tuple[Any, ...], inputs: Sequence[Any] = ()) -> tuple[Any, ...] | Packed:
    """The flat triples of saved values, some of them of ``inputs``, packed if hooks are on."""
    return Packed(saved, MODES.saved_hooks[-1], inputs) if saved and MODES.saved_hooks else saved


def as_saved(x: Any) -> Any:
    """A value that a node is to save: of a tensor made in inference mode, which counts no versions,
    a func transform that differentiates saves, as in PyTorch, one of its own.
    """
    inference = isinstance(x, Tensor) and x.is_inference()
    if inference and any(transform.differentiates for transform in MODES.transforms):
        return from_raw(x._raw, new_storage())
    return x


class saved_tensors_hooks(Mode):  # noqa: N801
    """Inside, what a node saves goes through ``pack_hook``, and through ``unpack_hook`` when used.

    RuntimeError where such hooks are disabled.
    """

    def __init__(self, pack_hook: PackHook, unpack_hook: UnpackHook) -> None:
        super().__init__()
        self._hooks = (pack_hook, unpack_hook)

    def settings(self) -> Mapping[str, Any]:
        """These hooks are the innermost."""
        if MODES.saved_hooks_refusal is not None:
            raise RuntimeError(MODES.saved_hooks_refusal)
        return {"saved_hooks": (*MODES.saved_hooks, self._hooks)}

    def clone(self) -> Mode:
        """These hooks again."""
        return saved_tensors_hooks(*self._hooks)


class save_on_cpu(saved_tensors_hooks):  # noqa: N801
    """Inside, saved tensors wait on the CPU, as copies. ``pin_memory`` is accepted and ignored."""

    def __init__(self, pin_memory: bool = False) -> None:
        del pin_memory
        super().__init__(
            lambda x: (x.device, x.to("cpu", copy=True)), lambda held: held[1].to(held[0])
        )


def disable_saved_tensors_hooks(error_message: str) -> Mode:
    """Inside, entering saved-tensor hooks raises RuntimeError with this message."""
    if MODES.saved_hooks:
        raise RuntimeError(error_message)
    return Mode(saved_hooks_refusal=error_message)


@contextmanager
def allow_mutation_on_saved_tensors() -> Iterator[None]:
    """Inside, a saved tensor that is written is copied first, so that backward sees it unchanged.

    RuntimeError when nested.
    """
    if MODES.before_write is not None:
        raise RuntimeError("allow_mutation_on_saved_tensors cannot be nested; one is enough")
    saved: WeakKeyDictionary[Storage, WeakSet[Tensor]] = WeakKeyDictionary()
    inside = True

    def keep(x: Tensor) -> Tensor:
        kept = x.detach()
        saved.setdefault(x._storage, WeakSet()).add(kept)
        return kept

    def give(kept: Tensor) -> Tensor:
        if not inside:  # as in PyTorch, which asserts it
            raise AssertionError(
                "this graph was recorded in allow_mutation_on_saved_tensors; run backward inside it"
            )
        return kept

    def give_memory_of_its_own(storage: Storage) -> None:
        for kept in saved.pop(storage, ()):
            kept._raw, kept._storage = of_array(kept._raw).copy(kept._raw), new_storage()

    try:
        with Mode(before_write=give_memory_of_its_own), saved_tensors_hooks(keep, give):
            yield
    finally:
        inside = False
