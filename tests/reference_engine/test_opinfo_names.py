"""The names of nodes: what `grad_fn` of a result is called, beside PyTorch's, on PyTorch's samples.

Where PyTorch has a kernel and the engine a composition of others, the last of these gives the name;
`APART` is all of that.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import pytest
import torch

from tests.reference_engine.opinfo import CALLS, KINDS, converted, entries, leaves, ours, tensors
from tests.reference_engine.test_opinfo import NAMES, _in_float64

__all__ = ["_in_float64"]  # a fixture, which pytest finds by its name here
pytestmark = pytest.mark.opinfo
#: samples of each operation and dtype
MOST = 4
#: entry of PyTorch's database → the engine's names and PyTorch's, without "Backward0"; - for none
APART: dict[str, str] = {
    "H": "T>Transpose",
    "__rdiv__": "Div>Mul",
    "__rmatmul__": "UnsafeView>SqueezeBackward4",
    "__rsub__": "Sub>Rsub",
    "_batch_norm_with_update": "Add>BatchNormWithUpdate",
    "_native_batch_norm_legit": "Add>NativeBatchNormLegit",
    "_segment_reduce.lengths": "Slice>SegmentReduce Div>SegmentReduce",
    "_segment_reduce.offsets": "Slice>SegmentReduce Div>SegmentReduce",
    "_softmax_backward_data": "Mul>SoftmaxBackwardData",
    "_unsafe_masked_index": "Where>UnsafeMaskedIndex",
    "_unsafe_masked_index_put_accumulate": "IndexPut>UnsafeMaskedIndexPutAccumulate",
    "addbmm": "Add>Addbmm",
    "addr": "Add>Addr",
    "alias_copy": "Clone>AliasBackward0_copy",
    "aminmax": "Amin>Aminmax Amax>Aminmax",
    "as_strided_copy": "Clone>AsStridedBackward0_copy",
    "as_strided_scatter": "CopySlices>AsStridedScatter",
    "atleast_2d": "View>Unsqueeze",
    "atleast_3d": "View>Unsqueeze",
    "block_diag": "Cat>BlockDiag",
    "cdist": "LinalgVectorNorm>Cdist",
    "cholesky": "Transpose>Cholesky LinalgCholeskyEx>Cholesky Conj>Cholesky",
    "cholesky_inverse": "LinalgInvEx>CholeskyInverse",
    "cholesky_solve": "LinalgSolveEx>CholeskySolve",
    "combinations": "View>Stack",
    "conj_physical": "Conj>ConjPhysical",
    "corrcoef": "Div>ClampBackward1 Div>Complex",
    "cross": "Sub>LinalgCross",
    "cumulative_trapezoid": "Cumsum>DivBackward1",
    "diag": "Undiagonal>DiagEmbed Clone>DiagonalBackward0_copy",
    "diag_embed": "Undiagonal>DiagEmbed",
    "diagflat": "Undiagonal>DiagEmbed",
    "diagonal_copy": "Clone>DiagonalBackward0_copy",
    "diagonal_scatter": "CopySlices>DiagonalScatter",
    "diff": "Clone>CopyBackwards",
    "dist": "LinalgVectorNorm>Dist",
    "einsum": "Permute>SumBackward1 Permute>Mul Permute>View",
    "expand_copy": "Clone>ExpandBackward0_copy",
    "fft.fft": "FftC2C>FftR2C",
    "fft.hfft": "Select>FftC2R",
    "fft.hfft2": "Select>FftC2R",
    "fft.hfftn": "Select>FftC2R",
    "fft.ifft": "FftC2C>Conj",
    "fft.ihfft": "Slice>Conj",
    "fft.ihfft2": "Slice>FftC2C Slice>Conj",
    "fft.ihfftn": "Slice>FftC2C Slice>Conj",
    "fft.irfft": "Select>FftC2R",
    "fft.irfft2": "Select>FftC2R",
    "fft.irfftn": "Select>FftC2R",
    "fft.rfft": "Slice>FftR2C",
    "fft.rfft2": "Slice>FftR2C",
    "fft.rfftn": "Slice>FftR2C",
    "grid_sampler_2d": "Add>GridSampler2D",
    "grid_sampler_3d": "Add>GridSampler3D",
    "index_reduce.amax": "View>IndexReduce Transpose>IndexReduce",
    "index_reduce.amin": "View>IndexReduce Transpose>IndexReduce",
    "index_reduce.mean": "Div>IndexReduce",
    "index_reduce.prod": "View>IndexReduce Transpose>IndexReduce",
    "istft": "View>SqueezeBackward1 View>Div",
    "kron": "View>UnsafeView",
    "kthvalue": "MedianBackward1>Kthvalue",
    "ldexp": "Mul>Ldexp",
    "linalg.cholesky": "Transpose>LinalgCholeskyEx Conj>LinalgCholeskyEx",
    "linalg.cholesky_ex": "Transpose>LinalgCholeskyEx Conj>LinalgCholeskyEx",
    "linalg.cond": "Div>SqueezeBackward1",
    "linalg.cross": "Sub>LinalgCross",
    "linalg.householder_product": "Sub>LinalgHouseholderProduct",
    "linalg.lstsq": "Mm>LinalgLstsq Slice>LinalgLstsq SumBackward1>LinalgLstsq Select>LinalgLstsq",
    "linalg.lstsq.grad_oriented":
        "Mm>LinalgLstsq Slice>LinalgLstsq "
        "SumBackward1>LinalgLstsq Select>LinalgLstsq",
    "linalg.lu": "Add>LinalgLu Triu>LinalgLu",
    "linalg.lu_factor": "Cat>LinalgLuFactorEx",
    "linalg.lu_factor_ex": "Cat>LinalgLuFactorEx",
    "linalg.lu_solve":
        "Mm>LinalgLuSolve Transpose>LinalgLuSolve "
        "LinalgSolveEx>LinalgLuSolve Conj>LinalgLuSolve",
    "linalg.matrix_power": "Beside>CopyBackwards",
    "linalg.multi_dot": "Mm>View",
    "linalg.qr": "Cat>LinalgQr",
    "linalg.solve": "SqueezeBackward1>LinalgSolveEx",
    "linalg.solve_ex": "SqueezeBackward1>LinalgSolveEx",
    "linalg.solve_triangular": "LinalgSolveEx>LinalgSolveTriangular",
    "linalg.tensorinv": "View>ReshapeAlias",
    "linalg.vander": "Stack>Cat",
    "linalg.vecdot": "SumBackward1>Vdot",
    "logdet": "Add>Where",
    "lu": "Cat>LinalgLuFactorEx",
    "lu_solve": "LinalgSolveEx>LinalgLuSolve",
    "lu_unpack": "Add>LuUnpack Triu>LuUnpack",
    "masked.logaddexp": "Where>Logaddexp",
    "masked.mean": "Mul>Div",
    "masked.median": "MedianBackward1>NanmedianBackward1",
    "masked.prod": "->ProdBackward1 Where>ProdBackward1",
    "masked_scatter": "Where>MaskedScatter",
    "matmul": "UnsafeView>SqueezeBackward4",
    "max_pool2d_with_indices_backward": "->MaxPool2DWithIndicesBackward",
    "mvlgamma.mvlgamma_p_1": "Add>Mvlgamma",
    "mvlgamma.mvlgamma_p_3": "Add>Mvlgamma",
    "mvlgamma.mvlgamma_p_5": "Add>Mvlgamma",
    "nanmedian": "Median>Nanmedian MedianBackward1>NanmedianBackward1",
    "nanquantile": "View>SqueezeBackward4",
    "nansum": "Sum>Nansum SumBackward1>Nansum",
    "narrow_copy": "Clone>NarrowCopy",
    "native_batch_norm": "Add>NativeBatchNorm",
    "native_dropout_backward": "Mul>NativeDropoutBackward",
    "native_group_norm": "Add>NativeGroupNorm SqueezeBackward1>NativeGroupNorm",
    "native_layer_norm": "Add>NativeLayerNorm Mul>NativeLayerNorm",
    "nn.functional.adaptive_avg_pool1d": "UpsampleArea1D>SqueezeBackward1",
    "nn.functional.adaptive_avg_pool2d":
        "UpsampleArea2D>AdaptiveAvgPool2D SqueezeBackward1>AdaptiveAvgPool2D",
    "nn.functional.adaptive_avg_pool3d":
        "UpsampleArea3D>AdaptiveAvgPool3D SqueezeBackward1>AdaptiveAvgPool3D",
    "nn.functional.adaptive_max_pool1d": "AdaptiveMaxPool2D>SqueezeBackward1",
    "nn.functional.avg_pool1d": "AvgPool1D>SqueezeBackward1",
    "nn.functional.batch_norm": "Add>NativeBatchNorm Mul>Clone",
    "nn.functional.channel_shuffle": "UnsafeView>ChannelShuffle",
    "nn.functional.conv1d": "Convolution>Add",
    "nn.functional.conv2d": "Convolution>Add",
    "nn.functional.conv3d": "Convolution>Add",
    "nn.functional.conv_transpose1d": "Convolution>Add",
    "nn.functional.conv_transpose2d": "Convolution>Add",
    "nn.functional.conv_transpose3d": "Convolution>Add",
    "nn.functional.cross_entropy": "Mean>DivBackward1 NllLoss>NllLoss2D",
    "nn.functional.ctc_loss": "Neg>CtcLoss",
    "nn.functional.dropout3d": "->SqueezeBackward1 Mul>SqueezeBackward1",
    "nn.functional.embedding_bag": "SumBackward1>EmbeddingBag",
    "nn.functional.glu": "Mul>Glu",
    "nn.functional.grid_sample": "Add>GridSampler2D",
    "nn.functional.group_norm": "Add>NativeGroupNorm",
    "nn.functional.instance_norm": "Add>View",
    "nn.functional.interpolate.area": "UpsampleArea1D>SqueezeBackward1",
    "nn.functional.layer_norm": "Add>NativeLayerNorm",
    "nn.functional.linear": "Add>View",
    "nn.functional.linear_cross_entropy": "NllLoss>NllLoss2D",
    "nn.functional.linear_cross_entropy.chunked":
        "NllLoss>SqueezeBackward1 NllLoss>GeneratedBackwardFor… "
        "NllLoss>NllLoss2D",
    "nn.functional.linear_cross_entropy.chunked_none":
        "Squeeze>SqueezeBackward1 NllLoss>GeneratedBackwardFor… "
        "NllLoss>View",
    "nn.functional.max_pool1d": "MaxPool2DWithIndices>SqueezeBackward1",
    "nn.functional.max_unpool1d": "View>SqueezeBackward1",
    "nn.functional.max_unpool1d.grad": "View>SqueezeBackward1",
    "nn.functional.max_unpool2d": "View>MaxUnpool2D",
    "nn.functional.max_unpool2d.grad": "View>MaxUnpool2D",
    "nn.functional.max_unpool3d": "View>MaxUnpool3D",
    "nn.functional.max_unpool3d.grad": "View>MaxUnpool3D",
    "nn.functional.multi_margin_loss": "Mean>MultiMarginLoss",
    "nn.functional.multilabel_margin_loss": "Mean>MultilabelMarginLoss View>MultilabelMarginLoss",
    "nn.functional.pad.circular": "Pad>CopySlices",
    "nn.functional.pad.reflect": "Pad>ReflectionPad1D",
    "nn.functional.pad.replicate": "Pad>ReplicationPad1D",
    "nn.functional.pad.replicate_negative": "Pad>ReplicationPad2D",
    "nn.functional.pairwise_distance": "LinalgVectorNorm>NormBackward1",
    "nn.functional.pdist": "LinalgVectorNorm>Pdist",
    "nn.functional.pixel_shuffle": "View>PixelShuffle UnsafeView>PixelShuffle",
    "nn.functional.pixel_unshuffle": "View>PixelUnshuffle UnsafeView>PixelUnshuffle",
    "nn.functional.soft_margin_loss":
        "Mean>SoftMarginLoss Sum>SoftMarginLoss "
        "Softplus>SoftMarginLoss",
    "ormqr": "Sub>Ormqr Transpose>Ormqr Conj>Ormqr",
    "permute_copy": "Clone>PermuteBackward0_copy",
    "qr": "Cat>LinalgQr",
    "quantile": "View>SqueezeBackward4",
    "renorm": "Mul>Renorm",
    "repeat_interleave": "IndexSelect>View",
    "rot90": "Transpose>Rot90",
    "scatter_reduce.amax": "Transpose>ScatterReduce",
    "scatter_reduce.amin": "Transpose>ScatterReduce",
    "scatter_reduce.mean": "Div>ScatterReduce",
    "scatter_reduce.prod": "Transpose>ScatterReduce",
    "scatter_reduce.sum": "ScatterAdd>ScatterReduce",
    "select_scatter": "CopySlices>SelectScatter",
    "slice_scatter": "CopySlices>SliceScatter",
    "special.ndtr": "SpecialNdtr>MulBackward1",
    "split_with_sizes_copy": "Clone>SplitWithSizesBackward0_copy",
    "squeeze_copy": "Clone>SqueezeBackward0_copy Clone>SqueezeBackward1_copy",
    "std_mean": "Std>StdMean Mean>StdMean MeanBackward1>StdMean",
    "std_mean.unbiased": "Std>StdMean Mean>StdMean",
    "stft": "Transpose>SqueezeBackward4 Transpose>TransposeBackward1",
    "sum_to_size": "SumToSize>Sum SumToSize>SumBackward1",
    "t_copy": "Clone>TBackward0_copy",
    "to": "Clone>ToCopy",
    "torch.ops.aten._safe_softmax.default": "Where>SafeSoftmax",
    "trace": "Sum>Trace",
    "transpose_copy": "Clone>TransposeBackward0_copy",
    "trapezoid": "SumBackward1>DivBackward1 SumBackward1>MulBackward1",
    "trapz": "SumBackward1>DivBackward1 SumBackward1>MulBackward1",
    "triangular_solve": "LinalgSolveEx>TriangularSolve Clone>TriangularSolve",
    "unbind_copy": "Clone>UnbindBackward0_copy",
    "unfold_copy": "Clone>UnfoldBackward0_copy",
    "unsafe_chunk": "Clone>UnsafeSplit",
    "unsafe_split": "Clone>UnsafeSplit",
    "unsqueeze_copy": "Clone>UnsqueezeBackward0_copy",
    "var_mean": "Var>VarMean Mean>VarMean MeanBackward1>VarMean",
    "var_mean.unbiased": "Var>VarMean Mean>VarMean",
    "vdot": "Dot>Vdot",
    "view_copy": "Clone>ViewBackward0_copy",
}  # fmt: skip


def names(results: Any) -> list[str]:
    """The names of the nodes of all results."""
    nodes = (y.grad_fn.name() if y.grad_fn is not None else "-" for y in tensors(results))
    short = (n.removeprefix("torch::autograd::").removesuffix("Backward0") for n in nodes)
    # what PyTorch generates at the first call has a name as long as its function's
    return [re.sub("(?<=GeneratedBackwardFor).*", "…", n) for n in short]


def drawn(entry: Any) -> Iterator[Any]:
    """The first samples of an entry in each dtype."""
    torch.manual_seed(0)  # the database draws its samples
    random.seed(0)
    kinds = (kind for kind in KINDS if kind in entry.supported_backward_dtypes("cpu"))
    return chain.from_iterable(
        islice(entry.sample_inputs("cpu", kind, requires_grad=True), MOST) for kind in kinds
    )


def differences(title: str) -> str:
    """Where the engine's names are not PyTorch's, as in `APART`."""
    entry, found = entries()[title], dict[str, None]()
    function = CALLS.get(title) or ours(entry.name)
    assert function is not None
    for one in drawn(entry):
        args, kwargs = leaves((one.input, *one.args)), leaves(one.kwargs)
        expected = names(entry.op(*args, **kwargs))
        got = names(function(*converted(args, "cpu"), **converted(kwargs, "cpu")))
        assert len(got) == len(expected), title
        pairs = zip(got, expected, strict=True)
        found.update(dict.fromkeys(f"{mine}>{theirs}" for mine, theirs in pairs if mine != theirs))
    return " ".join(found)


@pytest.mark.usefixtures("_in_float64")
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("title", NAMES)
def test_a_name_is_torchs_or_recorded(title: str) -> None:
    assert differences(title) == APART.get(title, "")


def test_what_is_recorded_exists() -> None:
    assert APART.keys() <= entries().keys()
