"""Wrong engines on custom functions."""

from __future__ import annotations

from functools import wraps
from typing import Any

import torch

from tests.mutants.mutant import OverTorch, mutant, several


class Bent:
    """A rule that passes everything on to another, for mutants to change parts of."""

    def __init__(self, rule: Any) -> None:
        self.rule = rule

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rule, name)


class Functioning(OverTorch):
    """Has one place to be wrong in for each part of a rule, and for what a function says."""

    @wraps(OverTorch.custom_function)
    def custom_function(self, rule: Any, *tensors: Any, **marks: Any) -> Any:
        mutant = self

        class Rule(Bent):
            def keep(self, inputs: Any, results: Any) -> Any:
                return mutant.kept(self.rule.keep(inputs, results))

            def backward(self, engine: Any, kept: Any, cotangents: Any, needs: Any = ()) -> Any:
                def run(*given: Any, needs: Any = needs) -> list[Any]:
                    return list(self.rule.backward(engine, kept, given, needs))

                return tuple(mutant.pulled(run, cotangents, tensors))

        return super().custom_function(Rule(rule), *tensors, **self.marked(marks))

    def kept(self, tensors: Any) -> Any:
        """Return what is saved."""
        return tensors

    def pulled(self, run: Any, cotangents: Any, inputs: Any) -> Any:
        """Return what backward returns; `run(*cotangents)` runs the rule."""
        return run(*cotangents)

    def marked(self, marks: dict[str, Any]) -> dict[str, Any]:
        """Return what the function says of itself."""
        return marks


@mutant(
    "functions-differentiated-by-their-forward",
    "FUN-1 FUN-5 FUN-6 FUN-7",
    "A custom function's forward is recorded as any other code, and its backward never called.",
)
class ByForward(OverTorch):
    @wraps(OverTorch.custom_function)
    def custom_function(self, rule: Any, *tensors: Any, **marks: Any) -> Any:
        return rule.forward(self, tensors)


@mutant(
    "function-backward-called-twice",
    "FUN-2",
    "The backward of a custom function is called once to find out shapes and once in earnest.",
)
class CalledTwice(Functioning):
    def pulled(self, run: Any, cotangents: Any, inputs: Any) -> Any:
        run(*cotangents)
        return run(*cotangents)


@mutant(
    "function-results-always-tracked",
    "FUN-3",
    "Results of custom functions require gradients whatever their inputs and the mode are.",
)
class AlwaysTracked(OverTorch):
    @wraps(OverTorch.custom_function)
    def custom_function(self, rule: Any, *tensors: Any, **marks: Any) -> Any:
        found = super().custom_function(rule, *tensors, **marks)
        return tuple(y if y.requires_grad else y.detach().requires_grad_() for y in found)


@mutant(
    "functions-save-copies",
    "FUN-4 FUN-13",
    "What a custom function saves is copied, so that no write to it is noticed.",
)
class SaveCopies(Functioning):
    def kept(self, tensors: Any) -> Any:
        return [t.detach().clone() for t in tensors]


@mutant(
    "function-gradients-counted-generously",
    "FUN-5",
    "Missing gradients of a custom function are filled up with None, extra ones dropped.",
)
class Filled(Functioning):
    def pulled(self, run: Any, cotangents: Any, inputs: Any) -> Any:
        return [*run(*cotangents), *[None] * len(inputs)][: len(inputs)]


@mutant(
    "function-gradients-stretched",
    "FUN-6",
    "A gradient of a custom function is broadcast to the shape of its input.",
)
class Stretched(Functioning):
    def pulled(self, run: Any, cotangents: Any, inputs: Any) -> Any:
        return [
            g.expand(x.shape) if g is not None and n == 0 else g
            for n, (g, x) in enumerate(zip(run(*cotangents), inputs, strict=False))
        ]


@mutant(
    "function-none-is-zeros",
    "FUN-7",
    "None from a custom backward is turned into zeros, which are accumulated.",
)
class NoneIsZeros(Functioning):
    def pulled(self, run: Any, cotangents: Any, inputs: Any) -> Any:
        found = run(*cotangents)
        return [torch.zeros_like(x) if g is None else g for g, x in zip(found, inputs, strict=True)]


@mutant(
    "functions-told-that-all-is-needed",
    "FUN-8",
    "Every input of a custom function is said to need its gradient.",
)
class AllNeeded(Functioning):
    def pulled(self, run: Any, cotangents: Any, inputs: Any) -> Any:
        return run(*cotangents, needs=[True] * len(inputs))


@mutant(
    "function-cotangents-swapped",
    "FUN-9",
    "The gradients of a custom function's results arrive in the order of their use.",
)
class Swapped(Functioning):
    def pulled(self, run: Any, cotangents: Any, inputs: Any) -> Any:
        return run(*cotangents[::-1])


def without(mark: str) -> type[Functioning]:
    """Return an engine that ignores what a function says by that mark."""

    class Ignoring(Functioning):
        def marked(self, marks: dict[str, Any]) -> dict[str, Any]:
            return {key: value for key, value in marks.items() if key != mark}

    return Ignoring


mutant(
    "functions-always-get-zeros",
    "FUN-10",
    "Absent gradients are made up as zeros for custom functions that asked for None.",
)(without("materialize"))
mutant(
    "function-writes-not-marked",
    "FUN-11",
    "An input that a custom function wrote in place keeps its history.",
)(without("dirty"))
mutant(
    "function-constants-tracked",
    "FUN-12",
    "A result that a custom function marked as not differentiable requires gradients.",
)(without("non_differentiable"))
mutant(
    "once-differentiable-ignored",
    "FUN-14",
    "A custom backward that may be differentiated once is differentiated twice.",
)(without("once_differentiable"))


@mutant(
    "function-backward-not-recorded",
    "FUN-13",
    "The backward of a custom function is never recorded, so that its gradients are constants.",
)
class NotRecorded(Functioning):
    def pulled(self, run: Any, cotangents: Any, inputs: Any) -> Any:
        with torch.no_grad():
            return run(*cotangents)


@mutant(
    "functions-keep-what-they-saved",
    "FUN-15",
    "What a custom function saved hangs on its context, and is there for a second backward.",
)
class KeepSaved(OverTorch):
    @wraps(OverTorch.custom_function)
    def custom_function(self, rule: Any, *tensors: Any, **marks: Any) -> Any:
        class Rule(Bent):
            held: Any = ()

            def keep(self, inputs: Any, results: Any) -> Any:
                self.held = self.rule.keep(inputs, results)
                return ()

            def backward(self, engine: Any, kept: Any, *rest: Any) -> Any:
                return self.rule.backward(engine, self.held, *rest)

        return super().custom_function(Rule(rule), *tensors, **marks)

    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        options["retain_graph"] = True
        super().walk(roots, gradients, **options)


@mutant(
    "function-tangents-by-their-forward",
    "FUN-16",
    "Forward mode looks through a custom function at what its forward computes.",
)
class TangentsByForward(OverTorch):
    @wraps(OverTorch.custom_function)
    def custom_function(self, rule: Any, *tensors: Any, **marks: Any) -> Any:
        if any(self.tangent_of(t) is not None for t in tensors):
            return tuple(several(rule.forward(self, tensors)))
        return super().custom_function(rule, *tensors, **marks)
