"""Rows 1 to 35 of the misuse table: running graphs, and what may require grad."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.reference_engine.misuse import leaf, row


@row(1, "second backward without retain_graph")
def _(lib: Any) -> Any:
    x = leaf(lib)
    y = x.sin().sum()
    y.backward()
    y.backward()


@row(2, "second backward through a graph that saves nothing")
def _(lib: Any) -> Any:
    x = leaf(lib)
    y = x + 1
    y.backward(lib.ones(3))
    y.backward(lib.ones(3))
    return x.grad


@row(3, "access to a saved tensor after it was freed")
def _(lib: Any) -> Any:
    y = leaf(lib).sin()
    node = y.grad_fn
    y.sum().backward()
    return node._saved_self


@row(4, "in-place on a leaf that requires grad")
def _(lib: Any) -> Any:
    leaf(lib).add_(1)


@row(5, "in-place on a view of a leaf")
def _(lib: Any) -> Any:
    leaf(lib)[:2].mul_(2)


@row(6, "setitem on a leaf")
def _(lib: Any) -> Any:
    x = leaf(lib)
    x[0] = 5.0


@row(7, "a saved input modified")
def _(lib: Any) -> Any:
    x = leaf(lib) * 1
    y = x.sin()
    x.add_(1)
    y.sum().backward()


@row(8, "a saved output modified")
def _(lib: Any) -> Any:
    y = leaf(lib).exp()
    y.add_(1)
    y.sum().backward()


@row(9, "a saved leaf modified under no_grad")
def _(lib: Any) -> Any:
    x = leaf(lib)
    y = x * x
    with lib.no_grad():
        x.add_(1)
    y.sum().backward()


@row(10, "a saved tensor detached in place")
def _(lib: Any) -> Any:
    x = leaf(lib) * 1
    y = x.sin()
    x.detach_()
    y.sum().backward()


@row(11, "backward of a non-scalar without a gradient")
def _(lib: Any) -> Any:
    (leaf(lib) * 2).backward()


@row(12, "backward of a complex scalar without a gradient")
def _(lib: Any) -> Any:
    lib.ones(1, dtype=lib.complex64, requires_grad=True).sum().backward()


@row(13, "gradient of another shape")
def _(lib: Any) -> Any:
    (leaf(lib) * 2).backward(lib.ones(2))


@row(14, "grad_outputs of another shape")
def _(lib: Any) -> Any:
    x = leaf(lib)
    lib.autograd.grad(x * 2, x, lib.ones(2))


@row(15, "complex gradient for a real output")
def _(lib: Any) -> Any:
    (leaf(lib) * 2).backward(lib.ones(3, dtype=lib.complex64))


@row(16, "float64 gradient for a float32 output")
def _(lib: Any) -> Any:
    x = leaf(lib)
    (x * 2).backward(lib.ones(3, dtype=lib.float64))
    return x.grad, x.grad.dtype == lib.float32


@row(17, "backward of a tensor that requires no grad")
def _(lib: Any) -> Any:
    lib.ones(3).sum().backward()


@row(18, "grad: input that requires no grad")
def _(lib: Any) -> Any:
    lib.autograd.grad(leaf(lib).sum(), lib.ones(3))


@row(19, "grad: output that requires no grad")
def _(lib: Any) -> Any:
    lib.autograd.grad(lib.ones(3).sum(), leaf(lib))


@row(20, "grad: unused input")
def _(lib: Any) -> Any:
    lib.autograd.grad(leaf(lib).sum(), leaf(lib))


@row(21, "grad: no inputs")
def _(lib: Any) -> Any:
    lib.autograd.grad(leaf(lib).sum(), [])


@row(22, "backward: empty inputs")
def _(lib: Any) -> Any:
    leaf(lib).sum().backward(inputs=[])


@row(23, "materialize_grads with allow_unused=False")
def _(lib: Any) -> Any:
    x = leaf(lib)
    lib.autograd.grad(x.sum(), x, allow_unused=False, materialize_grads=True)


@row(24, "another number of gradients than of outputs")
def _(lib: Any) -> Any:
    x = leaf(lib)
    lib.autograd.backward([x.sum(), x.sum()], [lib.tensor(1.0)])


@row(25, "a gradient that is no tensor")
def _(lib: Any) -> Any:
    lib.autograd.backward([leaf(lib).sum()], [1.0])


@row(26, "is_grads_batched with a gradient that does not fit")
def _(lib: Any) -> Any:
    x = leaf(lib)
    lib.autograd.grad(x * 2, x, lib.ones(2, 4), is_grads_batched=True)


@row(27, "requires_grad_ on an integer tensor")
def _(lib: Any) -> Any:
    lib.ones(3, dtype=lib.int64).requires_grad_()


@row(28, "a factory with requires_grad and an integer dtype")
def _(lib: Any) -> Any:
    lib.ones(3, dtype=lib.int64, requires_grad=True)


@row(29, "requires_grad_(False) on a non-leaf")
def _(lib: Any) -> Any:
    (leaf(lib) * 2).requires_grad_(False)


@row(30, "requires_grad = False on a non-leaf")
def _(lib: Any) -> Any:
    y = leaf(lib) * 2
    y.requires_grad = False


@row(31, ".grad of a non-leaf warns")
def _(lib: Any) -> Any:
    return (leaf(lib) * 2).grad is None


@row(32, "retain_grad without requires_grad")
def _(lib: Any) -> Any:
    lib.ones(3).retain_grad()


@row(33, "numpy() of a tensor that requires grad")
def _(lib: Any) -> Any:
    leaf(lib).numpy()


@row(34, "np.asarray of a tensor that requires grad")
def _(lib: Any) -> Any:
    np.asarray(leaf(lib))


@row(35, "item() of a tensor that requires grad")
def _(lib: Any) -> Any:
    return leaf(lib, 1).item()
