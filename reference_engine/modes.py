"""Modes: what the calling thread has switched on.

Every mode is thread-local, works as a context manager and as a decorator (of functions, generators
and coroutines), and is restored when an exception passes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextvars import copy_context
from functools import wraps
from threading import local
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from reference_engine.storage import InferenceStorage, Storage, new_storage

if TYPE_CHECKING:
    from reference_engine.forward import Level

Function = TypeVar("Function", bound=Callable[..., Any])


class Modes(local):
    """The modes of one thread."""

    def __init__(self) -> None:
        quiet = copy_context()
        quiet.run(np.seterr, all="ignore")
        #: calls a kernel with NumPy's floating-point warnings off: like torch, the engine returns
        #: inf and nan without a word. A context costs 25 ns a call, ``np.errstate`` 1,100.
        self.run: Callable[..., Any] = quiet.run
        self.grad = True
        self.inference = False
        #: whether ops make nodes: grad outside inference mode, which enable_grad does not lift
        self.recording = True
        #: ``run`` and ``recording``; None sends ops the general way
        self.short: tuple[Callable[..., Any], bool] | None = (self.run, True)
        #: the levels of forward mode, outermost first; those of them that operations heed
        self.levels: tuple[Level, ...] = ()
        self.forward: tuple[Level, ...] = ()
        self.forward_enabled = True
        #: (pack, unpack) hooks of saved tensors, innermost last; why there may be none, if so
        self.saved_hooks: tuple[tuple[Callable[..., Any], Callable[..., Any]], ...] = ()
        self.saved_hooks_refusal: str | None = None
        #: what ``allow_mutation_on_saved_tensors`` does before a storage is written; anomaly mode
        self.before_write: Callable[[Storage], None] | None = None
        self.anomaly = self.check_nan = False
        #: the node that anomaly mode is running, and the backward run that is going on
        self.evaluating: Any = None
        self.task: Any = None
        #: what holds in place of the ``early_stop`` and the ``debug`` of checkpoints, if anything
        self.checkpoint_early_stop: bool | None = None
        self.checkpoint_debug: bool | None = None
        #: the func transforms that are going on, outermost first, and the ``vmap`` calls
        self.transforms: tuple[Any, ...] = ()
        self.vmaps: tuple[Any, ...] = ()
        #: makes the storage of a new tensor
        self.storage: Callable[[], Storage] = new_storage

    def switch(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Changes settings by name, and returns what they were."""
        mine = vars(self)
        before = {name: mine[name] for name in settings}
        mine.update(settings)
        self.refresh()
        return before

    def refresh(self) -> None:
        """Recomputes what follows from the settings after one has changed."""
        mine = vars(self)  # a thread's own attributes take longer to reach
        inference, transforms = mine["inference"], mine["transforms"]
        recording = mine["recording"] = mine["grad"] and not inference
        forward = mine["levels"] if mine["forward_enabled"] and not inference else ()
        special = mine["saved_hooks"] or mine["anomaly"] or forward or transforms
        mine["forward"] = forward
        mine["short"] = None if inference or special else (mine["run"], recording)
        mine["storage"] = InferenceStorage if inference else new_storage
        if transforms and not inference:
            mine["storage"] = transforms[-1].storage


MODES = Modes()


def check_randomness() -> None:
    """RuntimeError where random numbers are drawn inside ``vmap(randomness="error")``."""
    if any(call.randomness == "error" for call in MODES.vmaps):
        raise RuntimeError(
            "vmap got a function that draws random numbers; say randomness='same' or 'different', "
            "or draw them outside"
        )


def refuse_in_transform(what: str) -> None:
    """RuntimeError inside a function that a func transform runs."""
    if MODES.transforms:
        raise RuntimeError(
            f"{what} was called inside a function that func.grad, vjp, jvp or vmap transforms; "
            "nest the transforms instead, or call it outside"
        )


def is_grad_enabled() -> bool:
    """Whether operations are being recorded in this thread."""
    return MODES.grad


def is_inference_mode_enabled() -> bool:
    """Whether inference mode is on in this thread."""
    return MODES.inference


class Mode:
    """Settings of the thread (see :class:`Modes`) that hold while this is entered, or while what it
    decorates runs.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """``@no_grad`` without parentheses decorates as ``@no_grad()`` does."""
        del kwargs
        made = super().__new__(cls)
        if len(args) != 1 or not callable(args[0]):
            return made
        cls.__init__(made)
        return made(args[0])

    def __init__(self, **settings: Any) -> None:
        self._settings = settings
        self._before: list[dict[str, Any]] = []

    def settings(self) -> Mapping[str, Any]:
        """What entering sets."""
        return self._settings

    def clone(self) -> Mode:
        """The mode to enter for one call of a decorated function."""
        return Mode(**self._settings)

    def __enter__(self) -> Any:
        self._before.append(MODES.switch(self.settings()))

    def __exit__(self, *exception: object) -> None:
        MODES.switch(self._before.pop())

    def __call__(self, function: Function) -> Function:
        """Decorates: the mode holds while the function, or each step of the generator or coroutine,
        runs.
        """
        if inspect.isclass(function):
            raise TypeError(
                f"a mode decorates functions, got class {function.__name__}; decorate its methods"
            )
        held: Any
        if inspect.isgeneratorfunction(function):

            def held(*args: Any, **kwargs: Any) -> Any:
                return (yield from _Steps(function(*args, **kwargs), self.clone))

        elif inspect.iscoroutinefunction(function):

            async def held(*args: Any, **kwargs: Any) -> Any:
                return await _Steps(function(*args, **kwargs), self.clone)

        else:

            def held(*args: Any, **kwargs: Any) -> Any:
                with self.clone():
                    return function(*args, **kwargs)

        return wraps(function)(held)  # type: ignore[return-value]


class _Steps(Generator[Any, Any, Any]):
    """A generator or coroutine of which each step runs in a mode, which is off while others run."""

    def __init__(
        self,
        inner: Generator[Any, Any, Any] | Coroutine[Any, Any, Any],
        mode: Callable[[], Mode],
    ) -> None:
        self._inner = inner
        self._mode = mode

    def __await__(self) -> Generator[Any, Any, Any]:
        return self

    def send(self, value: Any, /) -> Any:
        with self._mode():
            return self._inner.send(value)

    def throw(self, *error: Any) -> Any:
        with self._mode():
            return self._inner.throw(*error)


class no_grad(Mode):  # noqa: N801
    """Records nothing: results do not require grad, have no grad_fn and save no values."""

    def __init__(self) -> None:
        super().__init__(grad=False)


class enable_grad(Mode):  # noqa: N801
    """Records again, inside ``no_grad``."""

    def __init__(self) -> None:
        super().__init__(grad=True)


class Switch(Mode):
    """A mode that is set at once when it is made, as by a function call, and for a block when
    entered.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._at_call = MODES.switch(settings)

    def __enter__(self) -> None:
        # what must come back is the mode before this object was made
        MODES.switch(self._at_call)
        super().__enter__()

    def __call__(self, function: Function) -> Function:
        """Decorates; making the object has changed nothing then."""
        MODES.switch(self._at_call)
        return super().__call__(function)


class set_grad_enabled(Switch):  # noqa: N801
    """Sets recording on or off, at once when called as a function, for a block when entered."""

    def __init__(self, mode: bool) -> None:
        super().__init__(grad=bool(mode))


class inference_mode(Mode):  # noqa: N801
    """no_grad, and the tensors made in it count no versions and can never be saved for backward."""

    def __init__(self, mode: bool = True) -> None:
        # inference_mode(False) inside inference mode turns recording on again, as torch documents
        super().__init__(inference=mode, grad=not mode)
