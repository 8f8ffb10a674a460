"""Which dtypes an operation takes, where not all: those that PyTorch has a kernel for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from reference_engine.backends.base import DIFFERENTIABLE
from reference_engine.backends.dtypes import Category, dtype, int64, of_python
from reference_engine.tensor import Tensor

#: the category below which no operation of a prefix takes inputs, None where it is any category
_BY_PREFIX: Final = {"nn.functional": Category.FLOATING, "linalg": Category.FLOATING}
#: by prefix and category, the operations of which that is not true
_APART: Final[dict[tuple[str, Category | None], str]] = {
    ("", Category.FLOATING): """
        _batch_norm_with_update _fractional_max_pool2d _fractional_max_pool3d
        _native_batch_norm_legit _segment_reduce _softmax_backward_data _upsample_bilinear2d_aa
        addcdiv cdist cholesky cholesky_inverse cholesky_solve complex dist frac frexp
        grid_sampler_2d grid_sampler_3d hypot istft lerp log_softmax logaddexp logaddexp2
        logcumsumexp logdet lu lu_solve matrix_exp max_pool2d_with_indices_backward nanmean
        nanquantile native_batch_norm native_group_norm native_layer_norm nextafter norm ormqr
        pca_lowrank pinverse polar qr quantile renorm softmax std std_mean stft svd svd_lowrank
        torch.ops.aten._safe_softmax.default triangular_solve var var_mean view_as_complex""",
    ("", Category.INTEGER): """
        _div_whole abs addbmm addcmul addmm addmv baddbmm bmm ceil clamp corrcoef cov cross
        cumulative_trapezoid dot floor fmod gradient index_reduce kthvalue matmul median mm mv
        mvlgamma nanmedian neg positive pow remainder round rsub sub topk trace trapezoid trunc
        vdot""",
    ("nn.functional.", Category.INTEGER): """
        avg_pool1d avg_pool2d avg_pool3d bilinear conv1d conv2d conv3d conv_transpose1d
        conv_transpose2d conv_transpose3d hardtanh hinge_embedding_loss l1_loss linear
        local_response_norm margin_ranking_loss max_pool1d max_pool2d max_pool3d pairwise_distance
        poisson_nll_loss relu relu6 softmin softsign tanhshrink threshold triplet_margin_loss
        triplet_margin_with_distance_loss""",
    ("nn.functional.", None): """
        alpha_dropout channel_shuffle cosine_embedding_loss ctc_loss dropout dropout2d dropout3d
        embedding embedding_bag feature_alpha_dropout fold linear_cross_entropy
        multi_head_attention_forward pad pixel_shuffle pixel_unshuffle unfold""",
    ("linalg.", Category.INTEGER): "cross multi_dot vander",
    ("linalg.", None): "diagonal matrix_power",
    ("masked.", Category.FLOATING): "log_softmax logaddexp norm normalize softmax softmin",
    ("masked.", Category.INTEGER): "cumprod cumsum std var",
}
_LEAST: Final = {
    prefix + short: least for (prefix, least), names in _APART.items() for short in names.split()
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


def least_of(name: str) -> Category | None:
    """The least category that one of an operation's inputs must have; None where it is any."""
    return _LEAST[name] if name in _LEAST else _BY_PREFIX.get(name.rpartition(".")[0])


def check(name: str, least: Category | None, inputs: Sequence[Any]) -> None:
    """NotImplementedError (a RuntimeError: PyTorch raises the one or the other) when the tensors
    among an op's inputs are all of a lower category than it computes with.
    """
    first = below(least, inputs)
    if first is not None:
        raise NotImplementedError(
            f"{name} is not implemented for {first.name}; convert its inputs to "
            + ("a floating dtype" if least is Category.FLOATING else "an integer dtype")
        )


def below(least: Category | None, inputs: Sequence[Any]) -> dtype | None:
    """The first input's dtype, where all are of a lower category than ``least``. Numbers count
    where tensors are promoted to them, except that integers are not promoted to a floating dtype.
    """
    for x in inputs:
        if least is None or (isinstance(x, Tensor) and x._raw.dtype in DIFFERENTIABLE):
            return None  # nearly always
    kinds = [
        x.dtype if isinstance(x, Tensor) else of_python(x)
        for x in inputs
        if isinstance(x, Tensor) or (least is Category.INTEGER and x is not None)
    ]
    return kinds[0] if kinds and least and max(k.category for k in kinds) < least else None


class LinAlgError(RuntimeError):
    """``torch.linalg.LinAlgError``: a matrix is singular, not positive definite, and so on."""


def as_torch(name: str, kind: str, error: Exception, inputs: Sequence[Any], dim: Any) -> Exception:
    """What PyTorch raises where an array library raised an error for an op's inputs."""
    if type(error).__name__.endswith("LinAlgError"):  # of NumPy or torch
        return LinAlgError(f"{name}: {error}")
    if isinstance(error, TypeError):
        lacks = str(error).startswith("ufunc") and name != "bitwise_not"  # as of ``~x``
        return NotImplementedError(f"{name} is not implemented: {error}") if lacks else error
    if not isinstance(error, ValueError) or name.startswith("nn.functional.") or "_loss" in name:
        return error  # those have ValueErrors of their own
    shapes = " and ".join(str(list(getattr(x, "shape", ()))) for x in inputs)
    if kind == "elementwise":
        return RuntimeError(f"{name}: shapes {shapes} do not broadcast together")
    about = f"{name} of shapes {shapes}: {error}"
    picks = "empty sequence" in str(error) or (dim is not None and "zero-size" in str(error))
    return IndexError(about) if picks or isinstance(error, IndexError) else RuntimeError(about)


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
