"""no_grad, enable_grad, set_grad_enabled: as contexts, decorators and functions."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.reference_engine.behaviours.evidence import assert_values, counting, standing


@pytest.fixture(autouse=True)
def _modes_are_as_they_were(torch: Any) -> Iterator[None]:
    yield
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_no_grad_records_nothing_but_leaves_may_be_made_in_it(torch: Any) -> None:
    x = counting(torch, 2)
    with torch.no_grad():
        y = x * 2
        leaf = torch.ones(2, requires_grad=True)
    assert standing(y) == (False, True, False)
    assert standing(leaf) == (True, True, False)
    assert standing(y * x) == (True, False, True)


def test_enable_grad_records_inside_no_grad(torch: Any) -> None:
    x = counting(torch, 2)
    with torch.no_grad():
        with torch.enable_grad():
            y = x * 2
        z = y * 3
    assert y.requires_grad
    assert not z.requires_grad
    y.sum().backward()
    assert_values(x.grad, [2.0, 2.0])


def test_modes_nest_and_unwind_in_order(torch: Any) -> None:
    seen = [torch.is_grad_enabled()]
    with torch.no_grad():
        seen.append(torch.is_grad_enabled())
        with torch.set_grad_enabled(True), torch.no_grad():
            seen.append(torch.is_grad_enabled())
        seen.append(torch.is_grad_enabled())
    assert seen == [True, False, False, False]


def test_set_grad_enabled_acts_when_called_and_undoes_at_the_end_of_its_block(torch: Any) -> None:
    torch.set_grad_enabled(False)
    assert not torch.is_grad_enabled()
    with torch.set_grad_enabled(True):
        assert torch.is_grad_enabled()
    assert not torch.is_grad_enabled()
    torch.set_grad_enabled(True)


def test_an_exception_restores_the_mode_and_passes(torch: Any) -> None:
    for mode in (torch.no_grad, lambda: torch.set_grad_enabled(False), torch.inference_mode):
        with pytest.raises(KeyError), mode():
            raise KeyError("inside")
        assert torch.is_grad_enabled()


def test_one_mode_object_can_be_entered_again_also_within_itself(torch: Any) -> None:
    mode = torch.no_grad()
    for _ in range(2):
        with mode:
            assert not torch.is_grad_enabled()
        assert torch.is_grad_enabled()


def test_decorators_work_with_and_without_parentheses_and_keep_the_name(torch: Any) -> None:
    @torch.no_grad
    def plain(x: Any, *, by: float) -> Any:
        """Doubles."""
        return x * by

    @torch.no_grad()
    def called(x: Any) -> Any:
        return x * 2

    x = counting(torch, 2)
    assert not plain(x, by=2.0).requires_grad
    assert not called(x).requires_grad
    assert (plain.__name__, plain.__doc__) == ("plain", "Doubles.")


def test_a_decorated_function_may_call_itself_and_may_raise(torch: Any) -> None:
    @torch.no_grad()
    def down(n: int) -> bool:
        if not n:
            raise KeyError(torch.is_grad_enabled())
        return down(n - 1)

    with pytest.raises(KeyError, match="False"):
        down(3)


def test_set_grad_enabled_decorates_without_acting_at_once(torch: Any) -> None:
    @torch.set_grad_enabled(False)
    def work() -> bool:
        return bool(torch.is_grad_enabled())

    assert torch.is_grad_enabled()
    assert work() is False
    with torch.no_grad():
        assert torch.enable_grad()(torch.is_grad_enabled)()


def test_a_decorated_generator_holds_its_mode_only_while_it_runs(torch: Any) -> None:
    @torch.no_grad()
    def steps() -> Any:
        got = yield torch.is_grad_enabled()
        yield got, torch.is_grad_enabled()
        return "end"

    running = steps()
    assert next(running) is False
    assert torch.is_grad_enabled()
    assert running.send(7) == (7, False)
    with pytest.raises(StopIteration) as end:
        next(running)
    assert end.value.value == "end"


def test_what_the_caller_throws_reaches_a_decorated_generator_in_its_mode(torch: Any) -> None:
    seen = []

    @torch.no_grad()
    def steps() -> Any:
        try:
            yield 1
        except KeyError:
            seen.append(torch.is_grad_enabled())
        try:
            yield 2
        finally:
            seen.append(torch.is_grad_enabled())

    running = steps()
    next(running)
    assert running.throw(KeyError()) == 2
    running.close()
    assert seen == [False, False]
    assert torch.is_grad_enabled()


def test_a_generators_own_change_of_mode_does_not_leak(torch: Any) -> None:
    @torch.no_grad()
    def steps() -> Any:
        with torch.enable_grad():
            yield torch.is_grad_enabled()
        yield torch.is_grad_enabled()

    seen = []
    for inside in steps():
        seen.append((inside, torch.is_grad_enabled()))
    assert seen[0] == (True, True)
    assert seen[1][1]


def test_two_decorated_generators_interleave(torch: Any) -> None:
    @torch.no_grad()
    def off() -> Any:
        for _ in range(2):
            yield torch.is_grad_enabled()

    @torch.enable_grad()
    def on() -> Any:
        for _ in range(2):
            yield torch.is_grad_enabled()

    assert list(zip(off(), on(), strict=True)) == [(False, True), (False, True)]


def test_methods_can_be_decorated_one_by_one(torch: Any) -> None:
    class Model:
        @torch.no_grad()
        def predict(self, x: Any) -> Any:
            return x * 2

        @staticmethod
        @torch.no_grad()
        def fixed(x: Any) -> Any:
            return x * 3

    x = counting(torch, 2)
    assert not Model().predict(x).requires_grad
    assert not Model.fixed(x).requires_grad


def test_modes_belong_to_the_thread(torch: Any) -> None:
    seen = []
    with torch.no_grad():
        thread = threading.Thread(target=lambda: seen.append(torch.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_in_place_writes_to_leaves_are_allowed_and_unrecorded_in_no_grad(torch: Any) -> None:
    x = counting(torch, 2)
    with torch.no_grad():
        x -= 1.0
        x[0] = 5.0
        assert torch.neg(x).grad_fn is None
    assert standing(x) == (True, True, False)
    assert x._version == 2
    assert_values(x, [5.0, 1.0])


def test_a_coroutine_has_to_enter_the_mode_itself(torch: Any) -> None:
    async def work() -> bool:
        with torch.no_grad():
            await asyncio.sleep(0)
            return bool(torch.is_grad_enabled())

    assert asyncio.run(work()) is False
