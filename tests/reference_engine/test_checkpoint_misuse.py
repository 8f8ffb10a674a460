"""Checkpoints that are misused, and what their two runs may differ in, as in PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest

from tests.reference_engine.checkpoints import Counted, assert_alike, kept, leaf, reentrant
from tests.reference_engine.outcome import Scenarios

scenario = Scenarios()


class Changing:
    """Computes something else the second time."""

    def __init__(self, *functions: Any) -> None:
        self._functions = list(functions)

    def __call__(self, x: Any) -> Any:
        return (self._functions.pop(0) if len(self._functions) > 1 else self._functions[0])(x)


@scenario
def reentrant_refuses_autograd_grad(lib: Any) -> Any:
    x = leaf(lib)
    return lib.autograd.grad(reentrant(lib, Counted(), x).sum(), x)


@scenario
def reentrant_refuses_backward_with_inputs(lib: Any) -> Any:
    x = leaf(lib)
    reentrant(lib, Counted(), x).sum().backward(inputs=[x])


@scenario
def reentrant_refuses_keywords(lib: Any) -> Any:
    return reentrant(lib, lambda x, scale: x * scale, leaf(lib), scale=2)


@scenario
def reentrant_refuses_contexts(lib: Any) -> Any:
    return reentrant(lib, Counted(), leaf(lib), context_fn=lambda: None)


@scenario
def reentrant_warns_when_no_argument_requires_grad(lib: Any) -> Any:
    return reentrant(lib, Counted(), lib.ones(2)).requires_grad


@scenario
def reentrant_refuses_a_function_that_cuts_the_graph(lib: Any) -> Any:
    reentrant(lib, lambda x: x.detach(), leaf(lib)).sum().backward()


@scenario
def reentrant_output_names_its_node(lib: Any) -> Any:
    return reentrant(lib, Counted(), leaf(lib)).grad_fn.name()


@scenario
def reentrance_that_is_not_said_is_warned_of(lib: Any) -> Any:
    return lib.utils.checkpoint.checkpoint(Counted(), leaf(lib))


@scenario
def an_unknown_keyword_reaches_the_function(lib: Any) -> Any:
    return kept(lib, Counted(), leaf(lib), odd=1)


@scenario
def an_unknown_determinism_check_is_refused(lib: Any) -> Any:
    return kept(lib, Counted(), leaf(lib), determinism_check="odd")


@scenario
def fewer_values_the_second_time_are_refused(lib: Any) -> Any:
    f = Changing(lambda x: x.sin().sin(), lambda x: x.sin())
    kept(lib, f, leaf(lib)).sum().backward()


@scenario
def more_values_the_second_time_are_not_seen_after_stopping(lib: Any) -> Any:
    x = leaf(lib)
    kept(lib, Changing(lambda x: x.sin(), lambda x: x.sin().sin()), x).sum().backward()
    return x.grad


@scenario
def more_values_the_second_time_are_refused_without_stopping(lib: Any) -> Any:
    f = Changing(lambda x: x.sin(), lambda x: x.sin().sin())
    kept(lib, f, leaf(lib), early_stop=False).sum().backward()


@scenario
def another_shape_the_second_time_is_refused(lib: Any) -> Any:
    f = Changing(lambda x: x.sin(), lambda x: x[:1].sin())
    kept(lib, f, leaf(lib)).sum().backward()


@scenario
def another_dtype_the_second_time_is_refused(lib: Any) -> Any:
    f = Changing(lambda x: x.sin(), lambda x: x.float().sin())
    kept(lib, f, leaf(lib)).sum().backward()


@scenario
def another_shape_is_let_pass_without_the_check(lib: Any) -> Any:
    x = leaf(lib)
    f = Changing(lambda x: x.sin(), lambda x: x[:1].sin())
    kept(lib, f, x, determinism_check="none").sum().backward()
    return x.grad


@scenario
def a_failed_check_is_a_checkpoint_error(lib: Any) -> Any:
    f = Changing(lambda x: x.sin().sin(), lambda x: x.sin())
    try:
        kept(lib, f, leaf(lib)).sum().backward()
    except lib.utils.checkpoint.CheckpointError as error:
        return isinstance(error, RuntimeError)


@scenario
def a_modified_argument_is_refused(lib: Any) -> Any:
    found = []
    for way in (kept, reentrant):
        x = leaf(lib) * 1
        y = way(lib, Counted(), x)
        with lib.no_grad():
            x.add_(1)
        try:
            y.sum().backward()
            found.append("ran")
        except RuntimeError:
            found.append("refused")
    return found


@scenario
def an_exception_of_the_function_passes_from_backward(lib: Any) -> Any:
    def fail(x: Any) -> Any:
        raise ValueError("a failure of the user's")

    kept(lib, Changing(lambda x: x.sin(), fail), leaf(lib)).sum().backward()


@scenario
def modes_are_restored_after_an_exception_in_backward(lib: Any) -> Any:
    def fail(x: Any) -> Any:
        raise ValueError("a failure of the user's")

    try:
        kept(lib, Changing(lambda x: x.sin(), fail), leaf(lib)).sum().backward()
    except ValueError:
        x = leaf(lib)
        (x * x).sum().backward()
        return lib.is_grad_enabled(), x.grad


@scenario
def random_numbers_are_drawn_again(lib: Any) -> Any:
    found = []
    for way in (kept, reentrant):
        x = lib.ones(50, dtype=lib.float64, requires_grad=True)
        y = way(lib, lambda x: lib.nn.functional.dropout(x, 0.5) * x, x)
        y.sum().backward()
        # y = m x², dy/dx = 2 m x: the same mask, or they differ
        found.append(bool((x.grad == 2 * y).all()))
    return found


@scenario
def random_numbers_are_others_unless_preserved(lib: Any) -> Any:
    x = lib.ones(200, dtype=lib.float64, requires_grad=True)
    y = kept(lib, lambda x: lib.rand(200, dtype=lib.float64) * x.exp(), x, preserve_rng_state=False)
    y.sum().backward()
    return bool((x.grad == y).all())


@scenario
def a_recomputation_leaves_the_generator_where_it_was(lib: Any) -> Any:
    x = lib.ones(5, requires_grad=True)
    lib.manual_seed(1)
    y = kept(lib, lambda x: lib.rand(5) * x.exp(), x)
    after = lib.rand(3)
    lib.manual_seed(1)
    z = kept(lib, lambda x: lib.rand(5) * x.exp(), x)
    z.sum().backward()
    return bool((lib.rand(3) == after).all()), bool((y == z).all())


@scenario
def contexts_of_the_two_runs(lib: Any) -> Any:
    entered = []

    @contextmanager
    def noting(what: str) -> Iterator[None]:
        entered.append(what)
        yield

    x = leaf(lib)
    y = kept(lib, Counted(), x, context_fn=lambda: (noting("first"), noting("again")))
    entered.append("backward")
    y.sum().backward()
    return entered


@scenario
def saved_tensors_read_twice_in_one_backward_are_refused(lib: Any) -> Any:
    class Cube(lib.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * ctx.saved_tensors[0] * ctx.saved_tensors[0] * 3

    kept(lib, Cube.apply, leaf(lib)).sum().backward()


@scenario
def debug_refuses_reentrance_and_contexts_of_one_s_own(lib: Any) -> Any:
    found = []
    for way, more in ((reentrant, {}), (kept, {"context_fn": lambda: None})):
        try:
            way(lib, Counted(), leaf(lib), debug=True, **more)
        except ValueError:
            found.append("refused")
    return found


@scenario
def the_context_manager_decides_about_debug_first(lib: Any) -> Any:
    x, stated = leaf(lib), lib.utils.checkpoint.set_checkpoint_debug_enabled
    found = []
    for said, debug in ((False, True), (None, True), (None, False), (True, False)):
        try:  # debug refuses contexts of one's own
            with stated(not debug), stated(said):
                kept(lib, Counted(), x, debug=debug, context_fn=lambda: (nullcontext(),) * 2)
            found.append("ran")
        except ValueError:
            found.append("refused")
    return found


@scenario
def a_sequence_refuses_unknown_keywords(lib: Any) -> Any:
    sequential = lib.utils.checkpoint.checkpoint_sequential
    return sequential([lib.sin], 1, leaf(lib), use_reentrant=False, odd=1)


@scenario
def a_sequence_refuses_more_segments_than_steps(lib: Any) -> Any:
    sequential = lib.utils.checkpoint.checkpoint_sequential
    return sequential([lib.sin], 3, leaf(lib), use_reentrant=False)


@scenario.each()
def test_a_misused_checkpoint_behaves_as_in_torch(engine: Any, scenario: Any) -> None:
    assert_alike(scenario, engine)


def test_debug_says_what_both_runs_saved_and_where(engine: Any) -> None:
    f = Changing(lambda x: x.sin().exp(), lambda x: x.exp())
    y = kept(engine, f, leaf(engine), debug=True)
    with pytest.raises(engine.utils.checkpoint.CheckpointError) as caught:
        y.sum().backward()
    said, *lines = str(caught.value).splitlines()
    assert "2 values were saved at first, then 1" in said
    assert [line.split(" ")[0] for line in lines] == ["saved", "([3],", "([3],", "saved", "([3],"]
    assert lines[1].rpartition(":")[0].endswith("test_checkpoint_misuse.py")
