"""Refusals: an engine's answer to a step against an oracle's."""

from __future__ import annotations

import pytest

from conformance.compare.refusals import Answer, Debt, answer, debt
from conformance.observation import Event, Refusal

RAN = Event(0, "backward")
REFUSED = Event(0, "backward", refusal=Refusal("refused", "RuntimeError", "no"))
SKIPPED = Event(0, "backward", skipped=True)


def test_answers() -> None:
    assert [answer(e) for e in (RAN, REFUSED, SKIPPED)] == [
        Answer.RAN,
        Answer.REFUSED,
        Answer.SKIPPED,
    ]


@pytest.mark.parametrize(
    ("engine", "oracle", "owed"),
    [
        (RAN, RAN, Debt.SETTLED),
        (REFUSED, REFUSED, Debt.SETTLED),
        (REFUSED, RAN, Debt.UNEXPECTED),
        (RAN, REFUSED, Debt.UNPROMISED),
        (SKIPPED, RAN, Debt.UNKNOWN),
        (REFUSED, SKIPPED, Debt.UNKNOWN),
    ],
)
def test_debts(engine: Event, oracle: Event, owed: Debt) -> None:
    assert debt(engine, oracle) is owed
