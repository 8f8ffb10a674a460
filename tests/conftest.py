"""How pytest-xdist hands the tests out."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Idle workers take tests from busy ones: the slow tests stand together, in a few files."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)
