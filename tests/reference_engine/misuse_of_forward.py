"""Rows 57, 94, 95 and 101 to 111 of the misuse table: devices, out=, forward mode and gradcheck."""

from __future__ import annotations

from typing import Any

from tests.reference_engine.misuse import leaf, row
from tests.reference_engine.misuse_of_functions import function


@row(57, ".grad on another device")
def _(lib: Any) -> Any:
    x = leaf(lib)
    # only PyTorch has a device without memory
    here = str(x.device)
    elsewhere = "meta" if lib.__name__ == "torch" else "cpu" if here != "cpu" else "torch"
    x.grad = lib.ones(3, device=elsewhere)


@row(94, "an op whose derivative is not implemented can be run")
def _(lib: Any) -> Any:
    return lib.nextafter(leaf(lib), lib.zeros(3))


@row(95, "out= when an argument requires grad")
def _(lib: Any) -> Any:
    lib.add(leaf(lib), lib.ones(3), out=lib.zeros(3))


@row(101, "a dual level inside another")
def _(lib: Any) -> Any:
    fw = lib.autograd.forward_ad
    with fw.dual_level(), fw.dual_level():
        pass


@row(102, "make_dual outside a dual level")
def _(lib: Any) -> Any:
    lib.autograd.forward_ad.make_dual(lib.ones(3), lib.ones(3))


@row(103, "a tangent of another shape")
def _(lib: Any) -> Any:
    fw = lib.autograd.forward_ad
    with fw.dual_level():
        fw.make_dual(lib.ones(3), lib.ones(2))


@row(104, "an integer tangent")
def _(lib: Any) -> Any:
    fw = lib.autograd.forward_ad
    with fw.dual_level():
        fw.make_dual(lib.ones(3), lib.ones(3, dtype=lib.int64))


def pushed(lib: Any, apply: Any) -> Any:
    fw = lib.autograd.forward_ad
    with fw.dual_level():
        return fw.unpack_dual(apply(fw.make_dual(lib.ones(3), lib.ones(3)))).tangent


@row(106, "a custom Function without jvp in forward mode")
def _(lib: Any) -> Any:
    return pushed(lib, function(lib).apply)


def double(lib: Any, n: int = 3) -> Any:
    return lib.arange(1, n + 1, dtype=lib.float64).requires_grad_()


@row(107, "gradcheck of inputs that require no grad")
def _(lib: Any) -> Any:
    return lib.autograd.gradcheck(lib.sin, (double(lib).detach(),))


@row(108, "gradcheck in float32 warns")
def _(lib: Any) -> Any:
    return lib.autograd.gradcheck(lib.sin, (leaf(lib),), atol=1.0, rtol=1.0)


def refusal_of_a_wrong_backward(lib: Any, fast: bool) -> Any:
    """The name of the exception, which is a RuntimeError of each library's own."""
    wrong = function(lib, backward=lambda ctx, g: g * 3)
    try:
        return lib.autograd.gradcheck(wrong.apply, (double(lib),), fast_mode=fast)
    except RuntimeError as error:
        return type(error).__name__


@row(109, "gradcheck of a wrong backward")
def _(lib: Any) -> Any:
    return refusal_of_a_wrong_backward(lib, fast=False)


@row(110, "gradcheck of a wrong backward in fast mode")
def _(lib: Any) -> Any:
    return refusal_of_a_wrong_backward(lib, fast=True)


@row(111, "gradcheck of an input with stride 0")
def _(lib: Any) -> Any:
    x = double(lib, 1).detach().expand(3).requires_grad_()
    lib.autograd.gradcheck(lib.sin, (x,))
