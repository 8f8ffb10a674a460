"""Engines that run in a process of their own: whole programs go there, observations come back."""

from __future__ import annotations

from typing import Literal

from conformance.adapters.base import Engine
from conformance.observation import Observation
from conformance.program import Program


class EngineLost(BaseException):
    """The process of an engine ended, fell silent, or answered with what is no answer.

    It is a `BaseException`, as it stands for the end of a process: nothing on its way may take it
    for a refusal or for a failing example. how: `crashed` or `timed-out`; program: what was run.
    """

    def __init__(
        self, how: Literal["crashed", "timed-out"], detail: str, program: Program | None = None
    ) -> None:
        super().__init__(detail)
        self.how: Literal["crashed", "timed-out"] = how
        self.detail, self.program = detail, program


class RemoteEngine(Engine):
    """An engine that is given whole programs, and whose tensors never come here.

    It has no method per operation; `conformance.execute.execute` calls `run_program`.
    """

    def run_program(self, program: Program, dtype: str) -> Observation:
        """Run the program where the engine is. Raises `EngineLost` where nothing came back."""
        raise NotImplementedError(f"{type(self).__name__} must define run_program(program, dtype)")
