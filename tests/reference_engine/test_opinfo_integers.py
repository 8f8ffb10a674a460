"""Every covered operation on integers and bools: PyTorch's samples with their floating numbers
rounded, on both backends. Refused where PyTorch refuses, else the same values and dtypes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from tests.reference_engine.opinfo import converted, entries, inside, numbers, ours, tensors, title
from tests.reference_engine.opinfo_calls import CALLS
from tests.reference_engine.test_opinfo import tenth

pytestmark = [
    pytest.mark.opinfo,
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]
KINDS = (torch.int64, torch.int32, torch.bool)
#: what PyTorch makes of integers in an operation that is not worth imitating
_NO_INT32 = "torch has a kernel for int64 and none for int32"
_BOOLS = "torch has no kernel for bools, which are moved around like any number"
_EITHER = "torch takes bools, or not, by how many bounds, dimensions or masks are given"
_EQUAL = "which one of several equal elements is found is not defined"
DIFFERENT: dict[str, str] = {
    **dict.fromkeys(
        ["nn.functional.conv3d", *(f"nn.functional.conv_transpose{n}d" for n in (1, 2, 3)),
         *(f"nn.functional.avg_pool{n}d" for n in (1, 2, 3)), "nn.functional.local_response_norm"],
        _NO_INT32,
    ),
    **dict.fromkeys(
        [*(f"nn.functional.pad.{mode}" for mode in ("reflect", "replicate", "replicate_negative")),
         "scatter_reduce.mean"], _BOOLS),
    **dict.fromkeys(
        ["clamp", "einsum", "tensordot", "masked.amax", "masked.amin", "masked.median",
         *(f"index_reduce.{how}" for how in ("amax", "amin", "prod", "mean"))], _EITHER),
    **dict.fromkeys(["kthvalue", "topk"], _EQUAL),
    "cov": "torch refuses weights of integers",
    "addr": "torch refuses a fractional beta here, and rounds it down in addmm and its like",
    "masked.logsumexp": "torch gives a logarithm in the integers' dtype",
    "masked.mean": "torch raises ValueError here and RuntimeError in mean",
    "nn.functional.hinge_embedding_loss": "torch computes a loss in integers, its margin rounded",
    "nn.functional.embedding": "the engine has no max_norm, which writes into the weights",
    "nn.functional.max_pool1d": "torch takes integers where indices are asked for only",
    "nn.functional.unfold": "torch takes bools and no integers",
    **{f"nn.functional.linear_cross_entropy.chunked{kind}": "torch raises ValueError for acc_dtype"
       for kind in ("", "_none")},
    **{f"polygamma.polygamma_n_{n}": "torch has huge numbers at poles" for n in range(5)},
    "special.polygamma.special_polygamma_n_0": "torch has huge numbers at poles",
    "round.decimals_0": "decimals that are asked for to be 0 are none",
    "__rpow__": "NumPy has no integers to negative powers, which torch makes 0",
}  # fmt: skip
NAMES = [n for n in entries() if n not in DIFFERENT and tenth(n)]


def rounded(v: Any, kind: torch.dtype) -> Any:
    """A sample's argument with floating tensors in an integral dtype."""
    if isinstance(v, torch.Tensor):
        if not v.is_floating_point():
            return v
        v = v.detach().nan_to_num(1, 2, -2)
        return v > 0 if kind is torch.bool else v.to(kind)
    return inside(v, lambda x: rounded(x, kind))


def samples(entry: Any) -> list[Any]:
    """Three samples without empty tensors."""
    torch.manual_seed(0)
    found = [
        s
        for s in entry.sample_inputs("cpu", torch.float64)
        if all(0 < x.numel() < 5000 for x in tensors([s.input, s.args, s.kwargs]))
    ]
    return [*found[:2], *found[len(found) // 2 : len(found) // 2 + 1]]


def outcome(run: Callable[[], Any]) -> list[Any] | type[Exception]:
    """The results, or what kind of exception is raised: NotImplementedError is a RuntimeError."""
    try:
        return [(str(y.dtype).split(".")[1], numbers(y)) for y in tensors(run())]
    except RuntimeError:
        return RuntimeError
    except (TypeError, ValueError, IndexError) as error:
        return type(error)


def disagreements(entry: Any) -> Iterator[str]:
    function = CALLS.get(title(entry)) or ours(entry.name)
    assert function is not None
    chosen = samples(entry)
    for kind in KINDS:
        for sample in chosen:
            args, kwargs = (rounded(v, kind) for v in ((sample.input, *sample.args), sample.kwargs))
            expected = outcome(lambda: entry.op(*args, **kwargs))  # noqa: B023
            for device in ("cpu", "torch"):
                mine = converted(args, device), converted(kwargs, device)
                got = outcome(lambda: function(*mine[0], **mine[1]))  # noqa: B023
                if not same(got, expected):
                    yield f"{kind} on {device}: {str(got)[:120]}, torch {str(expected)[:120]}"


def same(got: Any, expected: Any) -> bool:
    if isinstance(got, type) or isinstance(expected, type):
        return got is expected
    return len(got) == len(expected) and all(
        g[0] == e[0]
        and g[1].shape == e[1].shape
        and np.allclose(g[1], e[1], rtol=1e-5, atol=1e-6, equal_nan=True)
        for g, e in zip(got, expected, strict=True)
    )


@pytest.mark.parametrize("name", NAMES)
def test_integers_are_taken_or_refused_as_in_torch(name: str) -> None:
    found = list(disagreements(entries()[name]))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", [n for n in DIFFERENT if tenth(n)])
def test_what_differs_still_does(name: str) -> None:
    assert list(disagreements(entries()[name])), f"agrees with torch now: {DIFFERENT[name]}"
