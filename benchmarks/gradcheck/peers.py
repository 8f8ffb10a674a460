"""PyTorch's functions as JAX's, HIPS autograd's and numdifftools' users would meet them.

The forward and the backward of a function are made a primitive of the other library, which calls
them with its own arrays, and that library's checker is asked as its documentation first shows.
numdifftools has no checker: its gradient of a random combination of the outputs is compared with
the backward's by `numpy.allclose`. What a library cannot express is not counted, and named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from benchmarks.gradcheck.planted import Planted

STRIDES = "arrays have no strides that a rule could see"
WRITES = "arrays cannot be written to"
ZEROS = "an unused output's cotangent is zeros"
VALUES = "it knows values alone"
BFLOAT = "arrays pass through NumPy here, which has no such type"
INEXPRESSIBLE: dict[str, dict[str, str]] = {
    "JAX": {
        "non-contiguous cotangent": STRIDES, "non-contiguous input": STRIDES,
        "expanded cotangent": STRIDES, "memory": STRIDES, "cotangent modified": WRITES,
        "input modified": WRITES, "same tensor twice": "arrays have no identity",
        "tracked inputs": "a rule gives all gradients", "undefined cotangent": ZEROS,
        "forward mode": "a function has one rule, forward or backward",
        "dtype": "a rule of another dtype is refused as such",
        "random": "random numbers come from arguments", "bfloat16": BFLOAT,
    },
    "HIPS autograd": {
        "tracked inputs": "every argument has a rule of its own", "undefined cotangent": ZEROS,
        "forward mode": "the primitives made here have no forward rule", "bfloat16": BFLOAT,
    },
    "numdifftools": {
        "complex": "inputs are real", "complex mul": "inputs are real", "forward mode": VALUES,
        "undefined cotangent": VALUES, "tracked inputs": VALUES, "bfloat16": BFLOAT,
    },
}  # fmt: skip
Arrays = Sequence[Any]


def plain(planted: Planted) -> tuple[Callable[..., Tensor], tuple[Tensor, ...]]:
    """Return a function of tensors with one output, parameters among its inputs."""
    call, inputs = planted.make()
    if isinstance(call, torch.nn.Module):
        module, names = call, [name for name, _ in call.named_parameters()]
        count, inputs = len(inputs), (*inputs, *call.parameters())

        def call(*tensors: Tensor) -> Any:
            named = dict(zip(names, tensors[count:], strict=True))
            return torch.func.functional_call(module, named, tensors[:count])

    def single(*tensors: Tensor) -> Tensor:
        result = call(*tensors)
        if isinstance(result, Tensor):
            return result
        parts = [part for part in tree_leaves(result) if part.is_floating_point()]
        return torch.cat([part.reshape(-1) for part in parts])

    return single, tuple(tensor.detach() for tensor in inputs)


def backward(call: Callable[..., Tensor], count: int) -> Callable[..., tuple[Tensor, ...]]:
    """Return (inputs, cotangent) ↦ gradients of a function of `count` tensors, differentiable."""

    def pulled(*tensors: Tensor) -> tuple[Tensor, ...]:
        xs = [x if x.requires_grad else x.detach().requires_grad_() for x in tensors[:count]]
        again = tensors[count].requires_grad or any(x.requires_grad for x in tensors[:count])
        found = torch.autograd.grad(
            call(*xs), xs, tensors[count], create_graph=again, allow_unused=True
        )
        return tuple(
            torch.zeros_like(x) if g is None else g for g, x in zip(found, xs, strict=True)
        )

    return pulled


def array(tensor: Tensor) -> Any:
    return tensor.detach().resolve_conj().numpy()


def tensor(values: Any, shared: bool) -> Tensor:
    """Make a tensor; shared: of the memory of a NumPy array, so that writes into it are seen."""
    return torch.from_numpy(np.asarray(values) if shared else np.array(values))


def conjugate(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Turn PyTorch's gradients of complex numbers into the other libraries', or back."""
    return [t.conj().resolve_conj() if t.is_complex() else t for t in tensors]


def in_jax(call: Callable[..., Tensor], count: int, order: int) -> Callable[..., Any]:
    """Return the function as JAX's, its gradient too where `order` is 2."""
    import jax
    import jax.numpy as jnp

    pulled = backward(call, count)

    @jax.custom_vjp
    def wrapped(*xs: Any) -> Any:
        return jnp.asarray(array(call(*(tensor(x, False) for x in xs))))

    def pull(xs: Arrays, g: Any) -> tuple[Any, ...]:
        if order > 1:
            parts = [
                in_jax(lambda *a, i=i: pulled(*a)[i], count + 1, order - 1) for i in range(count)
            ]
            return tuple(part(*xs, g) for part in parts)
        given = conjugate([tensor(g, False)])
        found = conjugate(pulled(*(tensor(x, False) for x in xs), *given))
        return tuple(jnp.asarray(array(f)) for f in found)

    wrapped.defvjp(lambda *xs: (wrapped(*xs), xs), pull)
    return wrapped


def jax_finds(planted: Planted) -> bool:
    import jax
    import jax.numpy as jnp
    from jax.test_util import check_grads

    jax.config.update("jax_enable_x64", True)
    call, inputs = plain(planted)
    arrays = tuple(jnp.asarray(array(x)) for x in inputs)
    wrapped = in_jax(call, len(inputs), planted.order)
    check_grads(wrapped, arrays, order=planted.order, modes=["rev"])
    return False


def in_hips(call: Callable[..., Tensor], count: int, order: int) -> Callable[..., Any]:
    """Return the function as HIPS autograd's, its gradient too where `order` is 2."""
    from autograd.extend import defvjp, primitive

    pulled = backward(call, count)
    wrapped = primitive(lambda *xs: array(call(*(tensor(x, True) for x in xs))))

    def rule(number: int) -> Callable[..., Any]:
        if order > 1:
            part = in_hips(lambda *a: pulled(*a)[number], count + 1, order - 1)
            return lambda _, *xs: lambda g: part(*xs, g)

        def pull(xs: Arrays, g: Any) -> Any:
            given = conjugate([tensor(g, True)])
            return array(conjugate(pulled(*(tensor(x, True) for x in xs), *given))[number])

        return lambda _, *xs: lambda g: pull(xs, g)

    defvjp(wrapped, *(rule(number) for number in range(count)))
    return wrapped


def hips_finds(planted: Planted) -> bool:
    from autograd.test_util import check_grads

    call, inputs = plain(planted)
    wrapped = in_hips(call, len(inputs), planted.order)
    check_grads(wrapped, modes=["rev"], order=planted.order)(*(array(x).copy() for x in inputs))
    return False


def numdifftools_finds(planted: Planted) -> bool:
    call, inputs = plain(planted)
    if differs(call, inputs):
        return True
    if planted.order == 1:
        return False
    pulled = backward(call, len(inputs))
    cotangent = torch.randn(call(*inputs).shape, dtype=torch.float64)

    def second(*tensors: Tensor) -> Tensor:
        return torch.cat([g.reshape(-1) for g in pulled(*tensors)])

    return differs(second, (*inputs, cotangent))


def differs(call: Callable[..., Tensor], inputs: Sequence[Tensor]) -> bool:
    """Tell whether numdifftools' gradient is another than that of the backward."""
    import numdifftools

    weights = torch.randn(call(*inputs).shape, dtype=inputs[0].dtype)
    leaves = [x.clone().requires_grad_() for x in inputs]
    found = torch.autograd.grad(call(*leaves), leaves, weights, allow_unused=True)
    for number, gradient in enumerate(found):
        analytic = 0.0 if gradient is None else array(gradient).reshape(-1)

        def value(flat: Any, number: int = number) -> float:
            changed, own = list(inputs), inputs[number]
            changed[number] = torch.from_numpy(flat.reshape(own.shape)).to(own.dtype)
            return float((weights * call(*changed)).sum())

        start = array(inputs[number]).astype(np.float64).reshape(-1)
        numeric = np.reshape(numdifftools.Gradient(value)(start), -1)
        if not np.allclose(analytic, numeric):
            return True
    return False
