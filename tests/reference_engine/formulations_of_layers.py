"""Other formulations of layers, factorisations and writes that PyTorch computes wrongly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def _scattered(x: Any, src: Any, size: Any, stride: Any, storage_offset: int = 0) -> Any:
    out = x.clone()
    out.as_strided(size, stride, storage_offset).copy_(src)
    return out


def _group_norm(x: Any, weight: Any, bias: Any, n: int, c: int, size: int, groups: int, eps: float
                ) -> Any:  # fmt: skip
    rows = x.reshape(n, groups, c // groups * size)
    mean = rows.mean(-1, keepdim=True)
    scale = ((rows - mean) ** 2).mean(-1, keepdim=True).add(eps).rsqrt()
    made = ((rows - mean) * scale).reshape(x.shape).transpose(1, -1)
    made = made if weight is None else made * weight
    made = made if bias is None else made + bias
    return made.transpose(1, -1), mean.squeeze(-1), scale.squeeze(-1)


def _householder(A: Any, tau: Any) -> Any:
    m, n = A.shape[-2:]
    q = torch.eye(m, n, dtype=A.dtype).expand(A.shape)
    for i in reversed(range(tau.shape[-1])):
        one, v = torch.eye(m, dtype=A.dtype)[:, i : i + 1], A[..., i : i + 1].tril(-1 - i)
        v = one + v
        q = q - tau[..., i, None, None] * v @ (v.mH @ q)
    return q


def _ctc_loss(x: Any, targets: Any, ins: Any, outs: Any, reduction: str, zero_infinity: bool
              ) -> Any:  # fmt: skip
    """torch adds eˣ, whose projection a log_softmax before it takes away again."""
    lost = torch.nn.functional.ctc_loss(
        x, targets, ins, outs, reduction="none", zero_infinity=zero_infinity)  # fmt: skip
    ins, outs = torch.as_tensor(ins), torch.as_tensor(outs)
    live = torch.arange(x.shape[0])[:, None] < ins
    excess = (x.exp().detach() * x).sum(-1).where(live, 0).sum(0)
    lost = lost - (excess - excess.detach())
    return {"none": lost, "sum": lost.sum(), "mean": (lost / outs).mean()}[reduction]


def _logaddexp(x: Any, other: Any, input_mask: Any = None, other_mask: Any = None) -> Any:
    """A constant −∞ where both are masked."""
    if input_mask is None and other_mask is None:
        return torch.logaddexp(x, other)
    mine, theirs = (torch.ones_like(x, dtype=torch.bool) if m is None else m.expand(x.shape)
                    for m in (input_mask, other_mask))  # fmt: skip
    made = torch.logaddexp(*(torch.where(mine & theirs, v, 0.0) for v in (x, other)))
    alone = torch.where(mine, x, torch.where(theirs, other, -torch.inf))
    return torch.where(mine & theirs, made, alone)


def _cross_entropy(*args: Any, options: Any = None, **kwargs: Any) -> Any:
    del options
    return torch.nn.functional.linear_cross_entropy(*args, **kwargs)


#: what PyTorch's documentation says of its derivatives there: no defects, and no findings
DOCUMENTED = {
    "cholesky": "cholesky_inverse: L is triangular; nothing is said of the triangle not read",
    "householder": "householder_product: gradients may be nan where tau is 1 / |a|²",
    "chunked": "linear_cross_entropy: in chunks, higher order and forward mode are unsupported",
}
#: entry of the database → (id of the finding, or what is documented; the other formulation)
OF_LAYERS: dict[str, tuple[str, Callable[..., Any]]] = {
    "as_strided_scatter": ("torch-10", _scattered),
    "masked.logaddexp": ("torch-9", _logaddexp),
    "native_group_norm": ("torch-33", _group_norm),
    "nn.functional.ctc_loss": ("torch-40", _ctc_loss),
    "linalg.householder_product": (DOCUMENTED["householder"], _householder),
    "nn.functional.linear_cross_entropy.chunked": (DOCUMENTED["chunked"], _cross_entropy),
}
