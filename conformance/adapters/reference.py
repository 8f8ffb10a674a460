"""The reference engine of this project, on either of its backends."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module, metadata
from typing import Any

from conformance.adapters.base import Tensor
from conformance.adapters.torch_like import TorchLikeEngine
from conformance.errors import EngineLoadError
from conformance.observation import Array

BACKENDS = ("numpy", "torch")


class ReferenceEngine(TorchLikeEngine):
    """The reference engine. backend: `numpy` or `torch`; device: `cpu` or, with torch, `cuda:N`."""

    dtypes = (
        "float64", "float32", "complex128", "complex64",
        "float16", "int64", "int32", "int16", "int8", "uint8", "bool",
    )  # fmt: skip

    def __init__(self, backend: str = "", device: str = "cpu") -> None:
        backend = backend or ("numpy" if device == "cpu" else "torch")
        if backend not in BACKENDS:
            raise EngineLoadError(f"backend {backend!r} is unknown; use {' or '.join(BACKENDS)}")
        if backend == "numpy" and device != "cpu":
            raise EngineLoadError(
                f"backend=numpy computes on the cpu, not on {device!r}; use backend=torch there"
            )
        if backend == "torch":
            device = "torch" if device == "cpu" else device
        import reference_engine

        module: Any = reference_engine  # its functions are made from the table of rows
        try:
            module.zeros(1, device=device)
        except (RuntimeError, ImportError) as error:
            reason = str(error).splitlines()[0]
            raise EngineLoadError(
                f"backend={backend}, device={device} cannot be used: {reason}"
            ) from error
        super().__init__(
            reference_engine,
            name="reference",
            version=metadata.version("autograd-conformance"),
            device=None if device == "cpu" else device,
        )
        table = import_module("reference_engine.ops.table")  # functions are made when asked for
        rows = {name.removesuffix("_") for name in (*table.TABLE, *table.ALIASES)}
        listed = self.operations or frozenset()
        self.operations = listed | {name for name in rows if not name.startswith("_")}
        if self.device is not None:
            self.prelude += f"; torch.set_default_device({device!r})"

    def numpy(self, tensor: Tensor) -> Array:
        """Return the values of `tensor`; may share its memory."""
        array: Array = tensor.numpy(force=True)  # in half the time of a detached tensor's
        return array

    def graph(
        self, roots: Sequence[Any], names: Mapping[str, Any], most: int
    ) -> list[dict[str, Any]]:
        """Return the boxes of the graph behind tensors, as `reference_engine.viz` describes them.

        roots, names: of tensors, and of whatever else a program names. There is no box where no
        tensor was computed in the graph, where a view of them can have no history, and where there
        would be more than `most`.
        """
        viz = import_module("reference_engine.viz")
        names = {name: x for name, x in names.items() if isinstance(x, viz.Tensor)}
        tensors = [x for x in roots if isinstance(x, viz.Tensor)]
        try:
            if all(tensor.grad_fn is None for tensor in tensors):
                return []
            boxes = viz.describe(tensors, names=names, max_nodes=most - len(tensors))
        except (ValueError, RuntimeError):
            return []
        return [
            {
                "kind": box.kind,
                "title": box.title,
                "outputs": list(box.outputs),
                "rows": [list(row) for row in box.rows],
                "inputs": [edge and list(edge) for edge in box.inputs],
            }
            for box in boxes
        ]

    def watch(self, tensor: Tensor) -> Callable[[], bool]:
        """Return whether anyone still holds the array that owns the tensor's memory."""
        owner = tensor._raw
        while getattr(owner, "base", None) is not None:
            owner = owner.base
        if self.device is not None:
            owner = owner.untyped_storage()
        held = weakref.ref(owner)
        return lambda: held() is not None
