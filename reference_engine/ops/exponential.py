"""Exponentials, logarithms, trigonometry."""

from __future__ import annotations

from reference_engine.ops.opdef import elementwise

elementwise("sin", "sin", dx=lambda F, x: F.cos(x), promotion="float")
elementwise("cos", "cos", dx=lambda F, x: -F.sin(x), promotion="float")
elementwise("exp", "exp", dx=lambda F, y: y, promotion="float")
