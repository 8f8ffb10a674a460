"""Every covered operation on PyTorch's own samples: value, vjp, jvp and double backward, in
float64 and complex128, on both backends.

``pytest -n auto -m opinfo`` runs all of it; with ``OPINFO_TENTH=3`` in the environment, every tenth
entry: those whose names' checksums end in 3, so that a new entry moves no other.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from zlib import crc32

import pytest
import torch

import reference_engine
from conformance.defects import defects
from tests.reference_engine.formulations import FORMULATIONS, FORWARD_FINDINGS
from tests.reference_engine.formulations_of_layers import DOCUMENTED
from tests.reference_engine.opinfo import check, entries

pytestmark = pytest.mark.opinfo
TENTH = os.environ.get("OPINFO_TENTH")


def tenth(name: str) -> bool:
    """Whether an entry is among those to be run."""
    return TENTH is None or crc32(name.encode()) % 10 == int(TENTH)


NAMES = [n for n in entries() if tenth(n)]


@pytest.fixture(autouse=True)
def _in_float64() -> Iterator[None]:
    before = torch.get_default_dtype(), reference_engine.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    reference_engine.set_default_dtype(reference_engine.float64)
    yield
    torch.set_default_dtype(before[0])
    reference_engine.set_default_dtype(before[1])


# torch warns of deprecated spellings that its own samples use, and compiles its forward rules
# with a module that it deprecates
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", NAMES)
def test_samples_agree_with_torch(name: str, record_property: Any) -> None:
    outcome = check(name)
    record_property("samples", outcome.samples)
    record_property("forward", outcome.forward)
    record_property("findings", outcome.findings.total())
    assert outcome.samples, "torch has no sample in float64 or complex128"
    assert not outcome.disagreements, "\n".join(outcome.disagreements)
    # a recorded finding that torch no longer shows is to be deleted
    assert bool(outcome.findings) is (name in FORMULATIONS.keys() | FORWARD_FINDINGS.keys())


def test_formulations_belong_to_recorded_findings_or_to_what_is_documented() -> None:
    recorded = {defect.id for defect in defects()} | {*DOCUMENTED.values()}
    assert {finding for finding, _ in FORMULATIONS.values()} <= recorded
    assert {*FORWARD_FINDINGS.values()} <= recorded
    assert FORMULATIONS.keys() | FORWARD_FINDINGS.keys() <= entries().keys()
