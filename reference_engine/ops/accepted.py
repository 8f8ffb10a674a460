"""Which dtypes an operation takes, where not all: those that PyTorch has a kernel for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from reference_engine.backends.dtypes import Category, dtype, int64, of_python
from reference_engine.tensor import Tensor

_FLOATING: Final = """
    _batch_norm_with_update _fractional_max_pool2d _fractional_max_pool3d _native_batch_norm_legit
    _segment_reduce _softmax_backward_data
    _upsample_bilinear2d_aa addcdiv cdist cholesky cholesky_inverse cholesky_solve complex dist frac
    frexp grid_sampler_2d grid_sampler_3d hypot istft lerp linalg.cholesky linalg.cholesky_ex
    linalg.cond linalg.det linalg.eig linalg.eigh linalg.eigvals linalg.eigvalsh
    linalg.householder_product linalg.inv linalg.inv_ex linalg.lstsq linalg.lu linalg.lu_factor
    linalg.lu_factor_ex linalg.lu_solve linalg.matrix_norm linalg.norm linalg.pinv linalg.qr
    linalg.slogdet linalg.solve linalg.solve_ex linalg.solve_triangular linalg.svd linalg.svdvals
    linalg.tensorinv linalg.tensorsolve linalg.vecdot linalg.vector_norm log_softmax logaddexp
    logaddexp2 logcumsumexp logdet lu lu_solve masked.log_softmax masked.logaddexp masked.norm
    masked.normalize masked.softmax masked.softmin matrix_exp max_pool2d_with_indices_backward
    nanmean nanquantile native_batch_norm native_group_norm native_layer_norm nextafter
    nn.functional.adaptive_avg_pool1d nn.functional.adaptive_avg_pool2d
    nn.functional.adaptive_avg_pool3d nn.functional.adaptive_max_pool1d
    nn.functional.adaptive_max_pool2d nn.functional.adaptive_max_pool3d nn.functional.batch_norm
    nn.functional.binary_cross_entropy nn.functional.binary_cross_entropy_with_logits
    nn.functional.celu nn.functional.cosine_similarity nn.functional.cross_entropy nn.functional.elu
    nn.functional.fractional_max_pool2d
    nn.functional.fractional_max_pool3d nn.functional.gaussian_nll_loss nn.functional.gelu
    nn.functional.glu nn.functional.grid_sample nn.functional.group_norm nn.functional.hardshrink
    nn.functional.hardsigmoid nn.functional.hardswish nn.functional.huber_loss
    nn.functional.instance_norm nn.functional.interpolate nn.functional.kl_div
    nn.functional.layer_norm nn.functional.leaky_relu nn.functional.logsigmoid
    nn.functional.max_unpool1d nn.functional.max_unpool2d nn.functional.max_unpool3d
    nn.functional.mish nn.functional.mse_loss nn.functional.multi_margin_loss
    nn.functional.multilabel_margin_loss nn.functional.multilabel_soft_margin_loss
    nn.functional.nll_loss nn.functional.normalize nn.functional.pdist nn.functional.prelu
    nn.functional.rms_norm nn.functional.rrelu nn.functional.scaled_dot_product_attention
    nn.functional.selu nn.functional.silu nn.functional.smooth_l1_loss
    nn.functional.soft_margin_loss nn.functional.softplus nn.functional.softshrink
    nn.functional.upsample_bilinear nn.functional.upsample_nearest norm ormqr pca_lowrank pinverse
    polar qr quantile renorm softmax std std_mean stft svd svd_lowrank
    torch.ops.aten._safe_softmax.default triangular_solve var var_mean view_as_complex
"""
_NUMERIC: Final = """
    _div_whole abs addbmm addcmul addmm addmv baddbmm bmm ceil clamp corrcoef cov cross
    cumulative_trapezoid dot floor fmod gradient index_reduce kthvalue linalg.cross linalg.multi_dot
    linalg.vander masked.cumprod masked.cumsum masked.std masked.var matmul median mm mv mvlgamma
    nanmedian neg nn.functional.avg_pool1d nn.functional.avg_pool2d nn.functional.avg_pool3d
    nn.functional.bilinear nn.functional.conv1d nn.functional.conv2d nn.functional.conv3d
    nn.functional.conv_transpose1d nn.functional.conv_transpose2d nn.functional.conv_transpose3d
    nn.functional.hardtanh nn.functional.hinge_embedding_loss nn.functional.l1_loss
    nn.functional.linear nn.functional.local_response_norm nn.functional.margin_ranking_loss
    nn.functional.max_pool1d nn.functional.max_pool2d nn.functional.max_pool3d
    nn.functional.pairwise_distance nn.functional.poisson_nll_loss nn.functional.relu
    nn.functional.relu6 nn.functional.softmin nn.functional.softsign nn.functional.tanhshrink
    nn.functional.threshold nn.functional.triplet_margin_loss
    nn.functional.triplet_margin_with_distance_loss positive pow remainder round rsub sub topk trace
    trapezoid trapz trunc vdot
"""
#: operation → the least category that one of its inputs must have, where it is not any
LEAST: Final[dict[str, Category]] = {
    **dict.fromkeys(_FLOATING.split(), Category.FLOATING),
    **dict.fromkeys(_NUMERIC.split(), Category.INTEGER),
}
#: operations of integers whose result is of their inputs' dtype, whatever their parameters are
_INTEGRAL: Final = """
    _unsafe_masked_index addbmm addcmul addmm addmv addr baddbmm index_add index_fill index_reduce
    masked.amax masked.amin masked.cumprod masked.cumsum masked.median masked_fill
    nn.functional.avg_pool1d nn.functional.avg_pool2d nn.functional.avg_pool3d
    nn.functional.hardtanh nn.functional.relu6 nn.functional.threshold scatter_reduce
"""
#: and those whose result is of int64
_LONG: Final = "cumsum linalg.vander masked.prod masked.sum sum_to_size"
#: operation → the dtype of its result on integers, None for that of its inputs
INTEGRAL: Final[dict[str, dtype | None]] = {
    **dict.fromkeys(_INTEGRAL.split()),
    **dict.fromkeys(_LONG.split(), int64),
}


def check(name: str, least: Category, inputs: Iterable[Any]) -> None:
    """NotImplementedError (a RuntimeError: PyTorch raises the one or the other) when the tensors
    among an op's inputs are all of a lower category than it computes with. Numbers count where
    tensors are promoted to them, except that integers are not promoted to a floating dtype.
    """
    kinds = [
        x.dtype if isinstance(x, Tensor) else of_python(x)
        for x in inputs
        if isinstance(x, Tensor)
        or (least is Category.INTEGER and isinstance(x, (bool, int, float, complex)))
    ]
    if kinds and max(kind.category for kind in kinds) < least:
        raise NotImplementedError(
            f"{name} is not implemented for {kinds[0].name}; convert its inputs to "
            + ("a floating dtype" if least is Category.FLOATING else "an integer dtype")
        )


def of_integers(call: Callable[..., Any], kind: dtype | None, promotes: bool) -> Callable[..., Any]:
    """The function of an op of ``INTEGRAL``: on integers, its result is one of integers too, and so
    are the numbers that it is given, as in PyTorch. ``promotes``: it may be of more bits.
    """

    def typed(*args: Any, **kwargs: Any) -> Any:
        kinds = [v.dtype for v in (*args, *kwargs.values()) if isinstance(v, Tensor)]
        if not kinds or any(k.category >= Category.FLOATING for k in kinds):
            return call(*args, **kwargs)
        args = tuple(int(v) if isinstance(v, float) else v for v in args)
        kwargs = {k: int(v) if isinstance(v, float) else v for k, v in kwargs.items()}
        y = call(*args, **kwargs)
        if not isinstance(y, Tensor) or (promotes and y.dtype.category < Category.FLOATING):
            return y
        return y.to(kwargs.get("dtype") or kind or kinds[0])

    return typed
