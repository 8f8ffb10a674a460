"""Defects of TensorFlow."""

from __future__ import annotations

from conformance.defects.defect import Defect

DEFECTS = (
    Defect(
        "tensorflow-1",
        "tensorflow",
        "2.21.0",
        (
            "COT-4",
            "ERR-2",
        ),
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
    Defect(
        "tensorflow-2",
        "tensorflow",
        "2.21.0",
        ("FWD-8",),
        "silently-wrong",
        "ForwardAccumulator takes a tangent of another size than its primal, and computes with it.",
        """
import tensorflow as tf

x = tf.constant([1.0, 2.0])
try:
    with tf.autodiff.ForwardAccumulator(x, tf.constant([1.0, 0.5, 10.0])) as accumulator:
        y = tf.reduce_sum(x)
    tangent = accumulator.jvp(y).numpy()
except (ValueError, tf.errors.InvalidArgumentError):
    raise SystemExit(0)  # refused
raise AssertionError(f"no error; the tangent of the sum of two elements is {tangent}")
""",
        documented="ForwardAccumulator: each tangent is a vector of the same size as its primal.",
    ),
)
