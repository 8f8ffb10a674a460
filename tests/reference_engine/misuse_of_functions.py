"""Rows 47 to 54 and 74 to 92 of the misuse table: custom Functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.reference_engine.misuse import leaf, row


def function(
    lib: Any,
    forward: Callable[..., Any] = lambda ctx, x: x * 2,
    backward: Callable[..., Any] | None = lambda ctx, g: g * 2,
    **more: Any,
) -> Any:
    """The Function of a forward and a backward."""
    members = {"forward": staticmethod(forward), **more}
    if backward is not None:
        members["backward"] = staticmethod(backward)
    return type("Doubled", (lib.autograd.Function,), members)


def gradient(lib: Any, **rules: Any) -> Any:
    """What a leaf's gradient through the Function is."""
    x = leaf(lib)
    function(lib, **rules).apply(x).sum().backward()
    return x.grad


@row(47, "in-place on a view that a custom Function made")
def _(lib: Any) -> Any:
    y = function(lib, lambda ctx, x: x[:2]).apply(leaf(lib) * 1)
    y.add_(1)


@row(48, "in-place on an input that a custom Function returned among two outputs")
def _(lib: Any) -> Any:
    y, _ = function(lib, lambda ctx, x: (x, x * 2)).apply(leaf(lib) * 1)
    y.add_(1)


@row(54, "double backward through once_differentiable")
def _(lib: Any) -> Any:
    once = lib.autograd.function.once_differentiable(lambda ctx, g: g * 2)
    x = leaf(lib)
    y = function(lib, backward=once).apply(x * x)
    (g,) = lib.autograd.grad(y.sum(), x, create_graph=True)
    g.sum().backward()


@row(74, "a custom Function returns nan in anomaly mode")
def _(lib: Any) -> Any:
    with lib.autograd.detect_anomaly():
        gradient(lib, backward=lambda ctx, g: g * float("nan"))


@row(75, "backward returns too few gradients")
def _(lib: Any) -> Any:
    apply = function(lib, lambda ctx, x, y: x * y, lambda ctx, g: g).apply
    apply(leaf(lib), leaf(lib)).sum().backward()


@row(76, "backward returns too many gradients")
def _(lib: Any) -> Any:
    gradient(lib, backward=lambda ctx, g: (g, g))


@row(77, "backward returns None for arguments that are not there")
def _(lib: Any) -> Any:
    return gradient(lib, backward=lambda ctx, g: (g * 2, None, None))


@row(78, "backward returns the wrong shape")
def _(lib: Any) -> Any:
    gradient(lib, backward=lambda ctx, g: g[:2])


@row(79, "backward returns a broadcast shape")
def _(lib: Any) -> Any:
    return gradient(lib, backward=lambda ctx, g: g.expand(2, 3))


@row(80, "backward returns no tensor")
def _(lib: Any) -> Any:
    gradient(lib, backward=lambda ctx, g: 1.0)


@row(81, "backward returns a gradient for a number")
def _(lib: Any) -> Any:
    function(lib, lambda ctx, x, n: x * n, lambda ctx, g: (g, g)).apply(
        leaf(lib), 2
    ).sum().backward()


@row(83, "no backward")
def _(lib: Any) -> Any:
    try:
        gradient(lib, backward=None)
    except NotImplementedError as error:
        raise TypeError("not implemented: " + str(error)) from error


@row(82, "no forward")
def _(lib: Any) -> Any:
    missing = type("Missing", (lib.autograd.Function,), {})
    try:
        missing.apply(leaf(lib))
    except NotImplementedError as error:
        raise TypeError("not implemented: " + str(error)) from error


@row(84, "both backward and vjp")
def _(lib: Any) -> Any:
    gradient(lib, vjp=staticmethod(lambda ctx, g: g))


@row(85, "called as an instance")
def _(lib: Any) -> Any:
    function(lib)()(leaf(lib))


@row(86, "save_for_backward of a number")
def _(lib: Any) -> Any:
    gradient(lib, forward=lambda ctx, x: (ctx.save_for_backward(2.0), x * 2)[1])


@row(87, "saved_tensors after they were freed")
def _(lib: Any) -> Any:
    y = function(lib, lambda ctx, x: (ctx.save_for_backward(x), x * 2)[1]).apply(leaf(lib))
    y.sum().backward()
    return y.grad_fn.saved_tensors


@row(88, "mark_dirty of what is no input")
def _(lib: Any) -> Any:
    def forward(ctx: Any, x: Any) -> Any:
        y = x * 2
        ctx.mark_dirty(y)
        return y

    return function(lib, forward).apply(leaf(lib))


def _dirtied(ctx: Any, x: Any) -> Any:
    ctx.mark_dirty(x)
    return x.mul_(2)


@row(89, "what mark_dirty marked is not returned")
def _(lib: Any) -> Any:
    function(lib, lambda ctx, x: _dirtied(ctx, x).clone()).apply(leaf(lib) * 1)


@row(90, "mark_dirty on a leaf")
def _(lib: Any) -> Any:
    function(lib, _dirtied).apply(leaf(lib))


@row(91, "mark_dirty on a view, with two outputs")
def _(lib: Any) -> Any:
    function(lib, lambda ctx, x: (_dirtied(ctx, x), x * 3)).apply((leaf(lib) * 1)[:2])


@row(92, "backward from an output marked non-differentiable")
def _(lib: Any) -> Any:
    def forward(ctx: Any, x: Any) -> Any:
        y = x * 2
        ctx.mark_non_differentiable(y)
        return y

    function(lib, forward).apply(leaf(lib)).sum().backward()
