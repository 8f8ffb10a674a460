"""Sequences: embeddings, attention, and the likelihood of alignments."""

from __future__ import annotations

from functools import partial
from math import inf
from typing import Any

from reference_engine.backends.dtypes import Category
from reference_engine.ops.accepted import check
from reference_engine.ops.layers import safe_softmax
from reference_engine.ops.losses import reduce
from reference_engine.ops.opdef import composite, linear, on

# rows are laid out by hand
# fmt: off

_REAL: dict[str, Any] = {"complex": False, "methods": ()}


# embeddings ---------------------------------------------------------------------------------------
def _embedding_vjp(F: Any, g: Any, x: Any, weight_shape: Any, padding_idx: int | None) -> Any:
    rows = F.reshape(x, shape=(-1,))
    source = F.reshape(g, shape=(-1, weight_shape[1]))
    if padding_idx is not None:
        padding = F.unsqueeze(rows == padding_idx % weight_shape[0], dim=-1)
        source = F.where(padding, 0, source)
    return F.index_add(F.zeros_of(g, size=weight_shape), dim=0, index=rows, source=source)


linear("nn.functional.embedding", lambda xp, x, weight, *, padding_idx=None: xp.reshape(xp.take(
           weight, xp.reshape(x, (-1,)), axis=0), (*x.shape, weight.shape[1])),
       transpose_weight=_embedding_vjp, complex=False, fill={"x": "below:4"},
       samples=[on((2, 3), (4, 2)), on((3,), (4, 2), padding_idx=1)])


def _embedding_bag(F: Any, x: Any, weight: Any, offsets: Any = None, max_norm: float | None = None,
                   norm_type: float = 2, scale_grad_by_freq: bool = False, mode: str = "mean",
                   sparse: bool = False, per_sample_weights: Any = None,
                   include_last_offset: bool = False, padding_idx: int | None = None) -> Any:
    """The sum, mean or maximum of each bag of rows; bags are x's rows, or start at ``offsets``."""
    check("nn.functional.embedding_bag", Category.FLOATING, (weight,))
    if x.ndim == 2:
        offsets = F._numbers_of(x, values=[i * x.shape[1] for i in range(x.shape[0])])
    count = offsets.shape[0] - include_last_offset
    x = F.reshape(x, shape=(-1,))
    places = F._numbers_of(x, values=range(x.shape[0]))
    bag = F.sum(offsets[:, None] <= places, dim=0) - 1  # where the last one starts that has
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
    bags = F._numbers_of(x, values=range(count))[:, None]
    among = bags == bag if padding_idx is None else F.logical_and(
        bags == bag, x != padding_idx % weight.shape[0])
    among = among[..., None]
    if mode == "max" and x.shape[0]:
        most = F._max_along(F.where(among, rows, -inf), dim=1)[0]
        return F.where(F.any(among, dim=1), most, 0)
    total = F.sum(F.where(among, rows, 0), dim=1)
    return total / F.clamp_min(F.sum(among, dim=1), 1) if mode == "mean" else total


composite("nn.functional.embedding_bag", _embedding_bag, **_REAL)


# attention ----------------------------------------------------------------------------------------
def _attention(F: Any, query: Any, key: Any, value: Any, attn_mask: Any = None,
               dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None,
               enable_gqa: bool = False) -> Any:
    """Softmax of the scaled products; a bool mask says what takes part."""
    if enable_gqa:
        key, value = (F.repeat_interleave(v, query.shape[-3] // v.shape[-3], dim=-3)
                      for v in (key, value))
    scores = F.matmul(query, F.mT(key)) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        attn_mask = F.tril(F.ones_like(scores.detach())) != 0
    if attn_mask is not None:
        hidden = not attn_mask.dtype.differentiable
        scores = F.where(attn_mask, scores, -inf) if hidden else scores + attn_mask
    shares = safe_softmax(F, scores, dim=-1)  # a row that nothing takes part in gives 0
    return F.matmul(F.dropout(shares, p=dropout_p), value)


def _attend(F: Any, query: Any, key: Any, value: Any, embed_dim_to_check: int, num_heads: int,
            in_proj_weight: Any, in_proj_bias: Any, bias_k: Any, bias_v: Any, add_zero_attn: bool,
            dropout_p: float, out_proj_weight: Any, out_proj_bias: Any, training: bool = True,
            key_padding_mask: Any = None, need_weights: bool = True, attn_mask: Any = None,
            use_separate_proj_weight: bool = False, q_proj_weight: Any = None,
            k_proj_weight: Any = None, v_proj_weight: Any = None, static_k: Any = None,
            static_v: Any = None, average_attn_weights: bool = True, is_causal: bool = False
            ) -> Any:
    """Vaswani et al. 2017, https://arxiv.org/abs/1706.03762; query (L, N, E), key and value
    (S, N, E). ``is_causal`` says only what ``attn_mask`` holds.
    """
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
            pair, (bias_k, bias_v), strict=True)]
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
composite("nn.functional.scaled_dot_product_attention", _attention, **_REAL)


# alignments ---------------------------------------------------------------------------------------
def _ctc_loss(F: Any, log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any, *,
              blank: int = 0, reduction: str = "mean", zero_infinity: bool = False) -> Any:
    """Minus the log-likelihood of labels in log_probs (T, N, C) (Graves et al. 2006,
    https://doi.org/10.1145/1143844.1143891), by the forward recursion.
    """
    single = log_probs.ndim == 2
    log_probs = F.unsqueeze(log_probs, dim=1) if single else log_probs
    ins, outs = map(_lengths, (input_lengths, target_lengths))
    count, most = targets.numel(), max(outs)
    wide = single or targets.ndim == 2
    starts = [i * (count // len(outs)) if wide else sum(outs[:i]) for i in range(len(outs))]
    places = [[min(a + i, count - 1) for i in range(most)] for a in starts]
    given = F._numbers_of(targets, values=[[i < n for i in range(most)] for n in outs]) != 0
    rows = targets.reshape(-1).long()[F._numbers_of(targets, values=places)]
    lost = -_likelihood(F, log_probs, F.where(given, rows, blank), outs, ins, blank)
    lost = F.where(F.isinf(lost), 0, lost) if zero_infinity else lost
    if reduction == "mean":
        return F.mean(lost / F._numbers_of(lost, values=tuple(max(n, 1) for n in outs)))
    return reduce(F, F.squeeze(lost, dim=0) if single else lost, reduction)


def _lengths(v: Any) -> list[int]:
    if hasattr(v, "tolist"):
        v = v.reshape(-1).tolist()
    return [int(n) for n in (v if isinstance(v, (tuple, list)) else [v])]


def _likelihood(F: Any, logs: Any, rows: Any, outs: list[int], steps: list[int], blank: int) -> Any:
    """The log-probability of all alignments of each row of labels, ``outs`` of them, with as many
    of ``logs`` as ``steps`` says.
    """
    n = 2 * rows.shape[1] + 1
    states = F.reshape(F.stack(F.zeros_like(rows) + blank, rows, dim=-1), shape=(len(outs), n - 1))
    states = F.constant_pad_nd(states, pad=(0, 1), value=blank)

    table = partial(F._numbers_of, logs)
    index = F.expand(F.unsqueeze(states, dim=0), size=(logs.shape[0], len(outs), n))
    logs = F.gather(logs, dim=-1, index=index)
    skip = F.logical_and(
        states != blank, states != F.constant_pad_nd(states, pad=(2, -2), value=blank))
    first, start = (table(values=[[i < k for i in range(n)] for _ in outs]) != 0 for k in (1, 2))
    alpha = F.where(first, F.zeros_like(logs[0]), -inf) if logs.shape[0] else logs
    for t in range(max(steps)):
        one = F.constant_pad_nd(alpha, pad=(1, -1), value=-inf)
        two = F.where(skip, F.constant_pad_nd(one, pad=(1, -1), value=-inf), -inf)
        moved = F.logsumexp(F.stack(alpha, one, two), dim=0) if t else F.where(start, 0.0, -inf)
        live = table(values=[[t < m] for m in steps]) != 0
        alpha = F.where(live, F.select(logs, dim=0, index=t) + moved, alpha)
    last = F.gather(alpha, dim=1, index=table(values=[[2 * k, max(2 * k - 1, 0)] for k in outs]))
    both = table(values=[[True, k > 0] for k in outs]) != 0
    return F.logsumexp(F.where(both, last, -inf), dim=1)


composite("nn.functional.ctc_loss", _ctc_loss, **_REAL)
