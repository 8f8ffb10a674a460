"""Rows 36 to 123 of the misuse table: copies, views, modes, .grad, hooks."""

from __future__ import annotations

import copy
import pickle
from typing import Any

from tests.reference_engine.misuse import leaf, row


@row(36, "deepcopy of a non-leaf")
def _(lib: Any) -> Any:
    copy.deepcopy(leaf(lib) * 2)


@row(37, "pickle of a non-leaf")
def _(lib: Any) -> Any:
    y = pickle.loads(pickle.dumps(leaf(lib) * 2))
    return y, y.is_leaf, y.requires_grad


@row(38, "detach_ of a view")
def _(lib: Any) -> Any:
    (leaf(lib) * 2)[:2].detach_()


@row(39, "in-place on a view made in no_grad")
def _(lib: Any) -> Any:
    y = leaf(lib) * 2
    with lib.no_grad():
        v = y[:2]
    v.mul_(2)


@row(40, "in-place on a view made in inference_mode")
def _(lib: Any) -> Any:
    y = leaf(lib) * 2
    with lib.inference_mode():
        v = y[:2]
    v.mul_(2)


@row(41, "grad_fn of an inference view after its base was modified")
def _(lib: Any) -> Any:
    y = leaf(lib) * 2
    with lib.inference_mode():
        v = y[:2]
    y.mul_(2)
    return v.grad_fn


@row(42, "grad_fn of a no_grad view after its base was modified")
def _(lib: Any) -> Any:
    y = leaf(lib) * 2
    with lib.no_grad():
        v = y[:2]
    y.mul_(2)
    return v.grad_fn


@row(43, "a view of a view, the inner one made in no_grad")
def _(lib: Any) -> Any:
    y = leaf(lib) * 2
    with lib.no_grad():
        v = y[:2]
    v[:1].mul_(2)


@row(44, "in-place on an output of unbind")
def _(lib: Any) -> Any:
    (leaf(lib) * 2).unbind()[0].mul_(2)


@row(45, "in-place on an output of split")
def _(lib: Any) -> Any:
    (leaf(lib) * 2).split(2)[0].mul_(2)


@row(46, "in-place on an output of chunk")
def _(lib: Any) -> Any:
    (leaf(lib) * 2).chunk(3)[0].mul_(2)


@row(49, "an inference tensor saved for backward")
def _(lib: Any) -> Any:
    with lib.inference_mode():
        c = lib.ones(3)
    return leaf(lib) * c


@row(50, "in-place on an inference tensor outside the mode")
def _(lib: Any) -> Any:
    with lib.inference_mode():
        c = lib.ones(3)
    c.add_(1)


@row(51, "_version of an inference tensor")
def _(lib: Any) -> Any:
    with lib.inference_mode():
        c = lib.ones(3)
    return c._version


@row(52, "requires_grad_ on an inference tensor outside the mode")
def _(lib: Any) -> Any:
    with lib.inference_mode():
        c = lib.ones(3)
    c.requires_grad_()


@row(53, "backward inside inference_mode")
def _(lib: Any) -> Any:
    x = leaf(lib)
    y = x.sin().sum()
    with lib.inference_mode():
        y.backward()
    return x.grad is not None, x.grad.is_inference()


@row(55, "double backward without create_graph")
def _(lib: Any) -> Any:
    x = leaf(lib)
    (g,) = lib.autograd.grad((x * x).sum(), x)
    lib.autograd.grad(g.sum(), x)


@row(56, ".grad of another dtype")
def _(lib: Any) -> Any:
    x = leaf(lib)
    x.grad = lib.ones(3, dtype=lib.float64)


@row(58, ".grad of another shape")
def _(lib: Any) -> Any:
    x = leaf(lib)
    x.grad = lib.ones(2)


@row(59, ".grad = the tensor itself")
def _(lib: Any) -> Any:
    x = leaf(lib)
    x.grad = x


@row(60, ".grad = a number")
def _(lib: Any) -> Any:
    x = leaf(lib)
    x.grad = 1.0


@row(64, "a hook on a tensor that requires no grad")
def _(lib: Any) -> Any:
    lib.ones(3).register_hook(lambda g: g)


@row(68, "a tensor hook that returns another shape")
def _(lib: Any) -> Any:
    x = leaf(lib)
    x.register_hook(lambda g: g[:2])
    x.sum().backward()


@row(69, "a tensor hook that returns no tensor")
def _(lib: Any) -> Any:
    x = leaf(lib)
    x.register_hook(lambda g: 1.0)
    x.sum().backward()


@row(70, "a node hook that returns another number of gradients")
def _(lib: Any) -> Any:
    y = leaf(lib).sin()
    y.grad_fn.register_hook(lambda inputs, outputs: (inputs[0], inputs[0]))
    y.sum().backward()


@row(71, "a node pre-hook that returns another number of gradients")
def _(lib: Any) -> Any:
    y = leaf(lib).sin()
    y.grad_fn.register_prehook(lambda outputs: (outputs[0], outputs[0]))
    y.sum().backward()


@row(93, "backward of an op without a derivative")
def _(lib: Any) -> Any:
    leaf(lib).argmax().backward()


@row(96, ".data of an incompatible dtype")
def _(lib: Any) -> Any:
    x = leaf(lib)
    x.data = lib.ones(3, dtype=lib.int64)


@row(100, "backward with create_graph warns")
def _(lib: Any) -> Any:
    x = leaf(lib)
    (x * x).sum().backward(create_graph=True)
    grad, x.grad = x.grad, None
    return grad, grad.requires_grad


@row(122, "backward of a sum of a comparison")
def _(lib: Any) -> Any:
    (leaf(lib) > 0).sum().backward()


@row(123, "in-place with a tracked operand makes an untracked leaf a non-leaf")
def _(lib: Any) -> Any:
    x, a = leaf(lib), lib.ones(3)
    a += x
    return a.is_leaf, a.requires_grad
