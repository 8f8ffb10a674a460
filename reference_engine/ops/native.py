"""Layers as PyTorch's native functions have them: with their statistics, and of sequences."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import inf, prod
from typing import Any

from reference_engine.backends.dtypes import uint8
from reference_engine.ops.layers import affine, per_channel
from reference_engine.ops.losses import reduce
from reference_engine.ops.opdef import composite

_REAL: dict[str, Any] = {"complex": False, "methods": ()}


# normalisations with their statistics -------------------------------------------------------------
def _standard(F: Any, x: Any, dims: tuple[int, ...], eps: float) -> tuple[Any, Any, Any]:
    """(normalised, mean, one over the standard deviation) over ``dims``, which stay as 1."""
    mean = F.mean(x, dim=dims, keepdim=True)
    centred = x - mean
    scale = F.rsqrt(F.mean(centred * centred, dim=dims, keepdim=True) + eps)
    return centred * scale, mean, scale


def _layer_norm(F: Any, x: Any, weight: Any = None, bias: Any = None, *,
                normalized_shape: Sequence[int], eps: float) -> Any:  # fmt: skip
    made, mean, scale = _standard(F, x, tuple(range(-len(normalized_shape), 0)), eps)
    # the statistics are no part of the graph, as in PyTorch
    return affine(made, weight, bias), mean.detach(), scale.detach()


def _group_norm(F: Any, x: Any, weight: Any, bias: Any, N: int, C: int, HxW: int, group: int,
                eps: float) -> Any:  # fmt: skip
    flat = F.reshape(x, shape=(N, group, C // group * HxW))
    made, mean, scale = _standard(F, flat, (-1,), eps)
    made = F.reshape(made, shape=tuple(x.shape))
    weight, bias = per_channel(F, weight, x), per_channel(F, bias, x)
    return affine(made, weight, bias), F.squeeze(mean, dim=-1), F.squeeze(scale, dim=-1)


def _batch_norm(F: Any, x: Any, weight: Any = None, bias: Any = None, running_mean: Any = None,
                running_var: Any = None, training: bool = True, momentum: float = 0.1,
                eps: float = 1e-5) -> Any:  # fmt: skip
    """The statistics are no part of the graph; empty ones outside training. The running ones may
    be left out.
    """
    if isinstance(running_mean, bool):
        running_mean, running_var, training, momentum, eps = (
            None, None, running_mean, running_var, training)  # fmt: skip
    made = F.batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)
    if not training:
        return made, *(F.zeros_of(x, size=(0,)),) * 2
    _, mean, scale = _standard(F, x.detach(), (0, *range(2, x.ndim)), eps)
    return made, *(F.reshape(v, shape=(-1,)) for v in (mean, scale))


composite("native_layer_norm", _layer_norm, **_REAL, samples=[
    (((2, 3), (3,), (3,)), {"normalized_shape": (3,), "eps": 1e-5})], order=(
        "x", "normalized_shape", "weight", "bias", "eps"))  # fmt: skip
composite("native_group_norm", _group_norm, **_REAL)
for _name in ("native_batch_norm", "_native_batch_norm_legit"):
    composite(_name, _batch_norm, **_REAL)
composite("_batch_norm_with_update", lambda F, x, weight, bias, running_mean, running_var, momentum,
          eps: (*_batch_norm(F, x, weight, bias, running_mean, running_var, True, momentum, eps),
                F._numbers_of(x, values=()).to(uint8)), **_REAL)  # fmt: skip


# backward functions that can be called, and softmax of rows without a number ----------------------
composite("_softmax_backward_data", lambda F, grad_output, output, dim, input_dtype=None:
          output * (grad_output - F.sum(grad_output * output, dim=dim, keepdim=True)),
          **_REAL)  # fmt: skip
composite("native_dropout_backward", lambda F, grad_output, mask, scale: grad_output * (
    mask * scale), **_REAL)  # fmt: skip


def _safe_softmax(F: Any, x: Any, dim: int, dtype: Any = None) -> Any:
    """Rows of −∞ alone give 0."""
    empty = F.all(x == -inf, dim=dim, keepdim=True)
    return F.where(empty, 0, F.softmax(F.where(empty, 0, x), dim=dim, dtype=dtype))


composite("torch.ops.aten._safe_softmax.default", _safe_softmax, **_REAL)


# noise --------------------------------------------------------------------------------------------
_ALPHA_PRIME = -1.7580993408473766


def _alpha(F: Any, x: Any, p: float, training: bool, shape: Sequence[int]) -> Any:
    """Dropout to selu's least value that keeps mean 0 and variance 1 (Klambauer et al. 2017,
    https://arxiv.org/abs/1706.02515).
    """
    if not training or p == 0:
        return x
    kept = F._kept(x.detach(), p=p, shape=tuple(shape))
    scale = ((1 - p) * (1 + p * _ALPHA_PRIME**2)) ** -0.5 if p < 1 else 0.0
    return (x * kept + (1 - kept) * _ALPHA_PRIME) * scale - scale * p * _ALPHA_PRIME


def _rrelu(F: Any, x: Any, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False,
           inplace: bool = False) -> Any:  # fmt: skip
    """Negative slopes are drawn in training, else their mean."""
    del inplace
    slope: Any = (lower + upper) / 2
    if training:
        slope = F.uniform(F.zeros_like(x.detach()), a=lower, b=upper)
    return F.where(x > 0, x, x * slope)


composite("nn.functional.alpha_dropout", lambda F, x, p=0.5, training=False, inplace=False: _alpha(
    F, x, p, training, x.shape), **_REAL)  # fmt: skip
composite("nn.functional.feature_alpha_dropout", lambda F, x, p=0.5, training=False, inplace=False:
          _alpha(F, x, p, training, (*x.shape[:2], *(1,) * (x.ndim - 2))), **_REAL)  # fmt: skip
composite("nn.functional.dropout3d", lambda F, x, p=0.5, training=True, inplace=False: F.dropout2d(
    x, p=p, training=training) if x.ndim > 4 else F.squeeze(F.dropout2d(
        F.unsqueeze(x, dim=0), p=p, training=training), dim=0), methods=())  # fmt: skip
composite("nn.functional.rrelu", _rrelu, kinks={"x": (0.0,)}, samples=[(((2, 3),), {})], **_REAL)
composite("bernoulli", lambda F, x, p=None: (F.uniform(x.detach()) < (x.detach() if p is None else p
                                                                      )).to(x.dtype) + x * 0,
          complex=False)  # fmt: skip


# losses -------------------------------------------------------------------------------------------
def _multilabel_margin(F: Any, x: Any, target: Any, *, reduction: str = "mean") -> Any:
    """The classes of a row are those before its first −1."""
    n = x.shape[-1] if x.ndim else 1
    x, target = F.reshape(x, shape=(-1, n)), F.reshape(target, shape=(-1, n))
    named = F.cumsum((target < 0).long(), dim=1) == 0
    index = F.where(named, target, 0)
    hits = F.scatter_add(F.zeros_like(index), dim=1, index=index, src=named.long())
    gaps = 1 - F.unsqueeze(F.gather(x, dim=1, index=index), dim=2) + F.unsqueeze(x, dim=1)
    counted = F.logical_and(F.unsqueeze(named, dim=2), F.unsqueeze(hits == 0, dim=1))
    lost = F.sum(F.where(counted, F.clamp_min(gaps, 0), 0), dim=(1, 2)) / n
    return reduce(F, lost, reduction)


def _linear_cross_entropy(F: Any, x: Any, linear_weight: Any, target: Any, *,
                          linear_bias: Any = None, weight: Any = None, reduction: str = "mean",
                          ignore_index: int | None = None, label_smoothing: float = 0.0,
                          options: Any = None) -> Any:  # fmt: skip
    del options  # how to save memory
    places = tuple(linear_weight.shape[:-1])  # classes, and what else a target has dimensions of
    logits = F.matmul(x, F.mT(F.reshape(linear_weight, shape=(prod(places), -1))))
    logits = F.reshape(logits, shape=(*x.shape[:-1], *places))
    logits = logits if linear_bias is None else logits + linear_bias
    return F.cross_entropy(logits, target, weight, reduction=reduction,
                           ignore_index=-100 if ignore_index is None else ignore_index,
                           label_smoothing=label_smoothing)  # fmt: skip


def _pdist(F: Any, x: Any, p: float = 2.0) -> Any:
    """Distances of all pairs of rows."""
    pairs = [(i, j) for i in range(x.shape[0]) for j in range(i + 1, x.shape[0])]
    first, second = (F._numbers_of(x, values=tuple(pair[k] for pair in pairs)) for k in (0, 1))
    apart = F.index_select(x, dim=0, index=first) - F.index_select(x, dim=0, index=second)
    return F.linalg_vector_norm(apart, ord=p, dim=-1)


composite("nn.functional.multilabel_margin_loss", _multilabel_margin, fill={"target": "below:3"},
          **_REAL)  # fmt: skip
composite("nn.functional.linear_cross_entropy", _linear_cross_entropy, fill={"target": "below:4"},
          samples=[(((2, 3), (4, 3), (2,)), {})], **_REAL)  # fmt: skip
composite("nn.functional.pdist", _pdist, **_REAL)


# sequences ----------------------------------------------------------------------------------------
def _embedding_bag(F: Any, x: Any, weight: Any, offsets: Any = None, max_norm: float | None = None,
                   norm_type: float = 2, scale_grad_by_freq: bool = False, mode: str = "mean",
                   sparse: bool = False, per_sample_weights: Any = None,
                   include_last_offset: bool = False, padding_idx: int | None = None
                   ) -> Any:  # fmt: skip
    """The sum, mean or maximum of each bag of rows; bags are x's rows, or start at ``offsets``."""
    del sparse
    if x.ndim == 2:
        starts = [i * x.shape[1] for i in range(x.shape[0] + 1)]
    else:
        starts = [*offsets.tolist(), *([] if include_last_offset else [x.shape[0]])]
    x = F.reshape(x, shape=(-1,))
    if max_norm is not None:
        used = F.index_select(weight.detach(), dim=0, index=x)
        used = F.renorm(used, p=norm_type, dim=0, maxnorm=max_norm)
        weight.detach().copy_(F.index_copy(weight.detach(), dim=0, index=x, source=used))
    rows = F.embedding(x, weight)
    if scale_grad_by_freq:
        often = F.sum(F.unsqueeze(x, dim=0) == F.unsqueeze(x, dim=1), dim=1, keepdim=True)
        rows = rows / often + (rows - rows / often).detach()
    if per_sample_weights is not None:
        rows = rows * F.reshape(per_sample_weights, shape=(-1, 1))
    ids, made = x.tolist(), []
    for a, b in pairwise(starts):
        kept = [i for i in range(a, b) if padding_idx is None or
                ids[i] != padding_idx % weight.shape[0]]  # fmt: skip
        bag = F.index_select(rows, dim=0, index=F._numbers_of(x, values=tuple(kept)))
        if mode == "max" and kept:
            made.append(F._max_along(bag, dim=0)[0])
        else:
            made.append(F.sum(bag, dim=0) / (max(len(kept), 1) if mode == "mean" else 1))
    return F.stack(*made) if made else F.zeros_of(weight, size=(0, weight.shape[1]))


def _ctc_loss(F: Any, log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any, *,
              blank: int = 0, reduction: str = "mean", zero_infinity: bool = False
              ) -> Any:  # fmt: skip
    """Minus the log-likelihood of labels in log_probs (T, N, C) (Graves et al. 2006,
    https://doi.org/10.1145/1143844.1143891), by the forward recursion.
    """
    single = log_probs.ndim == 2
    log_probs = F.unsqueeze(log_probs, dim=1) if single else log_probs
    ins, outs = (_lengths(v) for v in (input_lengths, target_lengths))
    labels = targets.reshape(-1).tolist()
    if single or targets.ndim == 2:
        wide = len(labels) // len(outs)
        rows = [labels[i * wide : i * wide + n] for i, n in enumerate(outs)]
    else:
        rows = [labels[sum(outs[:i]) : sum(outs[: i + 1])] for i in range(len(outs))]
    lost = -_likelihood(F, log_probs, rows, ins, blank)
    lost = F.where(F.isinf(lost), 0, lost) if zero_infinity else lost
    if reduction == "mean":
        return F.mean(lost / F._numbers_of(lost, values=tuple(max(n, 1) for n in outs)))
    lost = F.squeeze(lost, dim=0) if single else lost
    return F.sum(lost) if reduction == "sum" else lost


def _lengths(v: Any) -> list[int]:
    if not hasattr(v, "tolist"):
        return [int(n) for n in v] if isinstance(v, (tuple, list)) else [v]
    return [int(n) for n in v.reshape(-1).tolist()]


def _likelihood(F: Any, logs: Any, rows: list[list[int]], steps: list[int], blank: int) -> Any:
    """The log-probability of all alignments of each row of labels with as many of ``logs``."""
    n = 2 * max(map(len, rows)) + 1
    states = [([blank] + [s for label in row for s in (label, blank)] + [blank] * n)[:n]
              for row in rows]  # fmt: skip

    def table(values: Any) -> Any:
        return F._numbers_of(logs, values=tuple(map(tuple, values)))

    index = F.expand(F.unsqueeze(table(states), dim=0), size=(logs.shape[0], len(rows), n))
    logs = F.gather(logs, dim=-1, index=index)
    skip = table([[i > 1 and s not in (blank, row[i - 2]) for i, s in enumerate(row)]
                  for row in states]) != 0  # fmt: skip
    first, start = (table([[i < k for i in range(n)] for _ in rows]) != 0 for k in (1, 2))
    alpha = F.where(first, F.zeros_like(logs[0]), -inf) if logs.shape[0] else logs
    for t in range(max(steps)):
        one = F.constant_pad_nd(alpha, pad=(1, -1), value=-inf)
        two = F.where(skip, F.constant_pad_nd(one, pad=(1, -1), value=-inf), -inf)
        moved = F.logsumexp(F.stack(alpha, one, two), dim=0) if t else F.where(start, 0.0, -inf)
        live = table([[t < m] for m in steps]) != 0
        alpha = F.where(live, F.select(logs, dim=0, index=t) + moved, alpha)
    last = F.gather(alpha, dim=1, index=table([[2 * len(r), max(2 * len(r) - 1, 0)] for r in rows]))
    both = table([[True, bool(row)] for row in rows]) != 0
    return F.logsumexp(F.where(both, last, -inf), dim=1)


composite("nn.functional.embedding_bag", _embedding_bag, **_REAL)
composite("nn.functional.ctc_loss", _ctc_loss, **_REAL)


def _attend(F: Any, query: Any, key: Any, value: Any, embed_dim_to_check: int, num_heads: int,
            in_proj_weight: Any, in_proj_bias: Any, bias_k: Any, bias_v: Any, add_zero_attn: bool,
            dropout_p: float, out_proj_weight: Any, out_proj_bias: Any, training: bool = True,
            key_padding_mask: Any = None, need_weights: bool = True, attn_mask: Any = None,
            use_separate_proj_weight: bool = False, q_proj_weight: Any = None,
            k_proj_weight: Any = None, v_proj_weight: Any = None, static_k: Any = None,
            static_v: Any = None, average_attn_weights: bool = True, is_causal: bool = False
            ) -> Any:  # fmt: skip
    """Vaswani et al. 2017, https://arxiv.org/abs/1706.03762; query (L, N, E), key and value
    (S, N, E).
    """
    del is_causal  # says only what attn_mask holds
    given, e, h = (query, key, value), embed_dim_to_check, num_heads
    single = query.ndim == 2
    if single:
        given = tuple(F.unsqueeze(v, dim=1) for v in given)
    (length, n, _), d = given[0].shape, e // h
    weights = (q_proj_weight, k_proj_weight, v_proj_weight)
    if not use_separate_proj_weight:
        weights = F.chunk(in_proj_weight, chunks=3, dim=0)
    biases = (None,) * 3 if in_proj_bias is None else F.chunk(in_proj_bias, chunks=3, dim=0)
    q, *pair = (F.linear(*each) for each in zip(given, weights, biases, strict=True))
    if bias_k is not None:
        pair = [F.cat(v, F.repeat(b, repeats=(1, n, 1)), dim=0) for v, b in zip(
            pair, (bias_k, bias_v), strict=True)]  # fmt: skip
    q, k, v = (F.transpose(F.reshape(x, shape=(-1, n * h, d)), dim0=0, dim1=1) for x in (q, *pair))
    k, v = k if static_k is None else static_k, v if static_v is None else static_v
    extra = int(bias_k is not None)
    if add_zero_attn:
        extra += 1
        k, v = (F.constant_pad_nd(x, pad=(0, 0, 0, 1)) for x in (k, v))
    scores = F.matmul(q, F.mT(k)) * d**-0.5
    for mask, padding in ((attn_mask, False), (key_padding_mask, True)):
        if mask is None:
            continue
        if padding:
            mask = F.repeat_interleave(F.unsqueeze(mask, dim=1), h, dim=0)
        hidden = not mask.dtype.differentiable
        mask = F.constant_pad_nd(mask.to(query.dtype), pad=(0, extra))
        scores = F.where(mask != 0, -inf, scores) if hidden else scores + mask
    shares = F.dropout(F.softmax(scores, dim=-1), p=dropout_p, training=training)
    made = F.reshape(F.transpose(F.matmul(shares, v), dim0=0, dim1=1), shape=(length, n, e))
    made = F.linear(made, out_proj_weight, out_proj_bias)
    shares = F.reshape(shares, shape=(n, h, length, k.shape[1]))
    shares = F.mean(shares, dim=1) if average_attn_weights else shares
    if single:
        made, shares = F.squeeze(made, dim=1), F.squeeze(shares, dim=0)
    return made, shares if need_weights else None


composite("nn.functional.multi_head_attention_forward", _attend, **_REAL)
