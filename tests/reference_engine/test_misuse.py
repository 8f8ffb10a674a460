"""The misuse table of the semantics inventory: the same class of outcome as PyTorch, row by row.

Rows of features that the engine does not have yet are not here.
"""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch as pytorch

from tests.reference_engine.outcome import Scenario, assert_same, outcome

ROWS: dict[int, tuple[str, Scenario]] = {}


def row(number: int, about: str) -> Any:
    def register(scenario: Scenario) -> Scenario:
        assert number not in ROWS, f"row {number} is here twice"
        ROWS[number] = (about, scenario)
        return scenario

    return register


def leaf(lib: Any, n: int = 3) -> Any:
    return lib.ones(n, requires_grad=True)


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


@row(10, "a saved tensor modified through its detach()")
def _(lib: Any) -> Any:
    y = leaf(lib).sigmoid()
    y.detach().zero_()
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


@pytest.mark.parametrize("number", ROWS)
def test_a_row_of_the_misuse_table_comes_to_what_it_does_in_torch(engine: Any, number: int) -> None:
    _, scenario = ROWS[number]
    assert_same(outcome(scenario, pytorch), outcome(scenario, engine))


@pytest.mark.parametrize("number", ROWS)
def test_a_refusal_is_a_sentence_of_its_own(engine: Any, number: int) -> None:
    _, scenario = ROWS[number]
    refused = outcome(scenario, engine)
    if refused.raised is not None:
        assert len(refused.message) > 25
        assert refused.message != outcome(scenario, pytorch).message
