"""The gradient checker: `gradcheck` says whether a backward is right, and why it is not."""

from __future__ import annotations

from conformance.gradient_check.checker import assert_gradients, gradcheck
from conformance.gradient_check.result import GradientError, GradientResult, Verdict
from conformance.gradient_check.sweep import Sweep

__all__ = ["GradientError", "GradientResult", "Sweep", "Verdict", "assert_gradients", "gradcheck"]
