"""Storage: what tensors that share memory share."""

from __future__ import annotations

from typing import Any, NoReturn
from weakref import ref


class Storage:
    """The version counter of one piece of memory.

    Every view of the memory, and every ``detach()`` of it, holds the same Storage; ``.data`` makes
    a new one over the same memory, which is why writes through it go unnoticed. An in-place write
    adds one.
    """

    __slots__ = ("__weakref__", "version")

    version: int


class TransformedStorage(Storage):
    """Memory made while a func transform runs a function: ``transform`` is its number."""

    __slots__ = ("transform",)

    def __init__(self, transform: int) -> None:
        self.version, self.transform = 0, transform


class InferenceStorage(Storage):
    """Memory made in inference mode: it counts no versions, so nothing may rely on it staying
    unchanged.
    """

    __slots__ = ()

    @property
    def version(self) -> NoReturn:  # type: ignore[override]
        """Raises RuntimeError."""
        raise RuntimeError(
            "an inference tensor has no version counter, so it cannot be saved for backward or "
            "asked for its _version; make it outside inference_mode, or use its clone()"
        )


class Detached(int):
    """The version of a storage one of whose tensors has been taken out of the graph in place.

    It differs from every number, so that whoever saved a value of the storage looks again and finds
    out here whether what was saved is what was detached.
    """

    _places: tuple[tuple[ref[Any], ref[Any], int], ...]

    def __new__(cls, version: int, raw: Any, node: Any, nr: int) -> Detached:
        """The version ``version``, at which output ``nr`` of ``node``, this array, was detached."""
        made = super().__new__(cls, version)
        before = version._places if isinstance(version, Detached) else ()
        # weak: a node may hold the storage
        made._places = (*before, (ref(raw), ref(node), nr))
        return made

    def __eq__(self, other: object) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__

    def was(self, raw: Any, node: Any, nr: int) -> bool:
        """Whether the tensor detached was this very array, output ``nr`` of ``node``."""
        return any(
            array() is raw and by() is node and nr == place for array, by, place in self._places
        )


def new_storage() -> Storage:
    """A storage at version 0."""
    storage = Storage()
    storage.version = 0
    return storage
