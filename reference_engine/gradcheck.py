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
    is to be checked, AssertionError where no mode is, RuntimeError for an expanded input. Forward
    mode in batches is not checked: NotImplementedError. (https://pytorch.org/docs/stable/generated/torch.autograd.gradcheck.gradcheck.html)
    """
    del masked  # sparse inputs, its only subject, do not exist here
    if check_batched_forward_grad:
        raise NotImplementedError("forward mode in batches is not checked here")
    if not (check_backward_ad or check_forward_ad) or check_batched_grad > check_backward_ad:
        # as in PyTorch, which asserts it
        raise AssertionError(
            "gradcheck got nothing to check: set check_backward_ad, which check_batched_grad needs,"
            " or check_forward_ad"
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
                check.batched(atol, rtol)
            check.jacobian(eps, atol, rtol, fast_mode, check.pull_all)
        if check_forward_ad:
            check.jacobian(eps, atol, rtol, fast_mode, check.push_all)
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
        cotangents = [_cotangent(y, random, gen_non_contig_grad_outputs) for y in outputs]
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
        self.leaves, self.outputs = self._run(self.point, True)
        self.values = _flat(self.outputs)

    def _run(
        self, point: Array, tracked: bool, direction: Array | None = None
    ) -> tuple[list[Tensor], list[Tensor]]:
        from reference_engine.autograd.forward_ad import make_dual

        arguments, leaves, start = list(self.given), [], 0
        for i in self.checked:
            like = self.given[i]
            stop = start + _numbers(like)
            leaves.append(_tensor(point[start:stop], like).requires_grad_(True))
            arguments[i] = leaves[-1]
            if direction is not None:
                arguments[i] = make_dual(leaves[-1], _tensor(direction[start:stop], like))
            start = stop
        outputs = _outputs(self.func(*arguments))
        return leaves, outputs if not tracked else [y for y in outputs if y.requires_grad]

    def _values(self, point: Array) -> Array:
        outputs = self._run(point, False)[1]
        return _flat([y for y in outputs if y.requires_grad or not self.outputs])

    def pull(self, cotangent: Array, omit: int | None = None) -> Array:
        """Return Jᵀ·cotangent."""
        seeds, roots, start = [], [], 0
        for number, output in enumerate(self.outputs):
            stop = start + _numbers(output)
            if number != omit:
                roots.append(output)
                seeds.append(_tensor(cotangent[start:stop], output))
            start = stop
        found = (
            grad(roots, self.leaves, seeds, retain_graph=True, allow_unused=True)
            if roots
            else [None] * len(self.leaves)
        )
        parts = []
        for leaf, gradient in zip(self.leaves, found, strict=True):
            if gradient is not None and self.dtypes and gradient.dtype != leaf.dtype:
                raise GradcheckError(f"a gradient is {gradient.dtype}; expected {leaf.dtype}")
            none = np.zeros(_numbers(leaf))
            parts.append(none if gradient is None else _flat([gradient]))
        return np.concatenate(parts)

    def pull_all(self, rows: Array, columns: Array) -> Array:
        """Return rows·J·columnsᵀ, by backward mode."""
        projected: Array = np.array([self.pull(row) for row in rows]) @ columns.T
        return projected

    def push_all(self, rows: Array, columns: Array) -> Array:
        """Return rows·J·columnsᵀ, by forward mode."""
        projected: Array = rows @ np.array([self._push(column) for column in columns]).T
        return projected

    def _push(self, direction: Array) -> Array:
        from reference_engine.autograd.forward_ad import dual_level, unpack_dual

        with dual_level():
            outputs = self._run(self.point, True, direction)[1]
            tangents = [unpack_dual(y).tangent for y in outputs]
            return np.concatenate(
                [
                    np.zeros(_numbers(y)) if t is None else _flat([t])
                    for y, t in zip(outputs, tangents, strict=True)
                ]
            )

    def batched(self, atol: float, rtol: float) -> None:
        """Raise where a batch of cotangents comes to other gradients than one by one."""
        for output in self.outputs:
            random = np.random.default_rng(4)
            seeds = [_cotangent(output, random, False).detach() for _ in range(2)]
            options = {"retain_graph": True, "allow_unused": True}
            batch = tensor(np.stack([np.asarray(s.cpu().numpy()) for s in seeds]))
            batch = batch.to(output.device, output.dtype)
            together = grad(output, self.leaves, batch, is_grads_batched=True, **options)
            for n, seed in enumerate(seeds):
                for g, all_g in zip(grad(output, self.leaves, seed, **options), together):  # noqa: B905
                    if g is not None and all_g is not None:
                        got, expected = _flat([all_g[n]]), _flat([g])
                        if not np.allclose(got, expected, rtol, atol):
                            raise GradcheckError("a batch of cotangents gives other gradients")

    def reproducible(self, tolerance: float) -> None:
        """Raise where a second backward differs from the first by more than `tolerance`."""
        cotangent = np.random.default_rng(1).standard_normal(self.values.size)
        apart = np.abs(self.pull(cotangent) - self.pull(cotangent))
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
            if not np.allclose(self.pull(zeroed, number), self.pull(zeroed), 0, tolerance or 1e-12):
                raise GradcheckError(f"the gradient is wrong where output {number} is not used")

    def jacobian(
        self,
        eps: float,
        atol: float,
        rtol: float,
        fast: bool,
        project: Callable[[Array, Array], Array],
    ) -> None:
        """Raise where numeric and analytic derivatives differ by more than atol + rtol·|numeric|.

        project: rows·J·columnsᵀ by the mode that is checked.
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
        analytic = project(rows, columns)
        mode = "forward" if project == self.push_all else "backward"
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


def _flat(tensors: Sequence[Tensor]) -> Array:
    """Return the numbers of tensors as one real vector."""
    parts = []
    for x in tensors:
        array = np.asarray(x.detach().cpu().numpy())
        wide = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
        parts.append(np.ascontiguousarray(wide).reshape(-1).view(np.float64))
    return np.concatenate(parts) if parts else np.zeros(0)


def _tensor(values: Array, like: Tensor) -> Tensor:
    """Return numbers as a tensor of the shape, dtype and device of another."""
    kept = np.ascontiguousarray(values)
    array = (kept.view(np.complex128) if like.is_complex() else kept).reshape(tuple(like.shape))
    return tensor(array, dtype=like.dtype, device=like.device)


def _cotangent(like: Tensor, random: np.random.Generator, strided: bool) -> Tensor:
    drawn = _tensor(random.standard_normal(_numbers(like)), like)
    if strided and drawn.numel() > 1:
        shape = (*tuple(like.shape), 2)
        twice = np.repeat(np.asarray(drawn.detach().cpu().numpy())[..., None], 2, -1)
        drawn = tensor(twice.reshape(shape), dtype=like.dtype, device=like.device)[..., 0].detach()
    return drawn.requires_grad_(True)
