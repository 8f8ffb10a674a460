"""Checkpoints: a part of a graph keeps no values, but computes them again when backward needs them.

Chen et al. 2016, "Training deep nets with sublinear memory cost". Without re-entrance, hooks take
the place of what the part's nodes save; re-entrant, the part is one custom Function that runs a
backward of its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial, reduce
from os.path import dirname
from traceback import extract_stack
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary, WeakValueDictionary

from reference_engine.backends.base import rng_states, set_rng_states
from reference_engine.backward import backward
from reference_engine.function import Function
from reference_engine.modes import MODES, Mode, enable_grad
from reference_engine.saved_tensors import saved_tensors_hooks
from reference_engine.tensor import Tensor

Run: TypeAlias = "Callable[..., Any]"
Contexts: TypeAlias = "tuple[AbstractContextManager[Any], AbstractContextManager[Any]]"


#: of each value that a run saved what it is and, in debug, where
Notes = list[tuple[Any, str]]

_HERE = dirname(__file__)


class CheckpointError(RuntimeError):
    """What was computed again is not what was computed first."""


class _Stop(Exception):
    """Everything that a recomputation is for has been computed."""


def set_checkpoint_early_stop(enable: bool) -> Mode:
    """Whether the checkpoints made inside stop a recomputation once all saved values are there."""
    return Mode(checkpoint_early_stop=enable)


def set_checkpoint_debug_enabled(enabled: bool | None) -> Mode:
    """Whether the checkpoints made inside have ``debug`` on; None leaves that to each."""
    return Mode(checkpoint_debug=enabled)


def noop_context_fn() -> Contexts:
    """The contexts of the first run and of a recomputation: none."""
    return nullcontext(), nullcontext()


def checkpoint(
    function: Run, *args: Any, use_reentrant: bool | None = None,
    context_fn: Callable[[], Contexts] = noop_context_fn, determinism_check: str = "default",
    debug: bool = False, early_stop: bool = True, **kwargs: Any,
) -> Any:  # fmt: skip
    """``function(*args, **kwargs)``, which is run again in backward instead of saving its values.

    ``preserve_rng_state=False`` spares restoring the random generators for that. ``context_fn``
    gives a context for either run. CheckpointError in backward when the second run saves other
    values than the first (with ``determinism_check="none"``, only another number of them), with
    ``debug`` listing what both runs saved, and where.

    With ``use_reentrant``, gradients flow only to tensors among ``args`` themselves, and only in a
    backward without ``inputs=``, else RuntimeError. ValueError for options that do not go together.
    """
    preserve = kwargs.pop("preserve_rng_state", True)
    if _told("checkpoint", use_reentrant):
        if kwargs:
            raise ValueError(f"a re-entrant checkpoint takes no keywords, got {sorted(kwargs)}")
        if context_fn is not noop_context_fn or debug:
            raise ValueError("context_fn and debug need use_reentrant=False")
        if not any(isinstance(x, Tensor) and x.requires_grad for x in args):
            _warn("no argument of a re-entrant checkpoint requires grad, so nothing in it will", 3)
        return CheckpointFunction.apply(function, preserve, *args)
    debug = debug if MODES.checkpoint_debug is None else MODES.checkpoint_debug
    if MODES.checkpoint_early_stop is not None:
        early_stop = MODES.checkpoint_early_stop
    if debug and context_fn is not noop_context_fn:
        raise ValueError("debug=True cannot be had with a context_fn of your own; leave one out")
    if determinism_check not in ("default", "none"):
        raise ValueError(f"determinism_check is 'default' or 'none', got {determinism_check!r}")
    first, again = context_fn()
    if not MODES.recording:
        return function(*args, **kwargs)
    run = CheckpointFunction._node_class()
    _remember(run, partial(function, **kwargs), preserve, args)
    run.keep()
    frame = _Frame(run, again, determinism_check == "default", early_stop, debug)
    with saved_tensors_hooks(frame.pack, frame.unpack), first:
        return function(*args, **kwargs)


def _told(name: str, use_reentrant: bool | None) -> bool:
    if use_reentrant is None:
        _warn(f"{name} was not told use_reentrant; say False, or True as it was at first", 4)
    return use_reentrant is None or use_reentrant


def _warn(text: str, level: int) -> None:
    warnings.warn(text, UserWarning, stacklevel=level)


# running again ------------------------------------------------------------------------------------
def _remember(ctx: Any, function: Run, preserve: bool, args: Sequence[Any]) -> None:
    """Saves what a run can be repeated with: tensors as a custom Function does, so that they are
    version-checked, or packed by an outer checkpoint.
    """
    ctx.function, ctx.args = function, [None if isinstance(x, Tensor) else x for x in args]
    ctx.randomness = rng_states() if preserve else {}
    ctx.save_for_backward(*(x if isinstance(x, Tensor) else None for x in args))


@contextmanager
def _repeated(ctx: Any) -> Iterator[list[Any]]:
    """The arguments, for a recorded run in which the random generators are as they were."""
    found = [
        x if saved is None else _leaf(saved)
        for x, saved in zip(ctx.args, ctx.saved_tensors, strict=True)
    ]
    before = rng_states() if ctx.randomness else {}
    set_rng_states(ctx.randomness)
    try:
        with enable_grad():
            yield found
    finally:
        set_rng_states(before)


def _leaf(x: Tensor) -> Tensor:
    """An argument again, cut off from what it was computed from."""
    leaf = x.detach()
    leaf._extras()
    leaf._tracked = x.requires_grad  # a func transform would refuse requires_grad_()
    return leaf


class _Holder:
    """Stands for one value that a checkpointed run saved, by its number."""

    __slots__ = ("__weakref__", "number")

    def __init__(self, number: int) -> None:
        self.number = number


class _Frame:
    """One run of a checkpoint, and what has been computed again for it."""

    def __init__(
        self, run: Any, context: AbstractContextManager[Any], checks: bool, early_stop: bool,
        debug: bool,
    ) -> None:  # fmt: skip
        self._run, self._context = run, context
        self._checks, self._stops_early, self._debug = checks, early_stop, debug
        #: those whose values are still wanted, by number
        self._holders: WeakValueDictionary[int, _Holder] = WeakValueDictionary()
        self._first = Notes()
        #: backward run -> what it has found and not used yet
        self._found: WeakKeyDictionary[Any, dict[int, Tensor]] = WeakKeyDictionary()

    def _note(self, x: Tensor, saved: Notes) -> int:
        """Takes down a value that a run saves; returns its number."""
        where = ""
        if self._debug:
            frame = [f for f in extract_stack() if not f.filename.startswith(_HERE)][-1]
            where = f", at {frame.filename}:{frame.lineno}"
        saved.append(((list(x.shape), x.dtype, str(x.device)), where))
        return len(saved) - 1

    def _error(self, difference: str, again: Notes) -> CheckpointError:
        text = f"{difference}; a checkpoint must do the same when it runs again"
        for run, saved in {"at first": self._first, "again": again}.items() if self._debug else ():
            text += "\n".join([f"\nsaved {run}:", *(f"{what}{where}" for what, where in saved)])
        return CheckpointError(text)

    def pack(self, x: Tensor) -> _Holder:
        """Keeps a place for a value instead of the value."""
        number = self._note(x, self._first)
        holder = self._holders[number] = _Holder(number)
        return holder

    def unpack(self, holder: _Holder) -> Tensor:
        """The value of a place; the first that a backward asks for has all of them computed."""
        task = MODES.task
        found = None if task is None else self._found.get(task)
        if found is None:
            found = self._recompute()
            if task is not None:
                self._found[task] = found
        if holder.number not in found:
            raise CheckpointError(
                "a value of a checkpoint was asked for twice in one backward; in a custom backward "
                "read ctx.saved_tensors once"
            )
        return found.pop(holder.number)

    def _recompute(self) -> dict[int, Tensor]:
        found: dict[int, Tensor] = {}
        first, again = self._first, Notes()

        def keep(x: Tensor) -> Tensor:
            number = self._note(x, again)
            if number >= len(first):
                raise self._error(f"more than {len(first)} values were saved", again)
            if number in self._holders:
                found[number] = x.detach()
                then, now = first[number][0], again[number][0]
                if self._checks and then != now:
                    raise self._error(f"value {number} was {then} at first, then {now}", again)
            if self._stops_early and len(again) == len(first):
                raise _Stop
            return x.detach()

        hooks = saved_tensors_hooks(keep, lambda x: x)
        with suppress(_Stop), _repeated(self._run) as args, hooks, self._context:
            self._run.function(*args)
        if len(again) != len(first):
            counts = f"{len(first)} values were saved at first, then {len(again)}"
            raise self._error(counts, again)
        return found


class CheckpointFunction(Function):
    """A re-entrant checkpoint as one operation."""

    @staticmethod
    def forward(ctx: Any, function: Run, preserve: bool, *args: Any) -> Any:
        """Runs the function, unrecorded."""
        _remember(ctx, function, preserve, args)
        return function(*args)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Runs it again, recorded, and backward through that."""
        if not MODES.task.everywhere:
            raise RuntimeError(
                "a re-entrant checkpoint works neither with autograd.grad nor with "
                "backward(inputs=...); use backward() without inputs, or use_reentrant=False"
            )
        with _repeated(ctx) as leaves:
            made = ctx.function(*leaves)
        outputs = zip(made if isinstance(made, tuple) else (made,), grads, strict=True)
        pairs = [(y, g) for y, g in outputs if isinstance(y, Tensor) and y.requires_grad]
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

    def chain(steps: Sequence[Run], x: Any) -> Any:
        return reduce(lambda x, step: step(x), steps, x)

    *bounds, last = range(0, size * segments, size)
    for start in bounds:
        run = partial(chain, steps[start : start + size])
        input = checkpoint(run, input, use_reentrant=use_reentrant, preserve_rng_state=preserve)
    return chain(steps[last:], input)


__all__ = [
    "CheckpointError", "CheckpointFunction", "checkpoint", "checkpoint_sequential",
    "noop_context_fn", "set_checkpoint_debug_enabled", "set_checkpoint_early_stop",
]  # fmt: skip
