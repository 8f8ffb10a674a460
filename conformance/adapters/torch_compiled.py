"""PyTorch whose functions are compiled before they are differentiated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, nan
from typing import Any

from conformance.adapters.base import Pure, Tensor
from conformance.adapters.torch_engine import TorchEngine
from conformance.adapters.torch_func import TorchFuncEngine
from conformance.adapters.written import Written
from conformance.errors import EngineLoadError

BACKENDS = ("eager", "aot_eager", "inductor")


class TorchCompileEngine(TorchFuncEngine):
    """PyTorch through `torch.compile` and `autograd.grad`.

    compile: `eager`, `aot_eager` or, where there is a C++ compiler, `inductor`. What a program
    computes is written out as a function of its own, which is compiled once for each shape: a
    compilation takes a tenth of a second, and one by `inductor` several. Gradients are those of the
    compiled function; the values that a program observes are those of its steps, not compiled.
    """

    conventions: Mapping[str, str] = {}

    def __init__(self, compile: str, device: str = "cpu") -> None:
        if compile not in BACKENDS:
            raise EngineLoadError(f"compile={compile!r} is unknown; use {', '.join(BACKENDS)}")
        super().__init__(device)
        self._backend = compile
        self._compiled: dict[object, Any] = {}
        self._written: Written | None = None
        self.torch._dynamo.config.fail_on_recompile_limit_hit = True  # never silently eager

    def lacks(self) -> Sequence[str]:
        """Return second orders, which compiled graphs do not have, and forward mode."""
        return ("backward.create_graph", "grad_of.create_graph", "jvp", "make_dual")

    def apply(self, op: str, *tensors: Tensor, **params: Any) -> Tensor | tuple[Tensor, ...]:
        """Call the function of `torch`; while a function is written out, note it down."""
        made = super().apply(op, *tensors, **params)
        if self._written is not None:
            self._written.note(op, tensors, params, made)
        return made

    def stop_gradient(self, tensor: Tensor) -> Tensor:
        """Call `torch.detach`."""
        return self.apply("detach", tensor)

    def vjp(
        self, fn: Pure, primals: Sequence[Tensor], cotangents: Sequence[Tensor]
    ) -> Sequence[Tensor | None]:
        """Compile the function, call it, and ask `torch.autograd.grad` for its gradients."""
        text, constants = self._write_out(fn, primals)
        own = [primal.detach().clone().requires_grad_() for primal in primals]
        given = (*own, *constants)
        key = text, tuple((item.dtype, item.shape, item.stride()) for item in given)
        if key not in self._compiled:
            space: dict[str, Any] = {"apply": self._eager.apply, "inf": inf, "nan": nan}
            exec(text, space)  # our own writing, of operations that the program has run already
            compiled = self.torch.compile(space["function"], backend=self._backend, dynamic=False)
            self._compiled[key] = compiled
        found: Sequence[Tensor | None] = self.torch.autograd.grad(
            self._compiled[key](*given), own, grad_outputs=list(cotangents), allow_unused=True
        )
        return found

    def _write_out(self, fn: Pure, primals: Sequence[Tensor]) -> tuple[str, Sequence[Tensor]]:
        """Return `fn` as Python, and the tensors that it takes after the primals."""
        self._written = written = Written(self.torch.Tensor, primals)
        try:
            results = fn(*primals)
        finally:
            self._written = None
        return written.text(results), written.constants


def torch_engine(device: str = "cpu", compile: str = "") -> TorchEngine | TorchCompileEngine:
    """Return PyTorch, eager or compiled: `torch`, `torch[device=cuda]`, `torch[compile=eager]`."""
    return TorchCompileEngine(compile, device) if compile else TorchEngine(device)
