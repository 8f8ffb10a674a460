"""Blocks: what surrounds the body of a step that has one."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np

from conformance.adapters.base import Tensor, mode
from conformance.program import MODES, Step
from conformance.scope import Scope


def manager(scope: Scope, step: Step) -> AbstractContextManager[Any]:
    """Return the engine's context manager for a block: a grad mode, a level, hooks on saving."""
    if step.verb in MODES:
        enabled = step.param("enabled")
        return mode(scope.engine, step.verb, *([] if enabled is None else [bool(enabled)]))
    if step.verb == "forward_ad":
        return mode(scope.engine, "forward_ad")
    pack = _packing(scope, str(step.param("pack", "keep")))
    unpack = _unpacking(scope, str(step.param("unpack", "keep")))
    return mode(scope.engine, "saved_tensors_hooks", pack, unpack)


def _packing(scope: Scope, action: str) -> Callable[[Tensor], Any]:
    def pack(tensor: Tensor) -> Any:
        return scope.array(tensor) if action == "array" else _handled(scope, action, tensor)

    return pack


def _unpacking(scope: Scope, action: str) -> Callable[[Any], Tensor]:
    def unpack(packed: Any) -> Tensor:
        tensor = scope.engine.tensor(packed) if isinstance(packed, np.ndarray) else packed
        return _handled(scope, action, tensor)

    return unpack


def _handled(scope: Scope, action: str, tensor: Tensor) -> Tensor:
    engine = scope.engine
    if action == "raise":
        raise KeyError("a hook on saved tensors of the program raises")
    if action == "record":
        scope.log.append(scope.array(tensor))
    elif action == "copy":
        return engine.tensor(scope.array(tensor))
    elif action == "double":
        return engine.tensor(2 * scope.array(tensor))
    return tensor


def in_a_thread(body: Callable[[], None]) -> None:
    """Run `body` in a new thread and wait for its end; what it raises is raised here."""
    with ThreadPoolExecutor(max_workers=1) as threads:
        threads.submit(body).result()


@contextmanager
def without_collector(wanted: bool) -> Iterator[None]:
    """Keep the cyclic garbage collector from running where `wanted`: cycles then keep memory."""
    enabled = wanted and gc.isenabled()
    if enabled:
        gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
