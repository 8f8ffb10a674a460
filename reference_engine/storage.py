"""Storage: what tensors that share memory share."""

from __future__ import annotations

from typing import NoReturn


class Storage:
    """The version counter of one piece of memory.

    Every view of the memory, and every ``detach()`` of it, holds the same Storage; ``.data`` makes
    a new one over the same memory, which is why writes through it go unnoticed. An in-place write
    adds one.
    """

    __slots__ = ("__weakref__", "version")

    version: int


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


def new_storage() -> Storage:
    """A storage at version 0."""
    storage = Storage()
    storage.version = 0
    return storage
