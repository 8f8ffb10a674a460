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
    Defect(
        "tensorflow-3",
        "tensorflow",
        "2.21.0",
        ("NUM-2",),
        "refused-loudly",
        "The gradient of transpose fails where the permutation has negative axes, which transpose"
        " itself takes.",
        """import tensorflow as tf

x = tf.reshape(tf.range(8.0), (2, 2, 2))
with tf.GradientTape() as tape:
    tape.watch(x)
    y = tf.transpose(x, (-1, 0, 1))
gradient = tape.gradient(y, x, tf.transpose(x, (2, 0, 1)))
assert (gradient.numpy() == x.numpy()).all()
""",
        operations=("permute",),
    ),
    Defect(
        "tensorflow-4",
        "tensorflow",
        "2.21.0",
        ("NUM-2",),
        "silently-wrong",
        "leaky_relu rounds its slope to float32 in double precision too: its values and gradients"
        " are off by 2e-8.",
        """import tensorflow as tf

value = tf.nn.leaky_relu(tf.constant(-1.0, tf.float64), 0.01).numpy()
assert abs(value / -0.01 - 1) < 1e-15, value
""",
        operations=("nn.functional.leaky_relu",),
    ),
    Defect(
        "tensorflow-5",
        "tensorflow",
        "2.21.0",
        ("NUM-1", "NUM-3"),
        "silently-wrong",
        "gelu computes with a square root of 2 that was rounded to float32, in double precision"
        " too: its values and gradients are off by 4e-9.",
        """import math

import tensorflow as tf

value = float(tf.nn.gelu(tf.constant(1.0, tf.float64)))
exact = 0.5 * (1 + math.erf(1 / math.sqrt(2)))
assert abs(value - exact) < 1e-15, f"{value} is not {exact}"
""",
        operations=("nn.functional.gelu",),
    ),
)
