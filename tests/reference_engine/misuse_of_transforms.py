"""Rows 112 to 118 and 120 of the misuse table: transforms of functions, and checkpoints."""

from __future__ import annotations

from typing import Any

from tests.reference_engine.misuse import leaf, row


@row(112, "functional.jacobian of a function that returns no tensor")
def _(lib: Any) -> Any:
    lib.autograd.functional.jacobian(lambda x: 2.0, leaf(lib))


@row(113, "functional.jacobian, strict, of an output that does not depend on the input")
def _(lib: Any) -> Any:
    lib.autograd.functional.jacobian(lambda x: lib.ones(2), leaf(lib), strict=True)


@row(114, "functional.hessian of a vector")
def _(lib: Any) -> Any:
    lib.autograd.functional.hessian(lambda x: x**2, leaf(lib))


@row(115, "func.grad of a vector")
def _(lib: Any) -> Any:
    lib.func.grad(lambda x: x**2)(lib.ones(3))


@row(116, "func.grad of a function that writes to a captured tensor")
def _(lib: Any) -> Any:
    captured = lib.ones(3)
    lib.func.grad(lambda x: (captured.add_(1), x.sum())[1])(lib.ones(3))


@row(117, "backward inside func.grad")
def _(lib: Any) -> Any:
    lib.func.grad(lambda x: ((x * x).sum().backward(), x.sum())[1])(lib.ones(3))


@row(118, "control flow that depends on values inside vmap")
def _(lib: Any) -> Any:
    lib.func.vmap(lambda x: x if x > 0 else -x)(lib.ones(3))


@row(120, "a re-entrant checkpoint and autograd.grad")
def _(lib: Any) -> Any:
    x = leaf(lib)
    y = lib.utils.checkpoint.checkpoint(lambda x: x * 2, x, use_reentrant=True)
    lib.autograd.grad(y.sum(), x)
