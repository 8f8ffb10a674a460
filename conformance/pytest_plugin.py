"""The pytest plugin: `pytest --pyargs conformance.suite --autograd-engine E`.

It is loaded in every pytest run of the environment, so it imports nothing until an engine is named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conformance.gradient_check import GradientResult

SESSION = "autograd-conformance-session"
"""The name under which the active part of the plugin is registered."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("autograd-conformance", "conformance of autograd engines")
    group.addoption(
        "--autograd-engine",
        action="append",
        default=[],
        metavar="E",
        help="engine that conformance.suite tests; repeat for several",
    )
    group.addoption(
        "--conformance-profile",
        default="default",
        metavar="P",
        help="smoke, default or thorough: how many programs are generated",
    )
    group.addoption(
        "--conformance-select", default="*", metavar="GLOB", help="clause ids or themes to run"
    )
    group.addoption(
        "--conformance-seed", type=int, default=0, metavar="N", help="seed of all programs"
    )
    group.addoption(
        "--conformance-report",
        metavar="FILE.html",
        help="write the report there, and the ledger beside it as FILE.json",
    )
    group.addoption(
        "--conformance-xfails",
        metavar="FILE",
        help="clauses that may fail: a line each, an id or glob, maybe an engine, # and a reason",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the active part where an engine is named, or where the suite lacks one."""
    if config.getoption("autograd_engine") or "conformance.suite" in " ".join(config.args):
        from conformance.suite.session import Session

        config.pluginmanager.register(Session.of(config), SESSION)


@pytest.fixture
def assert_gradients(request: pytest.FixtureRequest) -> Any:
    """Return `conformance.assert_gradients`, its directions drawn from `--conformance-seed`."""

    def checked(fn: Any, inputs: Any, **options: Any) -> GradientResult:
        from conformance import assert_gradients as check

        options.setdefault("seed", request.config.getoption("conformance_seed"))
        return check(fn, inputs, **options)

    return checked
