"""``torch.autograd.gradcheck`` and ``gradgradcheck``: gradients against extrapolated differences.

Both keep PyTorch's signatures and its meaning of ``atol`` and ``rtol``. ``eps`` is the largest step
of a central difference; smaller ones are extrapolated (Richardson 1911,
https://doi.org/10.1098/rsta.1911.0009), so that truncation does not limit the accuracy.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from reference_engine.backends.dtypes import complex128, float64
from reference_engine.backward import grad
from reference_engine.func import jvp, vmap
from reference_engine.function import Function as AutogradFunction
from reference_engine.ops.creation import tensor
from reference_engine.ops.namespace import TENSORS
from reference_engine.tensor import Tensor

_WIDER = 2.0**10
_LEVELS = 3
Function = Callable[..., Any]
Array = np.ndarray[Any, np.dtype[Any]]


class GradcheckError(RuntimeError):
    """A numeric and an analytic gradient differ, or a gradient is not reproducible."""


def gradcheck(
    func: Function,
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Compare the gradients of ``func`` at ``inputs`` with differences of its values.

    Checked are the inputs that require grad; every element of the Jacobian, or with ``fast_mode``
    one random projection of it, in backward mode, in forward mode, or both. Returns True, or raises
    ``GradcheckError``, or returns False where ``raise_exception`` is off. ValueError where no input
    is to be checked, AssertionError where no mode is, RuntimeError for an expanded input. (https://pytorch.org/docs/stable/generated/torch.autograd.gradcheck.gradcheck.html)
    """
    del masked  # sparse inputs, its only subject, do not exist here
    if (
        not (check_backward_ad or check_forward_ad)
        or check_batched_grad > check_backward_ad
        or check_batched_forward_grad > check_forward_ad
    ):
        # as in PyTorch, which asserts it
        raise AssertionError(
            "gradcheck got nothing to check: set check_backward_ad or check_forward_ad, which the"
            " checks of batches need too"
        )
    given = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    checked = [i for i, x in enumerate(given) if isinstance(x, Tensor) and x.requires_grad]
    if not checked:
        raise ValueError("gradcheck expects at least one input that requires grad, got none")
    _check_inputs([given[i] for i in checked])
    try:
        check = _Check(func, given, checked, check_grad_dtypes)
        if check_backward_ad:
            check.reproducible(nondet_tol)
            if check_undefined_grad and check.outputs:
                check.undefined()
                check.unused_outputs(nondet_tol)
            if check_batched_grad:
                check.batched(atol, rtol, check.pull, check.outputs)
            check.jacobian(eps, atol, rtol, fast_mode, "backward")
        if check_forward_ad:
            if check_batched_forward_grad:
                check.batched(atol, rtol, check.push, check.leaves)
            check.jacobian(eps, atol, rtol, fast_mode, "forward")
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Function,
    inputs: Tensor | Sequence[Any],
    grad_outputs: Tensor | Sequence[Tensor] | None = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """Compare second derivatives: ``gradcheck`` of the gradient, by inputs and cotangents.

    ``grad_outputs`` are random where none are given, as every second element of larger tensors with
    ``gen_non_contig_grad_outputs``. (https://pytorch.org/docs/stable/generated/torch.autograd.gradcheck.gradgradcheck.html)
    """
    given = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    outputs = _outputs(func(*given))
    if grad_outputs is None:
        random = np.random.default_rng(0)
        drawn = (_drawn(y, random, gen_non_contig_grad_outputs) for y in outputs)
        cotangents = [w.detach().requires_grad_() for w in drawn]
    else:
        found = (grad_outputs,) if isinstance(grad_outputs, Tensor) else grad_outputs
        cotangents = [c.detach().requires_grad_() for c in found]

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


def _check_inputs(inputs: Sequence[Tensor]) -> None:
    for x in inputs:
        if x.dtype not in (float64, complex128):
            warnings.warn(
                f"gradcheck got an input of {x.dtype}: differences are accurate in float64 and "
                "complex128 only",
                UserWarning,
                stacklevel=3,
            )
        if 0 in [stride for n, stride in zip(x.shape, x.stride(), strict=True) if n > 1]:
            raise RuntimeError(
                f"gradcheck got an expanded input of shape {list(x.shape)}, several elements of "
                "which are one in memory; clone() it first"
            )


class _Undefined(AutogradFunction):
    @staticmethod
    def forward(_ctx: Any, x: Tensor) -> Tensor:
        return TENSORS.clone(x)  # type: ignore[no-any-return]

    @staticmethod
    def backward(_ctx: Any, _g: Tensor) -> None:
        return


class _Check:
    """One function at one point, on vectors of real numbers."""

    def __init__(
        self, func: Function, given: tuple[Any, ...], checked: list[int], dtypes: bool
    ) -> None:
        self.func, self.given, self.checked, self.dtypes = func, given, checked, dtypes
        self.point = _flat([given[i] for i in checked])
        self.leaves = self._leaves(self.point)
        outputs = self._call(*self.leaves)
        #: places of the outputs that are part of the graph
        self.tracked = [i for i, y in enumerate(outputs) if y.requires_grad]
        self.outputs = [outputs[i] for i in self.tracked]
        self.values = _flat(self.outputs)

    def _leaves(self, point: Array) -> list[Tensor]:
        likes = [self.given[i] for i in self.checked]
        return [x.requires_grad_(True) for x in _split(point, likes)]

    def _call(self, *xs: Tensor) -> list[Tensor]:
        arguments = list(self.given)
        for i, x in zip(self.checked, xs, strict=True):
            arguments[i] = x
        return _outputs(self.func(*arguments))

    def _values(self, point: Array) -> Array:
        outputs = self._call(*self._leaves(point))
        return _flat([y for y in outputs if y.requires_grad or not self.outputs])

    def pull(self, cotangents: Sequence[Tensor], batched: bool = False) -> list[Tensor | None]:
        """Return the vector-Jacobian products."""
        return list(
            grad(
                self.outputs, self.leaves, cotangents, retain_graph=True, allow_unused=True,
                is_grads_batched=batched,
            )
        )  # fmt: skip

    def push(self, tangents: Sequence[Tensor], batched: bool = False) -> list[Tensor | None]:
        """Return the Jacobian-vector products."""

        def pushed(*directions: Tensor) -> Any:
            found = jvp(lambda *xs: tuple(self._call(*xs)), tuple(self.leaves), directions)[1]
            return tuple(found[i] for i in self.tracked)

        return list((vmap(pushed) if batched else pushed)(*tangents))

    def pulled(self, cotangent: Array, omit: int | None = None) -> Array:
        """Return Jᵀ·cotangent, one output left out."""
        seeds = _split(cotangent, self.outputs)
        kept = [i for i in range(len(self.outputs)) if i != omit]
        roots = [self.outputs[i] for i in kept]
        found: Sequence[Tensor | None] = [None] * len(self.leaves)
        if roots:
            seeds = [seeds[i] for i in kept]
            found = grad(roots, self.leaves, seeds, retain_graph=True, allow_unused=True)
        for leaf, g in zip(self.leaves, found, strict=True):
            if g is not None and self.dtypes and g.dtype != leaf.dtype:
                raise GradcheckError(f"a gradient is {g.dtype}; expected {leaf.dtype}")
        return _flat(found, self.leaves)

    def batched(self, atol: float, rtol: float, along: Any, likes: Sequence[Tensor]) -> None:
        """Raise where a batch of directions comes to other derivatives than one by one."""
        random = np.random.default_rng(4)
        pairs = [[_drawn(like, random) for _ in range(2)] for like in likes]
        together = along([TENSORS.stack(pair, dim=0) for pair in pairs], batched=True)
        for n in range(2):
            for one, both in zip(along([pair[n] for pair in pairs]), together, strict=True):
                if one is None or both is None:
                    continue
                if not np.allclose(_flat([both[n]]), _flat([one]), rtol, atol):
                    raise GradcheckError("a batch of directions gives other derivatives")

    def reproducible(self, tolerance: float) -> None:
        """Raise where a second backward differs from the first by more than `tolerance`."""
        cotangent = np.random.default_rng(1).standard_normal(self.values.size)
        apart = np.abs(self.pulled(cotangent) - self.pulled(cotangent))
        if apart.size and not apart.max() <= tolerance:
            raise GradcheckError(
                f"backward is not reproducible: two runs differ by {apart.max():.3g}; allowed is"
                f" {tolerance:.3g}"
            )

    def undefined(self) -> None:
        """Raise where a gradient comes of cotangents that are all undefined."""
        roots = [_Undefined.apply(y) for y in self.outputs]
        options = {"retain_graph": True, "allow_unused": True}
        try:
            found = grad(roots, self.leaves, [y.detach() for y in roots], **options)
        except RuntimeError as error:
            raise GradcheckError("backward does not take undefined cotangents") from error
        if any(g is not None and _flat([g]).any() for g in found):
            raise GradcheckError("undefined cotangents come to a gradient that is not zero")

    def unused_outputs(self, tolerance: float) -> None:
        """Raise where an output that is not used counts otherwise than with a zero cotangent."""
        cotangent = np.random.default_rng(2).standard_normal(self.values.size)
        start = 0
        for number, output in enumerate(self.outputs if len(self.outputs) > 1 else []):
            zeroed = cotangent.copy()
            zeroed[start : start + _numbers(output)] = 0.0
            start += _numbers(output)
            alone, whole = self.pulled(zeroed, number), self.pulled(zeroed)
            if not np.allclose(alone, whole, 0, tolerance or 1e-12):
                raise GradcheckError(f"the gradient is wrong where output {number} is not used")

    def jacobian(self, eps: float, atol: float, rtol: float, fast: bool, mode: str) -> None:
        """Raise where numeric and analytic derivatives differ by more than atol + rtol·|numeric|.

        eps: the step that PyTorch would take; the largest here is 1024 times that.
        """
        if not self.outputs and any(self._slope(d, eps).any() for d in np.eye(self.point.size)):
            raise GradcheckError("no output requires grad, yet the outputs depend on the inputs")
        if not self.values.size or not self.point.size:
            return
        if fast:
            random = np.random.default_rng(3)
            rows = random.standard_normal((1, self.values.size))
            columns = random.standard_normal((1, self.point.size))
            rows /= np.linalg.norm(rows)
            columns /= np.linalg.norm(columns)
        else:
            rows, columns = np.eye(self.values.size), np.eye(self.point.size)
        analytic: Array  # rows · J · columnsᵀ
        if mode == "forward":
            pushed = [_flat(self.push(_split(c, self.leaves)), self.outputs) for c in columns]
            analytic = rows @ np.array(pushed).T
        else:
            analytic = np.array([self.pulled(row) for row in rows]) @ columns.T
        for number, direction in enumerate(columns):
            numeric = rows @ self._slope(direction, eps)
            apart = np.abs(analytic[:, number] - numeric)
            wrong = ~(apart <= atol + rtol * np.abs(numeric))
            if wrong.any():
                row = int(np.argmax(wrong))
                where = "in a random projection" if fast else f"of output {row} by input {number}"
                raise GradcheckError(
                    f"the derivative {where} (flattened) is {numeric[row]:.9g} by differences,"
                    f" {mode} mode gives {analytic[row, number]:.9g}"
                )

    def _slope(self, direction: Array, eps: float) -> Array:
        """Return J·direction, extrapolated in the square of the step."""
        rows: list[Array] = []
        for level in range(_LEVELS):
            h = eps * _WIDER * 2.0**-level
            up, down = (self._values(self.point + s * h * direction) for s in (1.0, -1.0))
            row = [(up - down) / (2 * h)]
            for order, before in enumerate(rows):
                factor = 4.0 ** (order + 1)
                row.append((factor * row[order] - before) / (factor - 1))
            rows = row
        return rows[-1]


def _outputs(result: Any) -> list[Tensor]:
    found = result if isinstance(result, (tuple, list)) else (result,)
    return [y for y in found if isinstance(y, Tensor) and _is_inexact(y)]


def _is_inexact(x: Tensor) -> bool:
    return bool(x.is_floating_point() or x.is_complex())


def _numbers(x: Tensor) -> int:
    return int(x.numel()) * (2 if x.is_complex() else 1)


def _flat(tensors: Sequence[Tensor | None], likes: Sequence[Tensor] = ()) -> Array:
    """Return the numbers of tensors as one real vector, zeros for None."""
    parts = [np.zeros(0)]
    for i, x in enumerate(tensors):
        if x is None:
            parts.append(np.zeros(_numbers(likes[i])))
            continue
        array = np.asarray(x.detach().cpu().numpy())
        wide = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
        parts.append(np.ascontiguousarray(wide).reshape(-1).view(np.float64))
    return np.concatenate(parts)


def _split(values: Array, likes: Sequence[Tensor]) -> list[Tensor]:
    """Return the numbers of a vector as tensors like others."""
    ends = np.cumsum([_numbers(x) for x in likes])[:-1]
    return [_tensor(part, x) for part, x in zip(np.split(values, ends), likes, strict=bool(likes))]


def _tensor(values: Array, like: Tensor) -> Tensor:
    """Return numbers as a tensor of the shape, dtype and device of another."""
    kept = np.ascontiguousarray(values)
    array = (kept.view(np.complex128) if like.is_complex() else kept).reshape(tuple(like.shape))
    return tensor(array, dtype=like.dtype, device=like.device)


def _drawn(like: Tensor, random: np.random.Generator, strided: bool = False) -> Tensor:
    """Return random numbers like a tensor, with ``strided`` as every second of larger memory."""
    drawn = _tensor(random.standard_normal(_numbers(like)), like)
    if strided and drawn.numel() > 1:
        return TENSORS.stack([drawn, drawn], dim=-1)[..., 0]  # type: ignore[no-any-return]
    return drawn
