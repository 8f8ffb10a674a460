"""Input shapes and parameters for rows that state none of their own."""

from __future__ import annotations

from typing import Any

_M, _C, _V = ((2, 3),), ((2, 3, 4),), ((4,),)
_PAIR, _THREE = ((2, 3), (2, 3)), ((2, 3), (2, 3), (2, 3))
_SQUARES: Any = [(((2, 2),), {}), (((2, 3, 3),), {})]

MORE: dict[str, list[tuple[tuple[Any, ...], dict[str, Any]]]] = {
    "_cholesky": _SQUARES, "cholesky": _SQUARES, "linalg.slogdet": _SQUARES, "logdet": _SQUARES,
    "_cofactors": _SQUARES, "linalg.inv_ex": _SQUARES, "linalg.cholesky_ex": _SQUARES,
    "linalg.eigvalsh": _SQUARES, "linalg.svdvals": [(_M, {}), (((2, 3, 2),), {})],
    "cholesky_inverse": _SQUARES,
    "linalg.diagonal": [(_C, {}), (_C, {"offset": 1, "dim1": 0, "dim2": 1})],
    "_ranked": [(_M, {"rank": 2, "dim": 1, "keepdim": False}),
                (_M, {"rank": "median", "dim": 0, "keepdim": True})],
    "_median_of_all": [(_M, {"rank": "median"})],
    "cummax": [(_M, {"dim": 1}), (_C, {"dim": -2})], "cummin": [(_M, {"dim": 0})],
    "fmax": [(_PAIR, {}), (((), (2,)), {}), (((2, 0), (1,)), {})],
    "fmin": [(_PAIR, {}), (((), (2,)), {}), (((2, 0), (1,)), {})],
    "var_mean": [(((),), {"correction": 0}), (((2, 3, 4),), {"dim": (0, -1), "keepdim": True})],
    "std_mean": [(((2, 3, 4),), {"dim": (0, -1), "keepdim": True})],
    "conj": [(_M, {})], "real": [(_M, {})], "resolve_conj": [(_M, {})], "resolve_neg": [(_M, {})],
    "T": [(_M, {})], "view_as": [(((2, 3), (6,)), {})], "reshape_as": [(((2, 3), (6,)), {})],
    "broadcast_to": [(((3,),), {"size": (2, 3)})], "expand_as": [(((3,), (2, 3)), {})],
    "broadcast_tensors": [(((3,), (2, 1)), {})],
    "diagonal_copy": [(_M, {"offset": 1})], "expand_copy": [(((3, 1),), {"size": (2, 3, 4)})],
    "narrow_copy": [(_C, {"dim": 1, "start": 1, "length": 2})],
    "permute_copy": [(_C, {"dims": (2, 0, 1)})], "select_copy": [(_C, {"dim": 1, "index": 2})],
    "slice_copy": [(_C, {"dim": 2, "start": 1, "step": 2})],
    "split_with_sizes_copy": [(_C, {"split_sizes": (1, 2), "dim": 1})],
    "squeeze_copy": [(((1, 3, 1),), {}), (((1, 3, 1),), {"dim": 0})], "t_copy": [(_M, {})],
    "transpose_copy": [(_C, {"dim0": 0, "dim1": -1})], "unbind_copy": [(_C, {"dim": -1})],
    "unfold_copy": [(_C, {"dimension": 1, "size": 2, "step": 1})],
    "unsqueeze_copy": [(_C, {"dim": 1})],
    "alias_copy": [(_M, {})], "unsafe_chunk": [(_C, {"chunks": 2, "dim": 1})],
    "unsafe_split": [(_C, {"split_size": 2, "dim": 2})],
    "diagonal_scatter": [(((3, 3), (3,)), {}), (((3, 3), (2,)), {"offset": 1})],
    "select_scatter": [(((2, 3), (2,)), {"dim": 1, "index": 0})],
    "slice_scatter": [(((4, 2), (2, 2)), {"start": 1, "end": 3})],
    "block_diag": [(((2, 3), (1, 2)), {})], "cartesian_prod": [(((2,), (3,)), {})],
    "tensor_split": [(_C, {"indices_or_sections": 2, "dim": 2})],
    "hsplit": [(((2, 4),), {"indices_or_sections": 2})],
    "vsplit": [(((4, 2),), {"indices_or_sections": 2})],
    "dsplit": [(((2, 3, 4),), {"indices_or_sections": 2})],
    "cross": [(_PAIR, {"dim": 1})], "addr": [(((2, 3), (2,), (3,)), {"beta": 0.5, "alpha": 2.0})],
    "addbmm": [(((2, 4), (3, 2, 3), (3, 3, 4)), {"alpha": 2.0})],
    "linalg.multi_dot": [(((2, 3), (3, 4), (4, 2)), {})], "einsum": [],
    "nn.functional.margin_ranking_loss": [(((3,), (3,), (3,)), {"margin": 0.3})],
    "nn.functional.triplet_margin_loss": [(_THREE, {})],
    "nn.functional.poisson_nll_loss": [(_PAIR, {}), (_PAIR, {"full": False, "reduction": "sum"})],
    "nn.functional.gaussian_nll_loss": [(_THREE, {"reduction": "none"})],
    "nn.functional.bilinear": [(((2, 3), (2, 4), (5, 3, 4), (5,)), {})],
    "nn.functional.rms_norm": [(_M, {"normalized_shape": (3,), "eps": 1e-5})],
    "nn.functional.scaled_dot_product_attention": [
        (((2, 3, 4), (2, 5, 4), (2, 5, 4)), {}), (((2, 3, 4),) * 3, {"is_causal": True})],
    "nn.functional.pixel_shuffle": [(((1, 8, 2, 3),), {"upscale_factor": 2})],
    "nn.functional.pixel_unshuffle": [(((1, 2, 4, 6),), {"downscale_factor": 2})],
    "nn.functional.channel_shuffle": [(((1, 4, 2, 2),), {"groups": 2})],
    "nn.functional.adaptive_avg_pool1d": [(((1, 2, 7),), {"output_size": 3})],
    "nn.functional.adaptive_avg_pool2d": [(((1, 2, 5, 7),), {"output_size": (2, 3)})],
    "msort": [(_M, {})], "argsort": [(_M, {"dim": 0})], "mvlgamma": [(_M, {"p": 2})],
    "copysign": [(_PAIR, {})], "dist": [(_PAIR, {"p": 3})],
    "cdist": [(((3, 2), (4, 2)), {}), (((3, 2), (4, 2)), {"p": 1.0})],
    "float_power": [(((2, 3), (3,)), {})], "index_put": [],
}  # fmt: skip
#: how inputs of rows are filled, where the row does not say
FILLS: dict[str, dict[str, str]] = {
    "_cholesky": {"x": "hermitian"}, "cholesky": {"x": "hermitian"},
    "linalg.cholesky_ex": {"x": "hermitian"}, "linalg.eigvalsh": {"x": "hermitian"},
    "linalg.inv_ex": {"x": "positive-definite"}, "logdet": {"x": "positive-definite"},
    "cholesky_inverse": {"x": "positive-definite"},
    "nn.functional.gaussian_nll_loss": {"var": "unit"}, "float_power": {"x": "unit"},
    "mvlgamma": {"x": "over-2"},
}  # fmt: skip
#: rows that torch does not differentiate in complex dtypes
REAL_ONLY = frozenset("select_copy slice_copy select_scatter slice_scatter".split())
