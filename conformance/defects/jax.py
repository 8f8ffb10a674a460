"""Defects of JAX."""

from __future__ import annotations

from conformance.defects.defect import Defect

DEFECTS = (
    Defect(
        "jax-1",
        "jax",
        "0.10.2",
        ("NUM-8",),
        "silently-wrong",
        "angle of a float32 array without axes is float64 where 64-bit types are enabled; that of"
        " an array with axes is float32, as both of NumPy's are.",
        """import jax, numpy as np
jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp

for shape in ((2,), ()):
    x = np.ones(shape, dtype="float32")
    found = jnp.angle(jnp.asarray(x)).dtype
    assert found == np.angle(x).dtype == np.float32, f"angle of shape {shape} is {found}"
""",
        documented="angle: JAX implementation of numpy.angle.",
        operations=("angle",),
    ),
)
