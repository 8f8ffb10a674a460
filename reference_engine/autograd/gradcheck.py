"""``torch.autograd.gradcheck`` and ``gradgradcheck``: gradients against extrapolated differences.

Both keep PyTorch's signatures and its meaning of ``atol`` and ``rtol``. ``eps`` is the largest step
of a central difference, divided by 1024; smaller ones are extrapolated (Richardson 1911,
https://doi.org/10.1098/rsta.1911.0009), so that truncation does not limit the accuracy.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from reference_engine.backends.dtypes import complex128, float64
from reference_engine.backward import grad
from reference_engine.ops.creation import tensor
from reference_engine.ops.namespace import TENSORS
from reference_engine.tensor import Tensor

_WIDER = 2.0**10
_LEVELS = 3
_NOTHING = "gradcheck expects at least one input that requires grad, got none"
Function: TypeAlias = "Callable[..., Any]"
Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"


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
    slopes = partial(_check_jacobian, at, eps, atol, rtol, fast_mode)
    checks: list[tuple[bool, Callable[[], None]]] = [
        (check_backward_ad, partial(_check_reproducible, at, nondet_tol)),
        (check_backward_ad and check_undefined_grad, partial(_check_undefined, at, nondet_tol)),
        (check_batched_grad, partial(_check_batch, at.pull, at.outputs, atol, rtol)),
        (check_backward_ad, partial(slopes, "backward")),
        (check_batched_forward_grad, partial(_check_batch, at.push, at.inputs, atol, rtol)),
        (check_forward_ad, partial(slopes, "forward")),
    ]
    try:
        for wanted, check in checks:
            if wanted:
                check()
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
        space = _Vectors(_outputs(func(*given)))
        cotangents = space.parted(_random(0, space.size))
        if gen_non_contig_grad_outputs:
            cotangents = [TENSORS.stack([w, w], dim=-1)[..., 0] for w in cotangents]
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


def _random(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


# a function of real vectors -----------------------------------------------------------------------
class _Vectors:
    """Tensors as one vector of real numbers, or several vectors as batches of tensors."""

    def __init__(self, likes: Sequence[Tensor]) -> None:
        self._likes = likes
        self.sizes = [x.shape.numel() * (1 + x.is_complex()) for x in likes]
        self.size = sum(self.sizes)

    def joined(self, tensors: Sequence[Tensor | None], *batch: int) -> Array:
        """The numbers of tensors; zeros for None."""
        parts = [np.zeros((*batch, 0))]
        for x, n in zip(tensors, self.sizes, strict=True):
            if x is None:
                parts.append(np.zeros((*batch, n)))
                continue
            array = x.detach().cpu().to(complex128 if x.is_complex() else float64).numpy()
            parts.append(np.ascontiguousarray(array).reshape(-1).view(float).reshape(*batch, n))
        return np.concatenate(parts, axis=-1)

    def parted(self, numbers: Array) -> list[Tensor]:
        """The tensors of these numbers."""
        made, ends = [], np.cumsum([0, *self.sizes])
        for start, end, like in zip(ends, ends[1:], self._likes, strict=False):
            part = np.ascontiguousarray(numbers[..., start:end])
            array = part.view(complex) if like.is_complex() else part
            shaped = array.reshape((*numbers.shape[:-1], *like.shape))
            made.append(tensor(shaped, dtype=like.dtype, device=like.device))
        return made


class _Point:
    """A function at a point, as a map of vectors: from the inputs that require grad to the outputs
    that do.
    """

    def __init__(self, func: Function, given: tuple[Any, ...], check_dtypes: bool) -> None:
        self._func, self._given, self._check_dtypes = func, given, check_dtypes
        self._places = [i for i, x in enumerate(given) if isinstance(x, Tensor) and x.requires_grad]
        if not self._places:
            raise ValueError(_NOTHING)
        checked = [given[i] for i in self._places]
        _check_inputs(checked)
        self.inputs = _Vectors(checked)
        self.point = self.inputs.joined(checked)
        self.leaves, outputs = self._run(self.point)
        self._tracked = [i for i, y in enumerate(outputs) if y.requires_grad]
        self.roots = [outputs[i] for i in self._tracked]
        self.outputs = _Vectors(self.roots)

    def _call(self, *leaves: Tensor) -> list[Tensor]:
        arguments = list(self._given)
        for i, x in zip(self._places, leaves, strict=True):
            arguments[i] = x
        return _outputs(self._func(*arguments))

    def _run(self, point: Array) -> tuple[list[Tensor], list[Tensor]]:
        leaves = [x.requires_grad_() for x in self.inputs.parted(point)]
        return leaves, self._call(*leaves)

    def values(self, point: Array) -> Array:
        """The outputs elsewhere; those outside the graph where there are no others."""
        found = self._run(point)[1]
        followed = [y for y in found if y.requires_grad or not self.roots]
        return _Vectors(followed).joined(followed)

    def pull(self, cotangents: Array, undefined: Collection[int] = ()) -> Array:
        """Jᵀ·cotangent, undefined for some outputs; a matrix has several in its rows, a batch."""
        roots = [_undefined(y) if n in undefined else y for n, y in enumerate(self.roots)]
        found = grad(
            roots, self.leaves, self.outputs.parted(cotangents), retain_graph=True,
            allow_unused=True, is_grads_batched=cotangents.ndim > 1,
        ) if roots else [None] * len(self.leaves)  # fmt: skip
        for leaf, g in zip(self.leaves, found, strict=True):
            if g is not None and self._check_dtypes and g.dtype != leaf.dtype:
                raise GradcheckError(f"a gradient is {g.dtype}; expected {leaf.dtype}")
        return self.inputs.joined(found, *cotangents.shape[:-1])

    def push(self, tangents: Array) -> Array:
        """J·tangent; a matrix has several in its rows, a batch."""
        from reference_engine.func import jvp, vmap

        def pushed(*directions: Tensor) -> Any:
            found = jvp(lambda *xs: tuple(self._call(*xs)), tuple(self.leaves), directions)[1]
            return tuple(found[i] for i in self._tracked)

        found = (vmap(pushed) if tangents.ndim > 1 else pushed)(*self.inputs.parted(tangents))
        return self.outputs.joined(found, *tangents.shape[:-1])

    def slope(self, direction: Array, eps: float) -> Array:
        """J·direction by differences, extrapolated in the square of the step."""
        rows: list[Array] = []
        for level in range(_LEVELS):
            h = eps * _WIDER * 2.0**-level
            up, down = (self.values(self.point + s * h * direction) for s in (1.0, -1.0))
            row = [(up - down) / (2 * h)]
            for order, before in enumerate(rows):
                factor = 4.0 ** (order + 1)
                row.append((factor * row[order] - before) / (factor - 1))
            rows = row
        return rows[-1]


def _check_inputs(inputs: Sequence[Tensor]) -> None:
    for x in inputs:
        if x.dtype not in (float64, complex128):
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
def _check_reproducible(at: _Point, tolerance: float) -> None:
    """Raise where a second backward differs from the first by more than the tolerance."""
    cotangent = _random(1, at.outputs.size)
    apart = np.abs(at.pull(cotangent) - at.pull(cotangent)).max(initial=0.0)
    if not apart <= tolerance:
        raise GradcheckError(
            f"backward is not reproducible: two runs differ by {apart:.3g}; allowed is"
            f" {tolerance:.3g}"
        )


def _undefined(y: Tensor) -> Tensor:
    """A copy of an output through which no cotangent comes."""
    made: Tensor = TENSORS.clone(y)
    assert made.grad_fn is not None
    made.grad_fn.register_hook(lambda *_: (None,))
    return made


def _check_undefined(at: _Point, tolerance: float) -> None:
    """Raise where undefined cotangents, of all outputs or of one, count otherwise than zeros."""
    ends, every = np.cumsum([0, *at.outputs.sizes]), range(len(at.roots))
    for outputs in (every, *([n] for n in every if len(every) > 1)):
        cotangent = _random(2, at.outputs.size)
        for n in outputs:
            cotangent[ends[n] : ends[n + 1]] = 0.0
        try:
            found = at.pull(cotangent, outputs)
        except RuntimeError as error:
            raise GradcheckError("backward does not take undefined cotangents") from error
        if not np.allclose(found, at.pull(cotangent), 0, tolerance or 1e-12):
            raise GradcheckError(f"undefined cotangents of {[*outputs]} count, unlike zeros")


def _check_batch(
    along: Callable[[Array], Array], space: _Vectors, atol: float, rtol: float
) -> None:
    """Raise where a batch of directions comes to other derivatives than one by one."""
    directions = _random(4, 2, space.size)
    if not np.allclose(along(directions), [along(d) for d in directions], rtol, atol):
        raise GradcheckError("a batch of directions gives other derivatives")


def _check_jacobian(
    at: _Point, eps: float, atol: float, rtol: float, fast: bool, mode: str
) -> None:
    """Raise where numeric and analytic derivatives differ by more than atol + rtol·|numeric|."""
    rows, columns = np.eye(at.outputs.size), np.eye(at.inputs.size)
    if not at.roots and any(at.slope(d, eps).any() for d in columns):
        raise GradcheckError("no output requires grad, yet the outputs depend on the inputs")
    if not rows.size or not columns.size:
        return
    if fast:
        rows, columns = _random(3, 1, len(rows)), _random(5, 1, len(columns))
        rows, columns = rows / np.linalg.norm(rows), columns / np.linalg.norm(columns)
    analytic: Array  # rows · J · columnsᵀ
    if mode == "forward":
        analytic = rows @ np.array([at.push(column) for column in columns]).T
    else:
        analytic = np.array([at.pull(row) for row in rows]) @ columns.T
    for number, direction in enumerate(columns):
        numeric = rows @ at.slope(direction, eps)
        wrong = ~(np.abs(analytic[:, number] - numeric) <= atol + rtol * np.abs(numeric))
        if wrong.any():
            row = int(np.argmax(wrong))
            where = "in a random projection" if fast else f"of output {row} by input {number}"
            raise GradcheckError(
                f"the derivative {where} (flattened) is {numeric[row]:.9g} by differences,"
                f" {mode} mode gives {analytic[row, number]:.9g}"
            )


__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]
