"""The differential oracle: float64 answers, native dtypes, measured spreads."""

from __future__ import annotations

import numpy as np
import pytest

from conformance.adapters.load import load_engine
from conformance.judge import judge
from conformance.notation import parse
from conformance.oracles.differential import Differential, oracle_for
from conformance.program import Program
from conformance.verdict import Outcome
from tests.engines.wrong_torch import Sound

TORCH = load_engine("torch")
CANCELLING = parse("""
    x = leaf(1.0)
    y = add(x, other=1.0e6)
    z = sub(y, other=1.0e6)
    value(z)
    value(x)
""")


def ask(program: Program, dtype: str = "float64") -> Differential:
    return Differential(TORCH, program, dtype)


def array(oracle: Differential, step: int) -> np.ndarray:
    value = oracle.events[step].value
    assert isinstance(value, np.ndarray)
    return value


def test_torch_is_judged_by_the_reference_engine_and_others_by_torch() -> None:
    assert oracle_for(TORCH).name == "reference"
    assert oracle_for(load_engine("reference")).name == "torch"
    assert oracle_for(Sound()).name == "torch"


def test_answers_are_float64_from_the_numbers_of_the_run() -> None:
    oracle = ask(parse("x = leaf([0.1])\ny = mul(x, other=3.0)\nvalue(y)"), "float32")
    assert array(oracle, 2).dtype == np.float64
    assert array(oracle, 2)[0] == float(np.float32(0.1)) * 3.0


def test_native_answers_say_which_dtype_is_due() -> None:
    oracle = ask(parse("x = leaf([1.0])\ny = sin(x)\nvalue(y)"), "float32")
    native = oracle.native[2].value
    assert isinstance(native, np.ndarray)
    assert native.dtype == np.float32


def test_leaves_of_other_float_dtypes_are_widened() -> None:
    oracle = ask(parse("x = leaf([0.1], dtype='float16')\ny = sin(x)\nvalue(y)"))
    assert array(oracle, 2)[0] == np.sin(float(np.float16(0.1)))


def test_integers_stay_integers() -> None:
    assert array(ask(parse("x = leaf([1, 2], dtype='int64')\nvalue(x)")), 1).dtype == np.int64


def test_a_spread_is_one_rounding_times_the_conditioning() -> None:
    oracle = ask(CANCELLING, "float32")
    (cancelled,), (plain,) = oracle.spread(3, 8) or (), oracle.spread(4, 8) or ()
    assert 0.5 * 2.0**-24 * 1e6 < cancelled < 4 * 2.0**-24 * 1e6
    assert plain == pytest.approx(2.0**-24)


def test_spreads_are_the_same_every_time() -> None:
    one, two = (ask(CANCELLING, "float32").spread(3, 4) for _ in range(2))
    assert one is not None
    assert two is not None
    assert one[0] == two[0]


def test_more_samples_never_shrink_a_spread() -> None:
    oracle = ask(CANCELLING, "float32")
    few, many = oracle.spread(3, 2), oracle.spread(3, 16)
    assert few is not None
    assert many is not None
    assert (few[0] <= many[0]).all()


def test_gradients_are_perturbed_on_their_way_back() -> None:
    oracle = ask(parse("x = leaf([3.0], requires_grad=True)\nbackward(x)\ngrad(x)"), "float32")
    (spread,) = oracle.spread(2, 4) or ()
    assert spread[0] == pytest.approx(2.0**-24)


def test_views_and_detached_tensors_stay_aliases() -> None:
    program = parse("""
        x = leaf([1.0, 2.0], requires_grad=True)
        y = mul(x, other=2.0)
        v = view(y, size=[2, 1])
        mul_(v, other=3.0)
        d = detach(y)
        value(y)
        value(d)
        version(y)
    """)
    oracle = ask(program, "float32")
    assert array(oracle, 5).tolist() == [6.0, 12.0]
    spread, detached = oracle.spread(5, 4), oracle.spread(6, 4)
    assert spread is not None
    assert detached is not None
    assert 0 < spread[0].max() < 1e-5
    assert (spread[0] == detached[0]).all()
    assert oracle.spread(7, 4) is None  # a version is no number that rounding could change
    assert oracle.events[7].value == 1


def test_a_figure_that_names_a_tensor_scatters_as_the_difference() -> None:
    program = parse("""
        x = leaf([1.0e3])
        y = mul(x, other=2.0)
        assert value(y) == y
    """)
    (spread,) = ask(program, "float32").spread(2, 4) or ()
    assert spread[0] == 0.0


def test_a_kink_shows_as_a_spread_as_large_as_the_jump() -> None:
    program = parse("""
        x = leaf([1.0], requires_grad=True)
        y = sub(x, other=1.0)
        z = abs(y)
        backward(z, gradient=[1.0])
        grad(x)
    """)
    (spread,) = ask(program, "float32").spread(4, 8) or ()
    assert spread[0] >= 1.0


def test_a_log_of_hooks_has_a_spread_for_each_entry() -> None:
    program = parse("""
        x = leaf([1.0], requires_grad=True)
        y = mul(x, other=2.0)
        hook(y, action='record')
        hook(x, action='record')
        backward(y, gradient=[1.0])
        hook_log()
    """)
    spreads = ask(program, "float32").spread(5, 4)
    assert spreads is not None
    assert len(spreads) == 2
    assert all(0 < s[0] < 1e-6 for s in spreads)


def test_size_and_largest_magnitude_are_those_of_the_program() -> None:
    oracle = ask(CANCELLING)
    assert (oracle.size, oracle.largest) == (1, 1000001.0)


def test_an_operation_that_the_oracle_lacks_is_unsupported() -> None:
    oracle = ask(parse("x = leaf([1.0])\ny = no_such_operation(x)\nvalue(y)"))
    assert oracle.unsupported == "torch has no operation no_such_operation"


def test_underflow_is_part_of_the_spread() -> None:
    program = parse("x = leaf([1.0e-3])\ny = mul(x, other=1.0e-4)\nvalue(y)")
    (spread,) = ask(program, "float16").spread(2, 4) or ()
    assert spread[0] >= 2.0**-25  # half of the smallest number that float16 has


@pytest.mark.parametrize("second", ["x", "v"])
def test_gradients_that_cancel_within_one_operation_scatter(second: str) -> None:
    program = parse(f"""
        x = leaf([1.25], requires_grad=True)
        v = view(x, size=[1])
        y = div(x, {second})
        backward(y, gradient=[1.0])
        grad(x)
    """)
    spread = ask(program).spread(4, 8)
    assert spread is not None
    assert 0 < spread[0][0] < 1e-14


@pytest.mark.parametrize("name", ["torch", "reference"])
def test_conditioning_is_measured_in_the_coarsest_dtype_that_the_program_names(name: str) -> None:
    text = """
        x = leaf(-0.5625, dtype='float32', requires_grad=True)
        d = leaf(0.15625, dtype='float32', requires_grad=True)
        y = mul(x, d)
        y1 = add(y, d)
        y2 = mul(y1, x)
        y3 = sin(y2)
        d1 = detach(y3)
        backward(y3, gradient=d1)
        grad(x)
    """
    assert judge(load_engine(name), parse(text), dtype="float64").outcome is Outcome.HOLDS
