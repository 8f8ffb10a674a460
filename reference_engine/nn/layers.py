"""Layers without weights to learn, or with a scale and a shift only: activations, pooling,
normalisation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from reference_engine.nn import functional as F
from reference_engine.nn.module import Module
from reference_engine.nn.parameter import Parameter
from reference_engine.ops.creation import ones, tensor, zeros
from reference_engine.tensor import Tensor


def _layer(name: str, function: str, *settings: str, **defaults: Any) -> type[Module]:
    """The class of a layer that calls a function with its settings; those without default are
    required.
    """
    names = (*settings, *defaults)

    def __init__(self: Module, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        Module.__init__(self)
        given = {**defaults, **dict(zip(names, args, strict=False)), **kwargs}
        if len(args) > len(names) or set(given) != set(names):
            raise TypeError(f"{name} takes ({', '.join(names)}), got {args} and {kwargs}")
        self._settings = given
        for setting, value in given.items():
            setattr(self, setting, value)

    def forward(self: Module, x: Tensor) -> Tensor:
        run: Callable[..., Tensor] = getattr(F, function)
        return run(x, **{setting: getattr(self, setting) for setting in names})

    def extra_repr(self: Module) -> str:
        return ", ".join(f"{k}={v!r}" for k, v in self._settings.items())

    about = f"The layer of nn.functional.{function}."
    return type(name, (Module,), {
        "__init__": __init__, "forward": forward, "extra_repr": extra_repr, "__doc__": about,
        "__module__": __name__})  # fmt: skip


ReLU = _layer("ReLU", "relu", inplace=False)
ReLU6 = _layer("ReLU6", "relu6")
LeakyReLU = _layer("LeakyReLU", "leaky_relu", negative_slope=0.01)
ELU = _layer("ELU", "elu", alpha=1.0)
GELU = _layer("GELU", "gelu", approximate="none")
SiLU = _layer("SiLU", "silu")
Sigmoid = _layer("Sigmoid", "sigmoid")
Tanh = _layer("Tanh", "tanh")
Softplus = _layer("Softplus", "softplus", beta=1.0, threshold=20.0)
Hardtanh = _layer("Hardtanh", "hardtanh", min_val=-1.0, max_val=1.0)
Softmax = _layer("Softmax", "softmax", dim=-1)
LogSoftmax = _layer("LogSoftmax", "log_softmax", dim=-1)
MaxPool1d, MaxPool2d, MaxPool3d = (
    _layer(f"MaxPool{n}d", f"max_pool{n}d", "kernel_size", stride=None, padding=0, dilation=1,
           return_indices=False, ceil_mode=False)
    for n in (1, 2, 3)
)  # fmt: skip
AvgPool1d, AvgPool2d, AvgPool3d = (
    _layer(f"AvgPool{n}d", f"avg_pool{n}d", "kernel_size", stride=None, padding=0, ceil_mode=False,
           count_include_pad=True)
    for n in (1, 2, 3)
)  # fmt: skip
Upsample = _layer("Upsample", "interpolate", size=None, scale_factor=None, mode="nearest",
                  align_corners=None)  # fmt: skip


class Identity(Module):
    """Its input; takes and ignores any settings."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        """The input."""
        return x


class Flatten(Module):
    """Joins dimensions ``start_dim`` to ``end_dim``."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Tensor) -> Tensor:
        """(N, ...) → (N, product), by default."""
        made: Tensor = x.flatten(self.start_dim, self.end_dim)
        return made


class Dropout(Module):
    """In training, zeros each element with probability ``p`` and scales the rest by 1/(1 − p)."""

    _function = "dropout"

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"{type(self).__name__} got p={p}; a probability is between 0 and 1")
        self.p, self.inplace = p, inplace

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        made: Tensor = getattr(F, self._function)(x, self.p, self.training)
        return x.copy_(made) if self.inplace else made

    def extra_repr(self) -> str:
        """The settings to show in the representation."""
        return f"p={self.p}"


class Dropout2d(Dropout):
    """Dropout of whole channels."""

    _function = "dropout2d"


class LayerNorm(Module):
    """Normalises over the last dimensions, then scales and shifts."""

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__()
        single = isinstance(normalized_shape, int)
        self.normalized_shape = (normalized_shape,) if single else tuple(normalized_shape)  # type: ignore[arg-type]
        self.eps = eps
        shape = self.normalized_shape
        self.register_parameter("weight", Parameter(ones(*shape)) if elementwise_affine else None)
        self.register_parameter(
            "bias", Parameter(zeros(*shape)) if elementwise_affine and bias else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        made: Tensor = F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return made


class _BatchNorm(Module):
    _dims: tuple[int, ...]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.register_parameter("weight", Parameter(ones(num_features)) if affine else None)
        self.register_parameter("bias", Parameter(zeros(num_features)) if affine else None)
        self.register_buffer("running_mean", zeros(num_features) if track_running_stats else None)
        self.register_buffer("running_var", ones(num_features) if track_running_stats else None)
        self.register_buffer("num_batches_tracked", tensor(0) if track_running_stats else None)

    def forward(self, x: Tensor) -> Tensor:
        """(N, num_features, ...) to the same shape; ValueError for another number of dimensions."""
        if x.ndim not in self._dims:
            raise ValueError(f"{type(self).__name__} takes {self._dims} dimensions, got {x.ndim}")
        tracked = self.running_mean is not None
        if self.training and tracked:
            self.num_batches_tracked += 1
        made: Tensor = F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias,
            self.training or not tracked, self.momentum, self.eps,
        )  # fmt: skip
        return made


class BatchNorm1d(_BatchNorm):
    """Normalises each feature over the batch (N, C) or (N, C, L)."""

    _dims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Normalises each channel over the batch (N, C, H, W)."""

    _dims = (4,)
