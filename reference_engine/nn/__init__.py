"""The part of ``torch.nn`` that training programs need."""

from __future__ import annotations

from reference_engine.nn import clip_grad as utils
from reference_engine.nn import functional, init
from reference_engine.nn.container import ModuleList, Sequential
from reference_engine.nn.layers import (
    ELU,
    GELU,
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    BatchNorm1d,
    BatchNorm2d,
    Dropout,
    Dropout2d,
    Flatten,
    Hardtanh,
    Identity,
    LayerNorm,
    LeakyReLU,
    LogSoftmax,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
    Upsample,
)
from reference_engine.nn.linear import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    Embedding,
    Linear,
)
from reference_engine.nn.loss import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
)
from reference_engine.nn.module import Module
from reference_engine.nn.parameter import Parameter

__all__ = [
    "ELU", "GELU", "AvgPool1d", "AvgPool2d", "AvgPool3d", "BCELoss", "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d", "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d",
    "CrossEntropyLoss",
    "Dropout", "Dropout2d", "Embedding", "Flatten", "Hardtanh", "HuberLoss", "Identity",
    "KLDivLoss",
    "L1Loss", "LayerNorm", "LeakyReLU", "Linear", "LogSoftmax", "MSELoss", "MaxPool1d", "MaxPool2d",
    "MaxPool3d", "Module", "ModuleList", "NLLLoss", "Parameter", "ReLU", "ReLU6", "Sequential",
    "SiLU",
    "Sigmoid", "SmoothL1Loss", "Softmax", "Softplus", "Tanh", "Upsample", "functional", "init",
    "utils",
]  # fmt: skip
