"""Defects of TensorFlow."""

from __future__ import annotations

from conformance.defects.defect import Defect

DEFECTS = (
    Defect(
        "tensorflow-1",
        "tensorflow",
        "2.21.0",
        ("COT-4",),
        "silently-wrong",
        "GradientTape.gradient takes output_gradients of another shape than the target's, and"
        " returns a gradient of another shape than the source's.",
        """import tensorflow as tf

x = tf.ones((2, 3))
with tf.GradientTape() as tape:
    tape.watch(x)
    y = x * 2.0
try:
    gradient = tape.gradient(y, x, output_gradients=tf.ones((3, 2)))
except (ValueError, tf.errors.InvalidArgumentError):
    raise SystemExit(0)  # refused
assert gradient.shape == x.shape, f"the gradient of {x.shape} has the shape {gradient.shape}"
""",
        documented="output_gradients: one gradient for each differentiable element of target.",
    ),
)
