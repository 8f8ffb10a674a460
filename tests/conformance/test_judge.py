"""Judging: what each kind of departure is called, whom it is blamed on, and who is not blamed."""

from __future__ import annotations

from types import MappingProxyType

import pytest

from conformance.adapters.base import Engine
from conformance.adapters.load import load_engine
from conformance.errors import UsageError
from conformance.judge import judge
from conformance.notation import parse
from conformance.verdict import Finding, Kind, Outcome
from tests.engines.wrong_torch import (
    FlatGradients,
    LacksExp,
    NeverFrees,
    NoGradients,
    NoGradTracks,
    RefusesExp,
    SilentHooks,
    SingleGradients,
    SlightSine,
    Sound,
    UncheckedWrites,
    WrongMul,
    WrongRelu,
    WrongSine,
)

ALL = ("differential", "finite_difference", "adjoint")
PRODUCT = """
    x = leaf([1.0, 2.0], requires_grad=True)
    w = leaf([3.0, 4.0], requires_grad=True)
    y = mul(x, w)
    s = sin(y)
    l = sum(s)
    backward(l)
    grad(x)
    grad(w)
"""


def found(engine: Engine, text: str, **options: object) -> Finding:
    return judge(engine, parse(text), **options)  # type: ignore[arg-type]


def test_a_right_engine_holds_and_says_how_much_was_compared() -> None:
    finding = found(Sound(), PRODUCT)
    assert finding.outcome is Outcome.HOLDS
    assert (finding.checks, finding.error_ulp) == (2, 0.0)
    assert (finding.kind, finding.step, finding.cause) == (None, -1, "")


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_right_gradients_hold_in_every_dtype_by_all_oracles(dtype: str) -> None:
    finding = found(Sound(), PRODUCT, dtype=dtype, oracles=ALL)
    assert finding.outcome is Outcome.HOLDS, finding.message
    assert finding.checks == 6
    assert finding.dtype == dtype


def test_a_wrong_derivative_is_blamed_on_its_operation() -> None:
    finding = found(WrongMul(), PRODUCT)
    assert finding.outcome is Outcome.VIOLATED
    assert finding.kind is Kind.SILENTLY_WRONG
    assert (finding.step, finding.operation, finding.oracle) == (7, "mul", "torch")
    assert finding.cause == "silently-wrong/grad/value/mul"
    assert finding.message.startswith("step 7, `grad(w)`: element [0] is -1.48")
    assert finding.message.endswith("(by torch in float64)")


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_it_is_found_in_low_precision_too(dtype: str) -> None:
    assert found(WrongMul(), PRODUCT, dtype=dtype).cause == "silently-wrong/grad/value/mul"


def test_a_wrong_value_is_blamed_on_its_operation() -> None:
    finding = found(WrongSine(), "x = leaf([1.0])\ny = mul(x, other=2.0)\nz = sin(y)\nvalue(z)")
    assert (finding.operation, finding.cause) == ("sin", "silently-wrong/value/value/sin")


def test_an_error_of_a_few_roundings_is_none_in_float32_and_one_in_float64() -> None:
    text = "x = leaf([1.0, 0.5])\ny = sin(x)\nvalue(y)"
    single = found(SlightSine(), text, dtype="float32")
    assert single.outcome is Outcome.HOLDS
    assert single.error_ulp is not None
    assert 1 < single.error_ulp < 4
    assert found(SlightSine(), text).outcome is Outcome.VIOLATED


def test_an_error_that_cancellation_explains_is_none() -> None:
    text = """
        x = leaf([1.0, 0.5])
        y = sin(x)
        z = add(y, other=1.0e4)
        v = sub(z, other=1.0e4)
        value(v)
    """
    finding = found(Sound(), text, dtype="float32")
    assert finding.outcome is Outcome.HOLDS
    assert finding.error_ulp is not None
    assert finding.error_ulp < 8  # in units of what one rounding does


def test_figures_are_judged_without_any_oracle() -> None:
    text = "x = leaf([3.0], requires_grad=True)\nl = sum(x)\nbackward(l)\nassert grad(x) == [{}]"
    assert found(Sound(), text.format("1.0")).outcome is Outcome.HOLDS
    finding = found(Sound(), text.format("2.0"))
    assert (finding.outcome, finding.oracle) == (Outcome.VIOLATED, "clause")
    assert finding.message.startswith(
        "step 3, `grad(x)`: element [0] is 1; expected 2 (error 1, allowed "
    )
    assert (finding.expected, finding.observed) == ("[2.]", "[1.]")


def test_printed_figures_hold_to_half_their_last_decimal() -> None:
    text = "x = leaf([1.0])\ny = sigmoid(x)\nassert value(y) == approx([{}], 4)"
    assert found(Sound(), text.format("0.7311")).outcome is Outcome.HOLDS
    assert found(Sound(), text.format("0.7312")).outcome is Outcome.VIOLATED


def test_figures_in_decimals_hold_in_the_dtype_of_the_run() -> None:
    text = """
        x = leaf([0.1], requires_grad=True)
        y = mul(x, other=0.7)
        backward(y, gradient=[0.3])
        assert value(y) == [0.07]
        assert grad(x) == [0.21]
    """
    for dtype in ("float64", "float32", "float16"):
        assert found(Sound(), text, dtype=dtype).outcome is Outcome.HOLDS


def test_figures_may_name_another_tensor() -> None:
    text = """
        x = leaf([1.0, 2.0], requires_grad=True)
        t = leaf([1.0, 2.0], requires_grad=True)
        y = mul(x, x)
        backward(y, gradient=[1.0, 1.0])
        z = mul(t, other={})
        backward(z, gradient=[1.0, 1.0])
        g = grad(t)
        assert grad(x) == g
    """
    assert found(Sound(), text.format("[2.0, 4.0]".replace("[2.0, 4.0]", "2.0"))).step == 7
    right = text.replace("mul(t, other={})", "mul(t, t)")
    assert found(Sound(), right).outcome is Outcome.HOLDS


def test_shape_and_dtype_of_a_gradient_are_those_of_its_tensor() -> None:
    text = "x = leaf([[1.0, 2.0]], requires_grad=True)\nl = sum(x)\nbackward(l)\n"
    for reading in ("grad(x)", "assert grad(x) == [[1.0, 1.0]]"):
        single, flat = (found(e(), text + reading) for e in (SingleGradients, FlatGradients))
        assert single.cause == "silently-wrong/grad/dtype"
        assert "`grad(x)`: the dtype is float32; expected float64" in single.message
        assert flat.cause == "silently-wrong/grad/shape"


def test_a_leaf_that_names_its_dtype_has_gradients_of_that_dtype() -> None:
    text = "x = leaf([1.0], dtype='float32', requires_grad=True)\nl = sum(x)\nbackward(l)\n{}"
    for reading in ("grad(x)", "assert grad(x) == [1.0]"):
        assert found(Sound(), text.format(reading)).outcome is Outcome.HOLDS


def test_an_error_that_is_owed_and_does_not_come() -> None:
    finding = found(
        NeverFrees(),
        """
        x = leaf([1.0], requires_grad=True)
        y = sin(x)
        backward(y, gradient=[1.0])
        with raises():
            backward(y, gradient=[1.0])
        """,
    )
    assert (finding.kind, finding.step) == (Kind.NOT_REFUSED, 3)
    assert finding.cause == "not-refused/backward"
    assert (finding.expected, finding.observed) == ("an error", "succeeded")


def test_a_refusal_where_the_program_should_run() -> None:
    for text in (
        "x = leaf([1.0])\ny = exp(x)\nvalue(y)",
        "x = leaf([0.0])\ny = exp(x)\nassert value(y) == [1.0]",
    ):
        finding = found(RefusesExp(), text)
        assert (finding.kind, finding.step) == (Kind.REFUSED_LOUDLY, 1)
        assert finding.cause == "refused-loudly/apply/exp/ValueError"
        assert finding.observed == "raised ValueError: no exp for 0x…"


def test_a_promise_that_a_refusal_keeps_from_being_reached_blames_the_refusal() -> None:
    finding = found(
        NoGradients(),
        """
        x = leaf([1.0], requires_grad=True)
        y = mul(x, x)
        backward(y, gradient=[1.0])
        g = grad(x)
        h = mul(g, g)
        assert value(h) == [4.0]
        """,
    )
    assert (finding.kind, finding.step) == (Kind.SILENTLY_WRONG, 3)
    assert finding.cause == "silently-wrong/grad/presence"


def test_a_refusal_that_the_oracle_shares_is_right() -> None:
    finding = found(
        Sound(),
        """
        x = leaf([1.0], requires_grad=True)
        y = sin(x)
        z = sin(y)
        zero_(y)
        backward(z, gradient=[1.0])
        grad(x)
        """,
    )
    assert finding.outcome is Outcome.HOLDS
    assert finding.checks == 2  # the refusal and the absent gradient


def test_what_an_engine_says_it_lacks_is_never_counted_against_it() -> None:
    finding = found(LacksExp(), "x = leaf([0.0])\ny = exp(x)\nassert value(y) == [9.0]")
    assert finding.outcome is Outcome.UNSUPPORTED
    assert finding.message == "exp"


def test_a_dtype_that_the_engine_lacks_is_unsupported() -> None:
    finding = found(Sound(), "x = leaf([0.0])\nvalue(x)", dtype="float8_e4m3")
    assert finding.outcome is Outcome.UNSUPPORTED


def test_a_program_that_compares_nothing_decides_nothing() -> None:
    finding = found(Sound(), "x = leaf([0.0])\ny = exp(x)")
    assert (finding.outcome, finding.checks) == (Outcome.INCONCLUSIVE, 0)
    assert finding.message == "nothing in the program could be compared"


def test_a_step_that_the_oracle_cannot_run_decides_nothing() -> None:
    class Special(Sound):
        def apply(self, op: str, *tensors: object, **params: object) -> object:
            return super().apply("sin" if op == "special_sine" else op, *tensors, **params)

    finding = found(Special(), "x = leaf([0.0])\ny = special_sine(x)\nvalue(y)")
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert "torch has no operation special_sine" in finding.message


def test_flags_are_compared_exactly_and_names_of_nodes_only_where_promised() -> None:
    text = """
        x = leaf([1.0], requires_grad=True)
        with no_grad():
            y = mul(x, other=2.0)
        {}
    """
    finding = found(NoGradTracks(), text.format("requires_grad(y)"))
    assert finding.cause == "silently-wrong/requires_grad/flag"
    finding = found(NoGradTracks(), text.format("grad_fn(y)"))
    assert finding.cause == "silently-wrong/grad_fn/presence"
    named = "x = leaf([1.0], requires_grad=True)\ny = neg(x)\nassert grad_fn(y) == 'Negation'"
    assert found(Sound(), named).cause == "silently-wrong/grad_fn/name"


def test_the_log_of_hooks_is_compared_by_length_and_entry_by_entry() -> None:
    text = """
        x = leaf([1.0], requires_grad=True)
        y = mul(x, other=2.0)
        hook(y, action='{}')
        hook(x, action='record')
        backward(y, gradient=[1.0])
        {}
    """
    assert found(Sound(), text.format("double", "hook_log()")).outcome is Outcome.HOLDS
    figure = text.format("double", "assert hook_log() == [[1.0], [4.0]]")
    assert found(Sound(), figure).outcome is Outcome.HOLDS
    wrong = text.format("double", "assert hook_log() == [[1.0], [2.0]]")
    assert found(Sound(), wrong).cause == "silently-wrong/hook_log/value"
    assert found(SilentHooks(), figure).cause == "silently-wrong/hook_log/count"


class ZerosForUnused(Sound):
    """Gives zeros where PyTorch gives None, and documents it."""

    def grad(self, tensor: object) -> object:
        found = super().grad(tensor)
        return self.tensor(0.0 * self.numpy(tensor)) if found is None else found


class DocumentedZeros(ZerosForUnused):
    conventions = MappingProxyType({"zeros_for_unused": "unused inputs get zeros (its manual)"})


@pytest.mark.parametrize("reading", ["grad(u)", "assert grad(u) is None"])
def test_zeros_for_an_absent_gradient_are_right_only_where_they_are_documented(
    reading: str,
) -> None:
    text = f"x = leaf([1.0], requires_grad=True)\nu = leaf([2.0], requires_grad=True)\n{READ}"
    assert found(ZerosForUnused(), text + reading).cause == "silently-wrong/grad/presence"
    assert found(DocumentedZeros(), text + reading).outcome is Outcome.HOLDS


READ = "backward(x, gradient=[1.0])\n"
KINK = """
    x = leaf([0.0, 1.0], requires_grad=True)
    y = relu(x)
    l = sum(y)
    backward(l)
    grad(x)
"""


def test_at_a_kink_two_subgradients_convict_nobody() -> None:
    finding = found(WrongRelu(), KINK)
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert finding.message == "torch contradicts, but finite differences side with nobody"
    assert found(Sound(), KINK).outcome is Outcome.HOLDS


def test_a_figure_at_a_kink_is_law() -> None:
    figure = KINK.replace("grad(x)", "assert grad(x) == [0.0, 1.0]")
    assert found(WrongRelu(), figure).outcome is Outcome.VIOLATED


HAZARD = """
    x = leaf([0.5], requires_grad=True)
    y = {op}(x)
    {write}
    backward(y, gradient=[1.0])
    grad(x)
"""


def test_a_wrong_gradient_that_the_oracle_refuses_is_silently_wrong_by_slopes() -> None:
    finding = found(UncheckedWrites(), HAZARD.format(op="sigmoid", write="mul_(y, other=2.0)"))
    assert finding.kind is Kind.SILENTLY_WRONG
    assert finding.oracle == "finite_difference"


def test_a_right_gradient_that_the_oracle_refuses_is_no_violation() -> None:
    class KeepsInputs(Sound):
        """Differentiates sigmoid from its input, so that writes to the result do no harm."""

        def apply(self, op: str, *tensors: object, **params: object) -> object:
            if op == "sigmoid":
                return super().apply("add", super().apply("sigmoid", *tensors), other=0.0)
            return super().apply(op, *tensors, **params)

    finding = found(KeepsInputs(), HAZARD.format(op="sigmoid", write="add_(y, other=2.0)"))
    assert finding.outcome is Outcome.HOLDS, finding.message


def test_in_place_through_data_the_differential_oracle_decides() -> None:
    text = HAZARD.format(op="sigmoid", write="d = data(y)\n    zero_(d)")
    assert found(Sound(), text, oracles=ALL).outcome is Outcome.HOLDS


def test_overflow_of_the_dtype_is_right_where_the_value_overflows_it() -> None:
    text = "x = leaf([300.0])\ny = mul(x, x)\nvalue(y)"
    assert found(Sound(), text, dtype="float16").outcome is Outcome.HOLDS


def test_a_program_that_leaves_the_range_of_the_dtype_convicts_nobody() -> None:
    text = "x = leaf([300.0])\ny = mul(x, x)\nz = div(y, x)\nvalue(z)"
    finding = found(Sound(), text, dtype="float16")
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert finding.message == "the program leaves the range of float16"


def test_findings_are_the_same_every_time() -> None:
    assert found(WrongMul(), PRODUCT) == found(WrongMul(), PRODUCT)


def test_an_unknown_oracle_is_a_mistake_of_the_user() -> None:
    with pytest.raises(UsageError, match=r"oracle 'oracular' is unknown; choose from differential"):
        found(Sound(), PRODUCT, oracles=("oracular",))


def test_torch_is_judged_by_the_reference_engine() -> None:
    finding = found(load_engine("torch"), PRODUCT, oracles=ALL)
    assert finding.outcome is Outcome.HOLDS, finding.message
    assert found(load_engine("reference"), PRODUCT, oracles=ALL).outcome is Outcome.HOLDS
