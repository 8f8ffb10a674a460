"""Where the numbers of leaves come from: pinned, exact on a grid, and never a silent guess."""

from __future__ import annotations

import numpy as np
import pytest

from conformance.errors import InvalidProgram
from conformance.leaves import GRID, counter_words, dtype_named, leaf_array, literal_array
from conformance.program import Param, Step


def leaf(**params: Param) -> Step:
    return Step("leaf", ("x",), params=tuple(params.items()))


def test_seeded_numbers_are_pinned() -> None:
    assert leaf_array(leaf(shape=(2, 2), seed=1), "float64").tolist() == [
        [-0.921875, -1.6875],
        [-1.625, -0.96875],
    ]
    assert [int(word) for word in counter_words(0, 2)] == [
        16294208416658607535,  # the first two outputs that SplitMix64 gives for the seed 0
        7960286522194355700,
    ]


def test_seeds_shapes_and_streams_differ() -> None:
    a = leaf_array(leaf(shape=(50,), seed=1), "float64")
    b = leaf_array(leaf(shape=(50,), seed=2), "float64")
    assert (a != b).mean() > 0.9
    assert len(set(a.tolist())) > 40
    z = leaf_array(leaf(shape=(50,), seed=1), "complex128")
    assert (z.real == a).all()
    assert (z.imag != a).mean() > 0.9


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64"])
def test_seeded_numbers_lie_on_the_grid_in_every_dtype(dtype: str) -> None:
    step = leaf(shape=(200,), seed=7, low=-1.0, high=0.5)
    array = leaf_array(step, dtype)
    assert array.dtype == dtype
    assert (array.real == leaf_array(step, "float64")).all()
    assert (array.real * GRID == np.round(array.real * GRID)).all()
    assert array.real.min() == -1.0
    assert array.real.max() == 0.5


def test_integers_and_flags() -> None:
    step = leaf(shape=(100,), seed=3, low=0, high=4, dtype="int64")
    assert set(leaf_array(step, "float32").tolist()) == {0, 1, 2, 3, 4}
    flags = leaf_array(leaf(shape=(100,), seed=3, dtype="bool"), "float32")
    assert flags.dtype == bool
    assert set(flags.tolist()) == {True, False}


def test_arrays_are_fresh() -> None:
    step = leaf(shape=(3,), seed=5)
    first = leaf_array(step, "float64")
    before = first.tolist()
    first[:] = 0
    assert leaf_array(step, "float64").tolist() == before


def test_sizes_of_nothing() -> None:
    assert leaf_array(leaf(shape=()), "float32").shape == ()
    assert leaf_array(leaf(shape=(0, 3)), "float32").shape == (0, 3)
    assert leaf_array(leaf(value=()), "float32").shape == (0,)


def test_literals_take_the_dtype_unless_they_are_complex() -> None:
    assert leaf_array(leaf(value=(1, 2)), "float32").dtype == np.float32
    assert leaf_array(leaf(value=(1, 2), dtype="int32"), "float32").dtype == np.int32
    assert leaf_array(leaf(value=1 + 2j), "float32").dtype == np.complex128
    assert leaf_array(leaf(value=1 + 2j), "complex64").dtype == np.complex64
    assert literal_array((True, False)).dtype == bool


def test_dtypes_beyond_numpys() -> None:
    assert dtype_named("bfloat16").itemsize == 2
    assert float(leaf_array(leaf(value=1.00390625), "bfloat16")) == 1.0
    with pytest.raises(InvalidProgram, match="dtype 'float7' is unknown; expected a name such as"):
        dtype_named("float7")


@pytest.mark.parametrize(
    "step",
    [
        leaf(value=((1.0, 2.0), (3.0,))),
        leaf(value="text"),
        leaf(shape=(2,), seed="one"),
        leaf(shape=(2,), low=2.0, high=1.0),
        leaf(shape=(2,), low=0.001, high=0.002),
        leaf(shape=(2,), high=float("inf")),
        leaf(shape=(-1,)),
        leaf(shape=(2.5,)),
    ],
)
def test_what_is_no_array_is_an_invalid_program(step: Step) -> None:
    with pytest.raises(InvalidProgram, match=r"expected|give|widen"):
        leaf_array(step, "float64")
