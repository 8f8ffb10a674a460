"""``torch.autograd.gradcheck`` and ``gradgradcheck``: gradients against extrapolated differences.

Both keep PyTorch's signatures and its meaning of ``atol`` and ``rtol``. ``eps`` is the largest step
of a central difference, divided by 1024; smaller ones are extrapolated (Richardson 1911,
https://doi.org/10.1098/rsta.1911.0009), so that truncation does not limit the accuracy.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeAlias

import numpy as np

import reference_engine
from reference_engine.backward import grad
from reference_engine.tensor import Tensor

#: the names of ``torch``, many of which are made on demand
engine: Any = reference_engine
#: of each central difference its step in units of eps, and its weight: terms in h² and h⁴ cancel
_STEPS = ((1024.0, 1 / 45), (512.0, -20 / 45), (256.0, 64 / 45))
_NOTHING = "gradcheck expects at least one input that requires grad, got none"
Function: TypeAlias = "Callable[..., Any]"


class GradcheckError(RuntimeError):
    """A numeric and an analytic gradient differ, or a gradient is not reproducible."""


def gradcheck(
    func: Function, inputs: Tensor | Sequence[Any], *, eps: float = 1e-6, atol: float = 1e-5,
    rtol: float = 1e-3, raise_exception: bool = True, nondet_tol: float = 0.0,
    check_undefined_grad: bool = True, check_grad_dtypes: bool = False,
    check_batched_grad: bool = False, check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False, check_backward_ad: bool = True, fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:  # fmt: skip
    """Compare the gradients of ``func`` at ``inputs`` with differences of its values.

    Checked are the inputs that require grad; every element of the Jacobian, or with ``fast_mode``
    one random projection of it, in backward mode, in forward mode, or both. Returns True, or raises
    ``GradcheckError``, or returns False where ``raise_exception`` is off. ValueError where no input
    is to be checked, AssertionError where no mode is, RuntimeError for an expanded input.
    (https://pytorch.org/docs/stable/generated/torch.autograd.gradcheck.gradcheck.html)
    """
    del masked  # sparse inputs, its only subject, do not exist here
    batches = check_batched_grad > check_backward_ad, check_batched_forward_grad > check_forward_ad
    if any(batches) or not (check_backward_ad or check_forward_ad):
        # as in PyTorch, which asserts it
        raise AssertionError(
            "gradcheck got nothing to check: set check_backward_ad or check_forward_ad, which the"
            " checks of batches need too"
        )
    at = _Point(func, _given(inputs), check_grad_dtypes)
    modes = [
        ("backward", check_backward_ad, check_batched_grad),
        ("forward", check_forward_ad, check_batched_forward_grad),
    ]
    try:
        if not at.roots:
            _check_constant(at, eps)
            return True
        if check_backward_ad:
            _check_reproducible(at, nondet_tol)
        if check_backward_ad and check_undefined_grad:
            _check_undefined(at, nondet_tol)
        for mode, wanted, batched in modes:
            if batched:
                _check_batch(at, mode, atol, rtol)
            if wanted:
                _check_jacobian(at, mode, eps, atol, rtol, fast_mode)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Function, inputs: Tensor | Sequence[Any],
    grad_outputs: Tensor | Sequence[Tensor] | None = None, *, eps: float = 1e-6,
    atol: float = 1e-5, rtol: float = 1e-3, gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True, nondet_tol: float = 0.0, check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False, check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False, check_rev_over_rev: bool = True, fast_mode: bool = False,
    masked: bool = False,
) -> bool:  # fmt: skip
    """Compare second derivatives: ``gradcheck`` of the gradient, by inputs and cotangents.

    ``grad_outputs`` are random where none are given, as every second element of larger tensors with
    ``gen_non_contig_grad_outputs``.
    (https://pytorch.org/docs/stable/generated/torch.autograd.gradcheck.gradgradcheck.html)
    """
    if check_undefined_grad > check_rev_over_rev:
        raise AssertionError("check_undefined_grad=True needs check_rev_over_rev, as in PyTorch")
    given = _given(inputs)
    if not any(isinstance(x, Tensor) and x.requires_grad for x in given):
        raise ValueError(_NOTHING)
    if grad_outputs is None:
        outputs = _outputs(func(*given))
        cotangents = _parted(_random(0, sum(map(_size, outputs))), outputs)
        if gen_non_contig_grad_outputs:
            cotangents = [engine.stack([w, w], dim=-1)[..., 0] for w in cotangents]
    else:
        cotangents = list(_given(grad_outputs))
    cotangents = [w.detach().requires_grad_() for w in cotangents]

    def gradient(*arguments: Any) -> tuple[Tensor, ...]:
        xs, ws = arguments[: len(given)], arguments[len(given) :]
        wanted = [x for x in xs if isinstance(x, Tensor) and x.requires_grad]
        found = grad(_outputs(func(*xs)), wanted, ws, create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None)

    return gradcheck(
        gradient, (*given, *cotangents), eps=eps, atol=atol, rtol=rtol,
        raise_exception=raise_exception, nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad, check_grad_dtypes=check_grad_dtypes,
        check_batched_grad=check_batched_grad, check_forward_ad=check_fwd_over_rev,
        check_backward_ad=check_rev_over_rev, fast_mode=fast_mode, masked=masked,
    )  # fmt: skip


def _given(inputs: Any) -> tuple[Any, ...]:
    return (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)


def _outputs(result: Any) -> list[Tensor]:
    found = result if isinstance(result, (tuple, list)) else (result,)
    return [y for y in found if isinstance(y, Tensor) and y.dtype.differentiable]


# a function of real vectors -----------------------------------------------------------------------
def _random(seed: int, *shape: int) -> Tensor:
    made: Tensor = engine.from_numpy(np.random.default_rng(seed).standard_normal(shape))
    return made


def _size(x: Tensor) -> int:
    return x.shape.numel() * (2 if x.is_complex() else 1)


def _joined(tensors: Sequence[Tensor]) -> Tensor:
    """The numbers of tensors as one real vector, on the default device."""
    parts = [engine.from_numpy(np.zeros(0))]
    for x in tensors:
        numbers = engine.view_as_real(x) if x.is_complex() else x
        parts.append(numbers.detach().reshape(-1).to(parts[0].device, engine.float64))
    joined: Tensor = engine.cat(parts)
    return joined


def _parted(vector: Tensor, likes: Sequence[Tensor]) -> list[Tensor]:
    """The tensors of these numbers."""
    made = []
    for part, like in zip(vector.split([*map(_size, likes)]), likes, strict=True):
        numbers = engine.view_as_complex(part.view(-1, 2)) if like.is_complex() else part
        made.append(numbers.view(like.shape).to(like.device, like.dtype, copy=True))
    return made


class _Point:
    """A function at a point, as a map of vectors: from the inputs that require grad to the outputs
    that do.
    """

    def __init__(self, func: Function, given: tuple[Any, ...], check_dtypes: bool) -> None:
        self._func, self._check_dtypes = func, check_dtypes
        places = tuple(i for i, x in enumerate(given) if isinstance(x, Tensor) and x.requires_grad)
        if not places:
            raise ValueError(_NOTHING)
        self._inputs, _, self._arguments = engine.func.derivatives.parted(given, places)
        _check_inputs(self._inputs)
        self._point = _joined(self._inputs)
        self._leaves, outputs = self._run(self._point)
        self._tracked = [i for i, y in enumerate(outputs) if y.requires_grad]
        self.roots = [outputs[i] for i in self._tracked]
        self.sizes = sum(map(_size, self.roots)), sum(map(_size, self._inputs))

    def _call(self, *leaves: Tensor) -> list[Tensor]:
        return _outputs(self._func(*self._arguments(leaves)))

    def _run(self, point: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        leaves = [x.requires_grad_() for x in _parted(point, self._inputs)]
        return leaves, self._call(*leaves)

    def _values(self, point: Tensor) -> Tensor:
        """The outputs elsewhere; those outside the graph where there are no others."""
        followed = [y for y in self._run(point)[1] if y.requires_grad or not self.roots]
        return _joined(followed)

    def pull(self, cotangent: Tensor, undefined: Collection[int] = ()) -> Tensor:
        """Jᵀ·cotangent, undefined for some outputs."""
        roots = [_undefined(y) if n in undefined else y for n, y in enumerate(self.roots)]
        weights = _parted(cotangent, roots)
        found = engine.func.transform.pulled(roots, self._leaves, weights, True, False)
        for leaf, g in zip(self._leaves, found, strict=True):
            if self._check_dtypes and g.dtype != leaf.dtype:
                raise GradcheckError(f"a gradient is {g.dtype}; expected {leaf.dtype}")
        return _joined(found)

    def push(self, tangent: Tensor) -> Tensor:
        """J·tangent."""
        primals, tangents = tuple(self._leaves), tuple(_parted(tangent, self._leaves))
        found = engine.func.jvp(lambda *xs: tuple(self._call(*xs)), primals, tangents)[1]
        return _joined([found[i] for i in self._tracked])

    def slope(self, direction: Tensor, eps: float) -> Tensor:
        """J·direction by differences, extrapolated in the square of the step."""
        found = self._values(self._point) * 0.0
        for step, weight in _STEPS:
            h = eps * step
            up, down = (self._values(self._point + direction * s) for s in (h, -h))
            found += (up - down) * (weight / (2 * h))
        return found


def _check_inputs(inputs: Sequence[Tensor]) -> None:
    for x in inputs:
        if x.dtype not in (engine.float64, engine.complex128):
            warnings.warn(
                f"gradcheck got an input of {x.dtype}: differences are accurate in float64 and "
                "complex128 only",
                UserWarning,
                stacklevel=4,
            )
        if 0 in [stride for n, stride in zip(x.shape, x.stride(), strict=True) if n > 1]:
            raise RuntimeError(
                f"gradcheck got an expanded input of shape {list(x.shape)}, several elements of "
                "which are one in memory; clone() it first"
            )


# what is checked ----------------------------------------------------------------------------------
def _check_constant(at: _Point, eps: float) -> None:
    """Raise where outputs outside the graph depend on the inputs."""
    if any(at.slope(d, eps).any() for d in engine.from_numpy(np.eye(at.sizes[1]))):
        raise GradcheckError("no output requires grad, yet the outputs depend on the inputs")


def _check_reproducible(at: _Point, tolerance: float) -> None:
    """Raise where a second backward differs from the first by more than the tolerance."""
    cotangent = _random(1, at.sizes[0])
    apart = (at.pull(cotangent) - at.pull(cotangent)).abs().cpu().numpy().max(initial=0.0)
    if not apart <= tolerance:
        raise GradcheckError(
            f"backward is not reproducible: two runs differ by {apart:.3g}; allowed is"
            f" {tolerance:.3g}"
        )


def _undefined(y: Tensor) -> Tensor:
    """A copy of an output through which no cotangent comes."""
    made: Tensor = y.clone()
    assert made.grad_fn is not None
    made.grad_fn.register_hook(lambda *_: (None,))
    return made


def _check_undefined(at: _Point, tolerance: float) -> None:
    """Raise where undefined cotangents, of all outputs or of one, count otherwise than zeros."""
    parts, every = _parted(_random(2, at.sizes[0]), at.roots), range(len(at.roots))
    for outputs in (every, *([n] for n in every if len(every) > 1)):
        cotangent = _joined([part * (n not in outputs) for n, part in enumerate(parts)])
        try:
            found = at.pull(cotangent, outputs)
        except RuntimeError as error:
            raise GradcheckError("backward does not take undefined cotangents") from error
        if not engine.allclose(found, at.pull(cotangent), 0, tolerance or 1e-12):
            raise GradcheckError(f"undefined cotangents of {[*outputs]} count, unlike zeros")


def _check_batch(at: _Point, mode: str, atol: float, rtol: float) -> None:
    """Raise where a batch of directions comes to other derivatives than one by one."""
    along, n = (at.push, at.sizes[1]) if mode == "forward" else (at.pull, at.sizes[0])
    directions = _random(4, 2, n)
    one_by_one = engine.stack([along(d) for d in directions])
    if not engine.allclose(engine.func.vmap(along)(directions), one_by_one, rtol, atol):
        raise GradcheckError("a batch of directions gives other derivatives")


def _check_jacobian(
    at: _Point, mode: str, eps: float, atol: float, rtol: float, fast: bool
) -> None:
    """Raise where numeric and analytic derivatives differ by more than atol + rtol·|numeric|."""
    rows, columns = (engine.from_numpy(np.eye(n)) for n in at.sizes)
    if fast:
        rows, columns = (_random(3 + 2 * i, 1, n) for i, n in enumerate(at.sizes))
        rows, columns = rows / rows.norm(), columns / columns.norm()
    if 0 in at.sizes:
        return
    numeric = rows @ engine.stack([at.slope(d, eps) for d in columns]).T
    if mode == "forward":
        analytic = rows @ engine.stack([at.push(column) for column in columns]).T
    else:
        analytic = engine.stack([at.pull(row) for row in rows]) @ columns.T
    allowed = atol + rtol * numeric.abs()
    for row, column in ((analytic - numeric).abs() <= allowed).logical_not().nonzero().tolist():
        where = "in a random projection" if fast else f"of output {row} by input {column}"
        raise GradcheckError(
            f"the derivative {where} (flattened) is {numeric[row, column].item():.9g} by"
            f" differences, {mode} mode gives {analytic[row, column].item():.9g}"
        )


__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]
