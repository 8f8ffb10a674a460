"""Custom functions of modules with PyTorch's names: subclasses of `autograd.Function`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from conformance.adapters.base import Tensor
from conformance.custom import Rule


def function_of(engine: Any, marks: Mapping[str, Any], once: bool) -> Any:
    """Return a new subclass of `engine.module.autograd.Function` that does what its `rule` says.

    The rule is an attribute of the class, read when it is applied and kept by the context. marks:
    `dirty`, whether the first input is written in place; `constant`, the numbers of results without
    a gradient; `materialize`. once: its backward is marked `once_differentiable`.
    """
    autograd = engine.module.autograd

    class Custom(autograd.Function):  # type: ignore[misc,name-defined]
        """The operation."""

        rule: Rule

        @staticmethod
        def forward(ctx: Any, *inputs: Tensor) -> Any:
            """Compute the results and tell `ctx` what the rule says of them."""
            rule = ctx.rule = Custom.rule
            results = rule.forward(engine, inputs)
            if marks["dirty"]:
                ctx.mark_dirty(inputs[0])
            if marks["constant"]:
                ctx.mark_non_differentiable(*(results[n] for n in marks["constant"]))
            ctx.set_materialize_grads(marks["materialize"])
            ctx.save_for_backward(*rule.keep(inputs, results))
            if rule.forward_mode:
                ctx.given = inputs
            return results if len(results) > 1 else results[0]

        @staticmethod
        def backward(ctx: Any, *cotangents: Tensor | None) -> Any:
            """Return the gradients of the inputs."""
            return ctx.rule.backward(engine, ctx.saved_tensors, cotangents, ctx.needs_input_grad)

        @staticmethod
        def jvp(ctx: Any, *tangents: Tensor | None) -> Any:
            """Return the tangents of the results."""
            found: Sequence[Tensor] = ctx.rule.jvp(engine, ctx.given, tangents)
            return tuple(found) if len(found) > 1 else found[0]

    if once:
        Custom.backward = staticmethod(  # type: ignore[method-assign]
            autograd.function.once_differentiable(Custom.backward)
        )
    return Custom
