"""The names of ``torch.func``: transforms of functions of tensors."""

from __future__ import annotations

from reference_engine.func.derivatives import grad, grad_and_value, jvp, linearize, vjp
from reference_engine.func.jacobians import hessian, jacfwd, jacrev
from reference_engine.func.vmap import vmap
from reference_engine.nn.functional_call import functional_call, stack_module_state

__all__ = [
    "functional_call", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize",
    "stack_module_state", "vjp", "vmap",
]  # fmt: skip
