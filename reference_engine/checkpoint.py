"""Checkpoints: a part of a graph keeps no values, but computes them again when backward needs them.

Chen et al. 2016, "Training deep nets with sublinear memory cost". Without re-entrance, hooks take
the place of what the part's nodes save; re-entrant, the part is one node that runs a backward of
its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from itertools import pairwise
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary, ref

from reference_engine.backends.base import BACKENDS
from reference_engine.backward import backward
from reference_engine.function import Function
from reference_engine.modes import MODES, enable_grad
from reference_engine.saved_tensors import pack, saved_tensors_hooks, unpack
from reference_engine.tensor import Tensor, from_raw

Run: TypeAlias = "Callable[..., Any]"
Contexts: TypeAlias = "tuple[AbstractContextManager[Any], AbstractContextManager[Any]]"


class CheckpointError(RuntimeError):
    """What was computed again is not what was computed first."""


class _Stop(Exception):
    """Everything that a recomputation is for has been computed."""


#: what ``set_checkpoint_early_stop`` says, innermost last
_early_stop: list[bool] = []


@contextmanager
def set_checkpoint_early_stop(enable: bool) -> Iterator[None]:
    """Whether the checkpoints made inside stop a recomputation once all saved values are there."""
    _early_stop.append(enable)
    try:
        yield
    finally:
        _early_stop.pop()


def noop_context_fn() -> Contexts:
    """The contexts of the first run and of a recomputation: none."""
    return nullcontext(), nullcontext()


def checkpoint(
    function: Run,
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Callable[[], Contexts] = noop_context_fn,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    **kwargs: Any,
) -> Any:
    """``function(*args, **kwargs)``, which is run again in backward instead of saving its values.

    ``preserve_rng_state=False`` spares restoring the random generators for that. ``context_fn``
    gives a context for either run. CheckpointError in backward when the second run saves other
    values than the first (with ``determinism_check="none"``, only another number of them).

    With ``use_reentrant``, gradients flow only to tensors among ``args`` themselves, and only in a
    backward without ``inputs=``, else RuntimeError. ``debug`` changes nothing: errors always say
    which value differs.
    """
    preserve = kwargs.pop("preserve_rng_state", True)
    if _told("checkpoint", use_reentrant):
        if kwargs:
            raise ValueError(f"a re-entrant checkpoint takes no keywords, got {sorted(kwargs)}")
        if context_fn is not noop_context_fn or debug:
            raise ValueError("context_fn and debug need use_reentrant=False")
        if not any(isinstance(x, Tensor) and x.requires_grad for x in args):
            warnings.warn(
                "no argument of a re-entrant checkpoint requires grad, so nothing in it will",
                UserWarning,
                stacklevel=2,
            )
        return CheckpointFunction.apply(function, preserve, *args)
    if determinism_check not in ("default", "none"):
        raise ValueError(f"determinism_check is 'default' or 'none', got {determinism_check!r}")
    first, again = context_fn()
    if not MODES.recording:
        return function(*args, **kwargs)
    frame = _Frame(partial(function, **kwargs), args, again, preserve)
    frame.checks = determinism_check == "default"
    frame.stops_early = _early_stop[-1] if _early_stop else early_stop
    with saved_tensors_hooks(frame.pack, frame.unpack), first:
        return function(*args, **kwargs)


def _told(name: str, use_reentrant: bool | None) -> bool:
    if use_reentrant is None:
        warnings.warn(
            f"{name} was not told use_reentrant; say False, or True as it was at first",
            UserWarning,
            stacklevel=3,
        )
    return use_reentrant is None or use_reentrant


class _Randomness:
    """The states of all random generators."""

    def __init__(self) -> None:
        self._states = {b: b.rng_state() for b in BACKENDS.values() if not b.batched}

    def restore(self) -> None:
        for backend, state in self._states.items():
            backend.set_rng_state(state)


class _Again:
    """What a run can be repeated with. Its tensors wait as saved values do: version-checked, or
    packed by an outer checkpoint.
    """

    def __init__(self, args: Sequence[Any], preserve: bool) -> None:
        self._randomness = _Randomness() if preserve else None
        self._args = [None if isinstance(x, Tensor) else x for x in args]
        self._places = [i for i, x in enumerate(args) if isinstance(x, Tensor)]
        self._tracked = [args[i].requires_grad for i in self._places]
        flat: list[Any] = []
        for i in self._places:
            x = args[i]
            flat += (x._raw, x._storage, None if x.is_inference() else x._storage.version)
        self._saved = pack(tuple(flat))

    @contextmanager
    def repeated(self) -> Iterator[list[Any]]:
        """The arguments, for a recorded run in which the random generators are as they were."""
        leaves = self._leaves()
        before = _Randomness()
        try:
            if self._randomness is not None:
                self._randomness.restore()
            with enable_grad():
                yield leaves
        finally:
            if self._randomness is not None:
                before.restore()

    def _leaves(self) -> list[Any]:
        """The arguments again, cut off from what they were computed from."""
        found, saved = list(self._args), unpack(self._saved)
        for place, i in enumerate(self._places):
            raw, storage, version = saved[3 * place : 3 * place + 3]
            if version is not None and storage.version != version:
                raise RuntimeError(
                    f"argument {i} of a checkpoint, of shape {list(raw.shape)}, has been modified "
                    "in place since, so that the checkpoint cannot run again; modify a clone()"
                )
            leaf = found[i] = from_raw(raw, storage)
            if self._tracked[place]:  # as requires_grad_, which a func transform would refuse
                leaf._extras()
                leaf._tracked = True
        return found


class _Holder:
    """Stands for one value that a checkpointed run saved."""

    __slots__ = ("__weakref__", "about")

    def __init__(self, x: Tensor) -> None:
        self.about = (list(x.shape), x.dtype, str(x.device))


class _Frame:
    """One run of a checkpoint, and what has been computed again for it."""

    checks: bool
    stops_early: bool

    def __init__(
        self, run: Run, args: Sequence[Any], again: AbstractContextManager[Any], preserve: bool
    ) -> None:
        self._run, self._context = run, again
        self._again = _Again(args, preserve)
        self._holders: list[ref[_Holder]] = []
        #: backward run -> what it has found and not used yet
        self._found: WeakKeyDictionary[Any, dict[_Holder, Tensor]] = WeakKeyDictionary()

    def pack(self, x: Tensor) -> _Holder:
        """Keeps a place for a value instead of the value."""
        holder = _Holder(x)
        self._holders.append(ref(holder))
        return holder

    def unpack(self, holder: _Holder) -> Tensor:
        """The value of a place; the first that a backward asks for has all of them computed."""
        task = MODES.task
        found = {} if task is None else self._found.get(task)
        if found is None or task is None:
            found = self._recompute()
            if task is not None:
                self._found[task] = found
        if holder not in found:
            raise CheckpointError(
                "a value of a checkpoint was asked for twice in one backward; in a custom backward "
                "read ctx.saved_tensors once"
            )
        return found.pop(holder)

    def _recompute(self) -> dict[_Holder, Tensor]:
        found: dict[_Holder, Tensor] = {}
        count = 0

        def keep(x: Tensor) -> Tensor:
            nonlocal count
            if count >= len(self._holders):
                raise CheckpointError(
                    f"a checkpoint saved more than {len(self._holders)} values when it ran again; "
                    "it must do the same as at first"
                )
            holder = self._holders[count]()
            count += 1
            if holder is not None:
                found[holder] = x.detach()
                if self.checks and holder.about != _Holder(x).about:
                    raise CheckpointError(
                        f"value {count - 1} of a checkpoint was {holder.about}, and when it ran "
                        f"again {_Holder(x).about}; it must do the same as at first"
                    )
            if self.stops_early and count == len(self._holders):
                raise _Stop
            return x.detach()

        hooks = saved_tensors_hooks(keep, lambda x: x)
        with suppress(_Stop), self._again.repeated() as args, hooks, self._context:
            self._run(*args)
        if count != len(self._holders):
            raise CheckpointError(
                f"a checkpoint saved {len(self._holders)} values, and {count} when it ran again; "
                "it must do the same as at first"
            )
        return found


class CheckpointFunction(Function):
    """A re-entrant checkpoint as one operation."""

    @staticmethod
    def forward(ctx: Any, function: Run, preserve: bool, *args: Any) -> Any:
        """Runs the function, unrecorded."""
        ctx.function = function
        ctx.again = _Again(args, preserve)
        return function(*args)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Runs it again, recorded, and backward through that."""
        if MODES.task.scope is not None:
            raise RuntimeError(
                "a re-entrant checkpoint works neither with autograd.grad nor with "
                "backward(inputs=...); use backward() without inputs, or use_reentrant=False"
            )
        with ctx.again.repeated() as leaves:
            made = ctx.function(*leaves)
        outputs = made if isinstance(made, tuple) else (made,)
        pairs = [
            (y, g)
            for y, g in zip(outputs, grads, strict=True)
            if isinstance(y, Tensor) and y.requires_grad
        ]
        if not pairs:
            raise RuntimeError(
                "no output of a checkpointed function requires grad; it needs no checkpoint"
            )
        backward([y for y, _ in pairs], [g for _, g in pairs])
        return (None, None, *(x.grad if isinstance(x, Tensor) else None for x in leaves))


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any
) -> Any:
    """The functions, or the modules of a Sequential, one after the other, in ``segments`` parts of
    which all but the last are checkpoints. ValueError for keywords it does not know.
    """
    use_reentrant = _told("checkpoint_sequential", use_reentrant)
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError(f"checkpoint_sequential got unknown keywords {sorted(kwargs)}")
    steps = list(functions)
    size = len(steps) // segments
    if size == 0:
        raise ValueError(f"{len(steps)} functions cannot be divided into {segments} segments")

    def chain(start: int, end: int, x: Any) -> Any:
        for step in steps[start:end]:
            x = step(x)
        return x

    bounds = [i * size for i in range(segments)]
    for start, end in pairwise(bounds):
        run = partial(chain, start, end)
        input = checkpoint(run, input, use_reentrant=use_reentrant, preserve_rng_state=preserve)
    return chain(bounds[-1], len(steps), input)


__all__ = [
    "CheckpointError", "CheckpointFunction", "checkpoint", "checkpoint_sequential",
    "noop_context_fn", "set_checkpoint_early_stop",
]  # fmt: skip
