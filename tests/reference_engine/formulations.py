"""Other formulations of what PyTorch computes wrongly, by the recorded finding that proves it.

Where the reference engine disagrees with torch on a sample, it has to agree with these instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import torch

from tests.reference_engine.formulations_of_layers import DOCUMENTED, OF_LAYERS


class _Polygamma(torch.autograd.Function):
    """The n-th derivative of log Γ, in 30 digits rounded to float64."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, n: int) -> torch.Tensor:
        ctx.save_for_backward(x)
        ctx.n = n

        def exact(v: float) -> float:
            with mpmath.workdps(30):
                if n == 0:
                    return float(mpmath.log(abs(mpmath.gamma(v))))
                return float(mpmath.psi(n - 1, v))

        found = [exact(v) for v in x.detach().flatten().tolist()]
        return torch.tensor(found, dtype=x.dtype).reshape(x.shape)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (x,) = ctx.saved_tensors
        return grads[0] * _Polygamma.apply(x, ctx.n + 1), None


def _log_gamma(n: int) -> Callable[[Any], Any]:
    return lambda x: _Polygamma.apply(x, n)


def _mvlgamma(x: Any, p: int) -> Any:
    constant = p * (p - 1) / 4 * math.log(math.pi)
    return sum(_Polygamma.apply(x - i / 2, 0) for i in range(p)) + constant


def _polygamma(a: Any, b: Any) -> Any:
    x, n = (b, a) if isinstance(a, int) else (a, b)
    return _Polygamma.apply(x, n + 1)


def _binary_cross_entropy(x: Any, target: Any, weight: Any = None, reduction: str = "mean") -> Any:
    lost = -(target * x.log().clamp_min(-100) + (1 - target) * (-x).log1p().clamp_min(-100))
    lost = lost if weight is None else lost * weight
    return {"none": lambda v: v, "mean": torch.mean, "sum": torch.sum}[reduction](lost)


def _logsumexp(x: Any, dim: Any = None, keepdim: bool = False, mask: Any = None) -> Any:
    """The greatest real part is taken out; where there is nothing to sum up, a constant −∞."""
    dim = tuple(range(x.ndim)) if dim is None else dim
    mask = torch.ones_like(x, dtype=torch.bool) if mask is None else mask.expand(x.shape)
    top = torch.where(mask, x.detach().real, -1e300).amax(dim, keepdim=True).clamp(-1e300, 1e300)
    powers = torch.where(mask, (torch.where(mask, x, top) - top).exp(), 0)
    total = powers.sum(dim, keepdim=True)
    none = total == 0
    found = torch.where(none, -torch.inf, torch.where(none, 1, total).log() + top)
    return found if keepdim else found.squeeze(dim)


def _logcumsumexp(x: Any, dim: int) -> Any:
    if not x.ndim:
        return x.clone()
    parts = [x.narrow(dim, 0, i + 1) for i in range(x.shape[dim])]
    found = torch.cat([_logsumexp(part, dim, True) for part in parts], dim)
    if not x.is_complex():
        return found
    turns = (torch.logcumsumexp(x.detach(), dim) - found.detach()).imag / (2 * math.pi)
    return found + turns.round() * 2j * math.pi  # a complex logarithm may be of any turn


def _norm_of_zeros(x: Any, p: float, keepdim: bool = False) -> Any:
    assert not x.any()
    return (x.abs() * 0).sum(0, keepdim=keepdim)


def _of_factor(x: Any, upper: bool) -> Any:
    factor = x.triu().mH if upper else x.tril()
    return factor @ factor.mH


def _cholesky_inverse(x: Any, upper: bool = False) -> Any:
    return torch.linalg.inv(_of_factor(x, upper))


def _cholesky_solve(x: Any, factor: Any, upper: bool = False) -> Any:
    return torch.linalg.solve(_of_factor(factor, upper), x)


#: entry of the database → (id of the finding, or what is documented; the other formulation)
FORMULATIONS: dict[str, tuple[str, Callable[..., Any]]] = {
    "nn.functional.hardsigmoid": ("torch-1", lambda x: (x + 3).clamp(0, 6) / 6),
    "lgamma": ("torch-2", _log_gamma(0)),
    "digamma": ("torch-2", _log_gamma(1)),
    **{f"mvlgamma.mvlgamma_p_{p}": ("torch-2", _mvlgamma) for p in (1, 3, 5)},
    **{f"polygamma.polygamma_n_{n}": ("torch-2", _polygamma) for n in range(5)},
    "special.polygamma.special_polygamma_n_0": ("torch-2", _polygamma),
    "nn.functional.binary_cross_entropy": ("torch-3", _binary_cross_entropy),
    "logsumexp": ("torch-4", _logsumexp),
    "masked.logsumexp": ("torch-9", _logsumexp),
    "logcumsumexp": ("torch-4", _logcumsumexp),
    "cholesky_inverse": (DOCUMENTED["cholesky"], _cholesky_inverse),
    "cholesky_solve": (DOCUMENTED["cholesky"], _cholesky_solve),
    "linalg.norm": ("torch-8", _norm_of_zeros),
    "linalg.norm.subgradients_at_zero": ("torch-8", _norm_of_zeros),
    **OF_LAYERS,
}
#: the same, where torch's reverse mode is right and forward is not
FORWARD_FINDINGS = {
    "logcumsumexp": "torch-54",
    "cholesky_inverse": "torch-31",
    "nn.functional.linear_cross_entropy.chunked": DOCUMENTED["chunked"],
    "nn.functional.linear_cross_entropy.chunked_none": DOCUMENTED["chunked"],
    "scatter_reduce.prod": "torch-32",
    "triangular_solve": "torch-64",
}
#: entries at whose points a derivative of this order does not exist: torch gives nan, and the
#: issue asks that such points be recorded and not judged
UNDEFINED = {
    "linalg.norm.subgradients_at_zero": "second0",
    "nn.functional.max_unpool2d": "jvp1",  # indices repeat: which element wins is not defined
}
