"""Layers that are linear in their parameters: affine maps, convolutions, embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any

from reference_engine.nn import functional as F
from reference_engine.nn import init
from reference_engine.nn.module import Module
from reference_engine.nn.parameter import Parameter
from reference_engine.ops.convolution import tuple_of
from reference_engine.ops.creation import empty, zeros
from reference_engine.tensor import Tensor


def _start(weight: Tensor, bias: Tensor | None) -> None:
    """PyTorch's starting values: uniform within 1/√fan_in."""
    init.kaiming_uniform_(weight, a=sqrt(5.0))
    fan_in = init.fans(weight)[0]
    if bias is not None and fan_in > 0:
        init.uniform_(bias, -1 / sqrt(fan_in), 1 / sqrt(fan_in))


class Linear(Module):
    """x (..., in) → x · weightᵀ + bias, with weight (out, in)."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(empty(out_features, in_features, device=device, dtype=dtype))
        shift = Parameter(empty(out_features, device=device, dtype=dtype)) if bias else None
        self.register_parameter("bias", shift)
        _start(self.weight, self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_features) → (..., out_features)."""
        made: Tensor = F.linear(x, self.weight, self.bias)
        return made

    def extra_repr(self) -> str:
        """The settings to show in the representation."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class _Conv(Module):
    """What convolutions have in common; subclasses give the number of spatial dimensions."""

    _n: int
    _transposed = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] | str = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"groups={groups} must divide in_channels={in_channels} and "
                f"out_channels={out_channels}"
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = tuple_of(kernel_size, self._n)
        self.stride, self.dilation = tuple_of(stride, self._n), tuple_of(dilation, self._n)
        self.padding = padding if isinstance(padding, str) else tuple_of(padding, self._n)
        ends = (out_channels, in_channels // groups)
        if self._transposed:
            ends = (in_channels, out_channels // groups)
        self.weight = Parameter(empty(*ends, *self.kernel_size, device=device, dtype=dtype))
        shift = Parameter(empty(out_channels, device=device, dtype=dtype)) if bias else None
        self.register_parameter("bias", shift)
        _start(self.weight, self.bias)

    def extra_repr(self) -> str:
        """The settings to show in the representation."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, padding={self.padding}"
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, *in) → (N, out_channels, *out)."""
        run = getattr(F, f"conv{self._n}d")
        made: Tensor = run(
            x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )
        return made


class Conv1d(_Conv):
    """A convolution along one dimension."""

    _n = 1


class Conv2d(_Conv):
    """A convolution along two dimensions."""

    _n = 2


class Conv3d(_Conv):
    """A convolution along three dimensions."""

    _n = 3


class _ConvTranspose(_Conv):
    _transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        output_padding: int | Sequence[int] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | Sequence[int] = 1,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias,
            device=device, dtype=dtype,
        )  # fmt: skip
        self.output_padding = tuple_of(output_padding, self._n)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, *in) → (N, out_channels, *out)."""
        run = getattr(F, f"conv_transpose{self._n}d")
        made: Tensor = run(
            x, self.weight, self.bias, self.stride, self.padding, self.output_padding, self.groups,
            self.dilation,
        )  # fmt: skip
        return made


class ConvTranspose1d(_ConvTranspose):
    """The transpose of a convolution along one dimension."""

    _n = 1


class ConvTranspose2d(_ConvTranspose):
    """The transpose of a convolution along two dimensions."""

    _n = 2


class Embedding(Module):
    """Integers below ``num_embeddings`` → rows of a table (num_embeddings, embedding_dim)."""

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None
    ) -> None:
        super().__init__()
        self.padding_idx = padding_idx
        self.weight = Parameter(init.normal_(zeros(num_embeddings, embedding_dim)))
        if padding_idx is not None:
            init.zeros_(self.weight.detach()[padding_idx])

    def forward(self, x: Tensor) -> Tensor:
        """(...) → (..., embedding_dim)."""
        made: Tensor = F.embedding(x, self.weight, padding_idx=self.padding_idx)
        return made
