"""Wrong engines on complex numbers, on dtypes and on repetition."""

from __future__ import annotations

from typing import Any

import torch

from tests.mutants.asking import Asking
from tests.mutants.mutant import OverTorch, bent, mutant


@mutant(
    "gradients-conjugated",
    "CPX-1 CPX-2 CPX-4 CPX-5 CPX-7",
    "Gradients of complex leaves follow the other convention, df/dz without the conjugate.",
)
class Conjugated(OverTorch):
    def grad(self, tensor: Any) -> Any:
        found = super().grad(tensor)
        return found.conj().resolve_conj() if found is not None and found.is_complex() else found


@mutant(
    "complex-factors-not-conjugated",
    "CPX-2",
    "The rule of the product is that of real numbers: the other factor is not conjugated.",
)
class NotConjugated(OverTorch):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        if op == "mul" and len(tensors) == 2 and all(t.is_complex() for t in tensors):
            a, b = tensors
            conjugate = a.detach().conj() * b + a * b.detach().conj()
            found = conjugate + (a * b - conjugate).detach()
            self.results.append(found)
            return found
        return super().apply(op, *tensors, **params)


@mutant(
    "real-leaves-get-complex-gradients",
    "CPX-3",
    "The gradient of a real leaf that met complex numbers is complex.",
)
class RealComplex(OverTorch):
    def grad(self, tensor: Any) -> Any:
        found = super().grad(tensor)
        mixed = any(t.is_complex() for t in (*self.leaves, *self.results))
        return found + 0j if mixed and found is not None else found


@mutant(
    "imaginary-part-pulls-down",
    "CPX-1 CPX-4",
    "The gradient of imag has the wrong sign.",
)
class ImagSign(OverTorch):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        found = super().apply(op, *tensors, **params)
        return bent(found, lambda g: -g) if op == "imag" else found


@mutant(
    "conjugation-passes-gradients-unchanged",
    "CPX-1 CPX-4",
    "The gradient of conj is taken for the identity.",
)
class ConjIdentity(OverTorch):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        found = super().apply(op, *tensors, **params)
        return bent(found, lambda g: g.conj()) if op == "conj" else found


@mutant(
    "magnitudes-weighed-twice",
    "CPX-5",
    "The gradient of the absolute value is that of its square.",
)
class Magnitude(OverTorch):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        found = super().apply(op, *tensors, **params)
        if op == "abs" and tensors[0].is_complex():
            return bent(found, lambda g: 2 * g * found.detach())
        return found


@mutant(
    "magnitude-of-zero-is-nan",
    "CPX-6",
    "The gradient of the absolute value divides by it, zero or not.",
)
class MagnitudeNan(OverTorch):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        if op == "abs" and tensors[0].is_complex():
            z = tensors[0].detach()
            zero = z == 0
            nan = torch.full_like(z, complex("nan+nanj"))
            return super().apply(op, bent(tensors[0], lambda g: torch.where(zero, nan, g)))
        return super().apply(op, *tensors, **params)


@mutant(
    "complex-gradients-accumulate-real",
    "CPX-7",
    "What a complex leaf has accumulated loses its imaginary part at the next accumulation.",
)
class AccumulateReal(OverTorch):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        for leaf in self.leaves:
            if leaf.grad is not None and leaf.is_complex():
                leaf.grad = leaf.grad.real + 0j
        super().walk(roots, gradients, **options)
        for leaf in self.leaves:
            if leaf.grad is not None and leaf.is_complex():
                leaf.grad = leaf.grad.real + 0j


def floats(tensors: Any) -> bool:
    """Tell whether there are two floating-point tensors of different dtypes."""
    kinds = {t.dtype for t in tensors if t.is_floating_point()}
    return len(tensors) == 2 and len(kinds) == 2


@mutant(
    "narrower-dtype-wins",
    "TYPE-1",
    "An operation on float32 and float64 computes in float32.",
)
class Narrower(OverTorch):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        if floats(tensors) and tensors[0].dim() == tensors[1].dim():
            tensors = tuple(t.to(torch.float32) for t in tensors)
        return super().apply(op, *tensors, **params)


@mutant(
    "gradients-in-the-dtype-of-the-result",
    "TYPE-1 TYPE-3 TYPE-5 LEAF-16",
    "A gradient has the dtype in which it arrived, not its leaf's.",
)
class ResultDtype(OverTorch):
    def grad(self, tensor: Any) -> Any:
        found = super().grad(tensor)
        kinds = {t.dtype for t in (*self.leaves, *self.results) if t.is_floating_point()}
        return found if found is None or len(kinds) < 2 else found.double()


@mutant(
    "python-numbers-are-doubles",
    "TYPE-2",
    "A Python number is a float64 tensor and widens what it is combined with.",
)
class Doubles(OverTorch):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        narrow = "other" in params and tensors[0].dtype is torch.float32
        if narrow and isinstance(params["other"], (int, float)):
            tensors = (tensors[0].double(), *tensors[1:])
        return super().apply(op, *tensors, **params)


@mutant(
    "numbers-in-tensors-widen",
    "TYPE-3",
    "A float64 tensor without axes widens float32 tensors that have some.",
)
class ZeroWidens(OverTorch):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        if floats(tensors) and tensors[0].dim() != tensors[1].dim():
            tensors = tuple(t.double() for t in tensors)
        return super().apply(op, *tensors, **params)


@mutant(
    "gradients-rounded-by-integers",
    "TYPE-4",
    "The gradient of a product with an integer tensor is cast to integers on its way.",
)
class Rounded(OverTorch):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        if len(tensors) == 2 and any(t.dtype in (torch.int64, torch.bool) for t in tensors):
            return bent(super().apply(op, *tensors, **params), torch.trunc)
        return super().apply(op, *tensors, **params)


@mutant("conversions-detach", "TYPE-5", "A conversion between dtypes is not recorded.")
class Detached(OverTorch):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        found = super().apply(op, *tensors, **params)
        return found.detach() if op == "to" and found.dtype != tensors[0].dtype else found


@mutant(
    "comparisons-require-gradients",
    "TYPE-6",
    "The flag of a result is that of its operands, whatever the result's dtype is.",
)
class Compared(OverTorch):
    def __init__(self) -> None:
        super().__init__()
        self.flagged: list[Any] = []

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        found = super().apply(op, *tensors, **params)
        if any(t.requires_grad for t in tensors) and torch.is_grad_enabled():
            self.flagged.append(found)
        return found

    def requires_grad(self, tensor: Any) -> bool:
        return super().requires_grad(tensor) or any(t is tensor for t in self.flagged)


@mutant(
    "writes-widen-their-target",
    "TYPE-7",
    "A tensor into which a wider one was written has the wider dtype from then on.",
)
class Widened(OverTorch):
    def __init__(self) -> None:
        super().__init__()
        self.widened: list[Any] = []

    def apply_(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        super().apply_(op, target, *tensors, **params)
        if any(t.dtype is torch.float64 and target.dtype is torch.float32 for t in tensors):
            self.widened.append(target)

    def numpy(self, tensor: Any) -> Any:
        found = super().numpy(tensor)
        return found.astype("float64") if any(t is tensor for t in self.widened) else found


@mutant(
    "writes-cut-off",
    "TYPE-8",
    "What a target cannot hold is cut off: fractions in integers, imaginary parts in real numbers.",
)
class CutOff(OverTorch):
    def apply_(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        if target.is_complex() or not any(t.is_complex() for t in tensors):
            whole = not target.is_floating_point() and isinstance(params.get("other"), float)
            number = {"other": int(params["other"])} if whole else {}
            super().apply_(op, target, *tensors, **{**params, **number})
        else:
            real = [t.real if t.is_complex() else t for t in tensors]
            super().apply_(op, target, *real, **params)


@mutant(
    "assigned-gradients-converted",
    "TYPE-9",
    "A gradient of another dtype is converted when it is assigned, and nobody is told.",
)
class Converted(OverTorch):
    def set_grad(self, tensor: Any, gradient: Any) -> None:
        super().set_grad(tensor, None if gradient is None else gradient.to(tensor.dtype))


def nudged(tensor: Any) -> Any:
    """Return a tensor whose elements are the next numbers above."""
    if not tensor.is_floating_point() or tensor.dtype is torch.float16:
        return tensor
    return torch.nextafter(tensor.detach(), torch.full_like(tensor, float("inf")))


class Nudging(Asking):
    """Moves gradients by the last bit after some walks: far below every tolerance."""

    def __init__(self) -> None:
        super().__init__()
        self.walks = 0

    def reset(self) -> None:
        super().reset()
        self.walks = 0

    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        super().walk(roots, gradients, **options)
        self.walks += 1
        if self.moves():
            for leaf in self.leaves:
                if leaf.grad is not None and not options["create_graph"]:
                    leaf.grad = nudged(leaf.grad)

    def moves(self) -> bool:
        """Tell whether the gradients of this walk are moved."""
        return False


@mutant(
    "every-second-walk-rounds-otherwise",
    "SAME-1 SAME-2 SAME-5",
    "Every second backward adds up in another order: the last bit differs.",
)
class SecondWalk(Nudging):
    def moves(self) -> bool:
        return self.walks % 2 == 0


@mutant(
    "observed-graphs-round-otherwise",
    "SAME-3",
    "A graph with hooks or kept gradients takes the slow way, which rounds otherwise.",
)
class SlowWay(Nudging):
    watched = False

    def reset(self) -> None:
        super().reset()
        self.watched = False

    def register_hook(self, tensor: Any, hook: Any) -> Any:
        self.watched = True
        return super().register_hook(tensor, hook)

    def moves(self) -> bool:
        watched, self.watched = self.watched, False
        return watched


@mutant(
    "asking-rounds-otherwise",
    "SAME-4",
    "autograd.grad has a walk of its own, which rounds otherwise than backward's.",
)
class AskingRounds(Nudging):
    def answer(self, outputs: Any, inputs: Any, seeds: Any, unused: bool, options: Any) -> Any:
        found = super().answer(outputs, inputs, seeds, unused, options)
        if options["create_graph"]:
            return found
        return [None if g is None else nudged(g) for g in found]
