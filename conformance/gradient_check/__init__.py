"""The gradient checker: `gradcheck` says whether a backward is right, and why it is not."""

from __future__ import annotations

from conformance.gradient_check.checker import assert_gradients, gradcheck
from conformance.gradient_check.result import GradientError, GradientResult, Verdict

__all__ = ["GradientError", "GradientResult", "Verdict", "assert_gradients", "gradcheck"]
