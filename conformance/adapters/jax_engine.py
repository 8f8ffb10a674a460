"""JAX: `jax.vjp` and `jax.jvp` of pure functions of immutable arrays."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from conformance.adapters.base import FunctionalEngine, Pure, Tensor
from conformance.adapters.jax_table import jax_table
from conformance.custom import Rule
from conformance.observation import Array


class JaxEngine(FunctionalEngine):
    """JAX on the CPU with 64-bit types, not jitted.

    Its gradients of complex functions are the conjugates of PyTorch's
    (https://docs.jax.dev/en/latest/notebooks/autodiff_cookbook.html, Complex numbers), so no
    complex dtype is declared. A gradient with respect to an unused input is zeros.
    """

    dtypes = ("float64", "float32", "float16", "int64", "int32", "bool")
    compiles = True
    conventions: Mapping[str, str] = {
        "scalars_have_no_axes": "axes are NumPy's: an array without axes has no axis 0"
        " (https://docs.jax.dev/en/latest/_autosummary/jax.numpy.cumprod.html)",
        "scalars_widen": "arrays without axes promote as others do, Python numbers alone are weak"
        " (https://docs.jax.dev/en/latest/type_promotion.html)",
        "zeros_for_unused": "unused inputs have gradient zeros (docs.jax.dev, jax.grad)",
    }

    def __init__(self) -> None:
        self.jax: Any = import_module("jax")
        self.jax.config.update("jax_enable_x64", True)
        self.jax.config.update("jax_platforms", "cpu")
        self.version = str(self.jax.__version__)
        _share_compiled(self.jax)
        self.table = jax_table(self.jax)
        self.operations = frozenset(self.table)

    def tensor(self, array: Array, requires_grad: bool = False) -> Tensor:  # noqa: ARG002
        """Make an array of a copy."""
        return self.jax.numpy.array(array, copy=True)

    def numpy(self, tensor: Tensor) -> Array:
        """Return the values, once computed."""
        array: Array = np.asarray(tensor)
        return array

    def vjp(
        self, fn: Pure, primals: Sequence[Tensor], cotangents: Sequence[Tensor]
    ) -> Sequence[Tensor]:
        """Call `jax.vjp`."""
        _, pull = self.jax.vjp(fn, *primals)
        found: Sequence[Tensor] = pull(tuple(cotangents))
        return found

    def jvp(
        self, fn: Pure, primals: Sequence[Tensor], tangents: Sequence[Tensor]
    ) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """Call `jax.jvp`."""
        found: tuple[Sequence[Tensor], Sequence[Tensor]] = self.jax.jvp(
            fn, tuple(primals), tuple(tangents)
        )
        return found

    def custom_function(self, rule: Rule, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Call a function made by `jax.custom_vjp`."""
        function = self.jax.custom_vjp(lambda *given: rule.forward(self, given))

        def forward(*given: Tensor) -> tuple[Any, Any]:
            results = rule.forward(self, given)
            return results, rule.keep(given, results)

        function.defvjp(forward, lambda kept, cotangents: rule.backward(self, kept, cotangents))
        found: tuple[Tensor, ...] = function(*tensors)
        return found

    def stop_gradient(self, tensor: Tensor) -> Tensor:
        """Call `jax.lax.stop_gradient`."""
        return self.jax.lax.stop_gradient(tensor)


def _share_compiled(jax: Any) -> None:
    """Keep compiled operations on disk: each costs a new process some 20 ms per shape."""
    folder = Path(tempfile.gettempdir()) / f"autograd-conformance-jax-{jax.__version__}"
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
