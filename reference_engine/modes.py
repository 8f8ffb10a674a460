"""Modes: what the calling thread has switched on.

Every mode is thread-local, works as a context manager and as a decorator (of functions, generators
and coroutines), and is restored when an exception passes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from contextvars import copy_context
from functools import wraps
from threading import local
from types import TracebackType
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
        #: ``run`` while recording; None sends ops the general way
        self.fast: Callable[..., Any] | None = self.run
        #: the levels of forward mode, outermost first; those of them that operations heed
        self.levels: tuple[Level, ...] = ()
        self.forward: tuple[Level, ...] = ()
        self.forward_enabled = True
        #: (pack, unpack) hooks of saved tensors, innermost last; why there may be none, if so
        self.saved_hooks: list[tuple[Callable[..., Any], Callable[..., Any]]] = []
        self.saved_hooks_refusal: str | None = None
        #: the ``allow_mutation_on_saved_tensors`` that holds, and anomaly mode
        self.mutation: Any = None
        self.anomaly = self.check_nan = False
        #: the node that anomaly mode is running, and the backward run that is going on
        self.evaluating: Any = None
        self.task: Any = None
        #: the func transforms that are going on, outermost first, and the ``vmap`` calls
        self.transforms: tuple[Any, ...] = ()
        self.vmaps: tuple[Any, ...] = ()
        #: makes the storage of a new tensor
        self.storage: Callable[[], Storage] = new_storage

    def refresh(self) -> None:
        """Recomputes what follows from the modes after one has changed."""
        self.recording = self.grad and not self.inference
        self.forward = self.levels if self.forward_enabled and not self.inference else ()
        special = self.saved_hooks or self.anomaly or self.forward or self.transforms
        self.fast = self.run if self.recording and not special else None
        self.storage = InferenceStorage if self.inference else new_storage
        if self.transforms and not self.inference:
            self.storage = self.transforms[-1].storage


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
    """A mode that can be entered, and decorate. Subclasses say what entering sets."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """``@no_grad`` without parentheses decorates as ``@no_grad()`` does."""
        del kwargs
        made = super().__new__(cls)
        if len(args) != 1 or not callable(args[0]):
            return made
        cls.__init__(made)
        return made(args[0])

    def __init__(self) -> None:
        self._before: list[tuple[bool, bool]] = []

    def _set(self) -> None:
        raise NotImplementedError

    def _fresh(self) -> Mode:
        """The mode to enter for one call of a decorated function."""
        return self

    def __enter__(self) -> None:
        self._before.append((MODES.grad, MODES.inference))
        self._set()
        MODES.refresh()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        MODES.grad, MODES.inference = self._before.pop()
        MODES.refresh()

    def __call__(self, function: Function) -> Function:
        """Decorates: the mode holds while the function, or each step of the generator, runs."""
        if inspect.isclass(function):
            raise TypeError(
                f"{type(self).__name__} decorates functions, got class {function.__name__}; "
                "decorate its methods"
            )
        if inspect.isgeneratorfunction(function):

            @wraps(function)
            def steps(*args: Any, **kwargs: Any) -> Any:
                return (yield from _Steps(function(*args, **kwargs), self._fresh))

            return steps  # type: ignore[return-value]
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def coroutine(*args: Any, **kwargs: Any) -> Any:
                with self._fresh():
                    return await function(*args, **kwargs)

            return coroutine  # type: ignore[return-value]

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self._fresh():
                return function(*args, **kwargs)

        return call  # type: ignore[return-value]


class _Steps(Generator[Any, Any, Any]):
    """A generator of which each step runs in a mode, which is off while its caller runs."""

    def __init__(self, inner: Generator[Any, Any, Any], mode: Callable[[], Mode]) -> None:
        self._inner = inner
        self._mode = mode

    def send(self, value: Any, /) -> Any:
        with self._mode():
            return self._inner.send(value)

    def throw(self, *error: Any) -> Any:
        with self._mode():
            return self._inner.throw(*error)

    def close(self) -> None:
        with self._mode():
            self._inner.close()


class no_grad(Mode):  # noqa: N801
    """Records nothing: results do not require grad, have no grad_fn and save no values."""

    def _set(self) -> None:
        MODES.grad = False


class enable_grad(Mode):  # noqa: N801
    """Records again, inside ``no_grad``."""

    def _set(self) -> None:
        MODES.grad = True


class set_grad_enabled(Mode):  # noqa: N801
    """Sets recording on or off, at once when called as a function, for a block when entered."""

    def __init__(self, mode: bool) -> None:
        super().__init__()
        self.mode = bool(mode)
        self._at_call = MODES.grad
        MODES.grad = self.mode
        MODES.refresh()

    def _set(self) -> None:
        MODES.grad = self.mode

    def _fresh(self) -> Mode:
        return enable_grad() if self.mode else no_grad()

    def __enter__(self) -> None:
        # what must come back is the mode before this object was made
        MODES.grad = self._at_call
        super().__enter__()

    def __call__(self, function: Function) -> Function:
        """Decorates; making the object has changed nothing then."""
        MODES.grad = self._at_call
        MODES.refresh()
        return super().__call__(function)


class inference_mode(Mode):  # noqa: N801
    """no_grad, and the tensors made in it count no versions and can never be saved for backward."""

    def __init__(self, mode: bool = True) -> None:
        super().__init__()
        self.mode = mode

    def _set(self) -> None:
        MODES.inference = self.mode
        # inference_mode(False) inside inference mode turns recording on again, as torch documents
        MODES.grad = not self.mode
