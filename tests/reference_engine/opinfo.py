"""PyTorch's own samples of its operations, run through both libraries.

``python -m tests.reference_engine.opinfo [REGEX]`` prints the counts: names, samples, agreements,
and every disagreement.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch

import reference_engine
from reference_engine.ops.call import function_of
from reference_engine.ops.table import ALIASES, TABLE

KINDS = (torch.float64, torch.complex128)
EPS = 2.0**-52
#: relative size of the perturbation that measures how much a result amplifies rounding
STEP = 2.0**-30
#: steps that may each round, and what libraries promise of special functions
ROUNDING = 2048 * EPS
#: values that are drawn at random or left uninitialised: nothing to compare element by element
RANDOM = frozenset(
    "bernoulli normal nn.functional.dropout nn.functional.dropout2d nn.functional.dropout3d "
    "nn.functional.alpha_dropout nn.functional.feature_alpha_dropout".split()
)
#: the database calls these through functions of its own, with arguments in another order
ADAPTED: dict[str, Callable[..., Any]] = {
    "where": lambda x, condition, other: reference_engine.where(condition, x, other),
    "nn.functional.embedding": lambda w, i, **k: reference_engine.nn.functional.embedding(
        i, w, **k
    ),
    "einsum": lambda xs, equation: reference_engine.einsum(equation, xs),
    "__getitem__": lambda x, index: x[index],
    "zero_": lambda x: x.clone().zero_(),
}
#: results that are determined up to a sign or a phase are compared by magnitude
UP_TO_PHASE = frozenset("linalg.eigh linalg.svd svd linalg.eig".split())
#: names whose function takes tensors in more ways as a method
METHODS = frozenset(
    "view view_as expand expand_as repeat unfold index_put reshape new_zeros to".split()
)

Results = list[dict[str, Any]]


@cache
def entries() -> dict[str, Any]:
    """The database's entries whose operation the table has, by name and variant."""
    from torch.testing._internal.common_methods_invocations import op_db

    found = {}
    for entry in op_db:
        covered = entry.supports_autograd and ours(entry.name) is not None
        if covered and entry.name not in RANDOM:
            found[".".join(n for n in (entry.name, entry.variant_test_name) if n)] = entry
    return found


def ours(name: str) -> Callable[..., Any] | None:
    """The reference engine's function of a name; None where it has none."""
    if name in ADAPTED:
        return ADAPTED[name]
    row = TABLE.get(name) or TABLE.get(ALIASES.get(name, ""))
    if row is None or name in METHODS:
        return getattr(reference_engine.Tensor, name, None)
    return function_of(row)


def samples(entry: Any, kind: torch.dtype) -> list[Any]:
    """The samples of an entry in a dtype in which torch differentiates it."""
    if kind not in entry.supported_backward_dtypes("cpu"):
        return []
    return list(entry.sample_inputs("cpu", kind, requires_grad=True))


def converted(v: Any, device: str) -> Any:
    """A sample's argument for the reference engine."""
    if isinstance(v, torch.Tensor):
        array = v.detach().resolve_conj().resolve_neg().numpy().copy()
        return reference_engine.tensor(array, device=device).requires_grad_(v.requires_grad)
    if isinstance(v, (list, tuple)):
        made = [converted(x, device) for x in v]
        return made if isinstance(v, list) else tuple(made)
    if isinstance(v, dict):
        return {k: converted(x, device) for k, x in v.items()}
    if isinstance(v, torch.dtype):
        return getattr(reference_engine, str(v).split(".")[1])
    return device if isinstance(v, torch.device) else v


def perturbed(v: Any) -> Any:
    """A sample's argument with every floating element moved by a few ``STEP`` of its size."""
    if isinstance(v, torch.Tensor):
        if not v.dtype.is_floating_point and not v.dtype.is_complex:
            return v
        noise = np.random.default_rng(3).choice([-1.0, 1.0], tuple(v.shape))
        moved = v.detach() * (1 + STEP * torch.as_tensor(noise).to(v.real.dtype))
        return moved.requires_grad_(v.requires_grad)
    if isinstance(v, (list, tuple)):
        made = [perturbed(x) for x in v]
        return made if isinstance(v, list) else tuple(made)
    return {k: perturbed(x) for k, x in v.items()} if isinstance(v, dict) else v


def tensors(v: Any) -> Iterator[Any]:
    """The tensors in nested arguments or results."""
    if hasattr(v, "requires_grad") and hasattr(v, "detach"):
        yield v
    elif isinstance(v, dict):
        for x in v.values():
            yield from tensors(x)
    elif isinstance(v, (list, tuple)):
        for x in v:
            yield from tensors(x)


def numbers(x: Any) -> Any:
    x = x.detach()
    if isinstance(x, torch.Tensor):
        return np.array(x.resolve_conj().resolve_neg().numpy(force=True))
    return np.array(x.cpu().numpy())


def _direction(seed: int, shape: Sequence[int], is_complex: bool) -> Any:
    rng = np.random.default_rng(seed)
    v = rng.uniform(-1, 1, shape)
    return np.asarray(v + 1j * rng.uniform(-1, 1, shape) if is_complex else v)


@dataclass
class Call:
    """One operation of one library on one sample."""

    library: Any
    device: str
    function: Callable[..., Any]
    args: Sequence[Any]
    kwargs: dict[str, Any]
    by_magnitude: bool
    second: bool

    def results(self) -> Results:
        """For each output: value, vjp, jvp (by transposing the vjp) and double backward."""
        xs = [x for x in tensors([self.args, self.kwargs]) if x.requires_grad]
        outs = list(tensors(self.function(*self.args, **self.kwargs)))
        if self.by_magnitude:
            outs = [out.abs() for out in outs]
        return [self._derivatives(out, xs, i) for i, out in enumerate(outs)]

    def _made(self, array: Any) -> Any:
        return self.library.tensor(array, device=self.device)

    def _derivatives(self, out: Any, xs: list[Any], seed: int) -> dict[str, Any]:
        found = {"value": numbers(out)}
        if not out.requires_grad or found["value"].dtype.kind not in "fc":
            return found
        grad = self.library.autograd.grad
        v = self._made(_direction(seed, out.shape, found["value"].dtype.kind == "c"))
        v = v.to(out.dtype).requires_grad_()
        first = grad(out, xs, v, allow_unused=True, create_graph=self.second, retain_graph=True)
        self._record(found, "vjp", first, xs)
        onward = [(i, g) for i, g in enumerate(first) if g is not None and g.requires_grad]
        if not self.second or not onward:
            return found
        ts = [self._made(_direction(100 + i, g.shape, numbers(g).dtype.kind == "c")).to(g.dtype)
              for i, g in onward]  # fmt: skip
        then = grad([g for _, g in onward], [v, *xs], ts, allow_unused=True, retain_graph=True)
        self._record(found, "jvp", then[:1], [v])
        self._record(found, "second", then[1:], xs)
        return found

    def _record(self, found: dict[str, Any], key: str, gs: Sequence[Any], xs: list[Any]) -> None:
        for i, (g, x) in enumerate(zip(gs, xs, strict=True)):
            # an undefined gradient is a gradient of zero
            found[f"{key}{i}"] = np.zeros(tuple(x.shape)) if g is None else numbers(g)


def differences(got: Results, expected: Results, shaken: Callable[[], Results]) -> Iterator[str]:
    """What of a result disagrees with torch's beyond rounding.

    Rounding may enter with every step and is amplified as a perturbation of the inputs would be:
    2048 ε of the array's size (at least 1: cotangents are of that size), plus 2048 ε times the
    change per relative perturbation that torch itself shows (measured with ``STEP``), which may not
    exceed a relative 1e-7.
    """
    if len(got) != len(expected):
        yield f"{len(got)} outputs, torch has {len(expected)}"
        return
    moved: Results | None = None
    for n, (mine, theirs) in enumerate(zip(got, expected, strict=True)):
        for key, e in theirs.items():
            g = mine.get(key)
            if g is None:
                if np.any(e):
                    yield f"output {n}: no {key}, torch has one"
                continue
            if g.shape != e.shape or (key == "value" and g.dtype != e.dtype):
                yield f"output {n}, {key}: {g.dtype} {g.shape}, torch {e.dtype} {e.shape}"
                continue
            if key != "value":
                # where torch's derivative is not a number there is none to agree with
                g = np.where(np.isnan(e), e, g)
            if _within(g, e, ROUNDING * _size(e)):
                continue
            moved = moved or shaken()
            amplified = _change(moved[n][key], e) / STEP if key in moved[n] else 0.0
            size = _size(e)
            if not _within(g, e, min(ROUNDING * (size + amplified), 1e-7 * (1 + size))):
                yield f"output {n}, {key}: off by {_change(g, e):.3g} of {size:.3g}"


def _size(x: Any) -> float:
    finite = np.abs(x[np.isfinite(x)]) if x.dtype.kind in "fc" else np.abs(x.astype(float))
    return float(finite.max(initial=1.0))


def _change(a: Any, b: Any) -> float:
    same = a.shape == b.shape and np.isfinite(a) & np.isfinite(b)
    return float(np.abs((a - b)[same]).max(initial=0.0)) if np.any(same) else 0.0


def _within(got: Any, expected: Any, tolerance: float) -> bool:
    if got.dtype.kind not in "fc":
        return bool(np.array_equal(got, expected))
    return bool(np.allclose(got, expected, rtol=0, atol=max(tolerance, 1e-300), equal_nan=True))


def check(name: str, device: str) -> tuple[int, list[str]]:
    """(number of samples compared, disagreements) of an entry on one of the engine's backends."""
    entry, found, count = entries()[name], [], 0
    function = ours(entry.name)
    assert function is not None
    phase = entry.name in UP_TO_PHASE
    for kind in KINDS:
        for number, sample in enumerate(samples(entry, kind)):
            args, kwargs = (sample.input, *sample.args), sample.kwargs
            second = entry.supports_gradgrad

            def torch_on(args: Any, kwargs: Any, second: bool = second) -> Results:
                try:
                    return Call(torch, "cpu", entry.op, args, kwargs, phase, second).results()
                except RuntimeError as error:
                    # some kernels that torch chooses have no double backward
                    if not second or "is not implemented" not in str(error):
                        raise
                    return Call(torch, "cpu", entry.op, args, kwargs, phase, False).results()

            expected = torch_on(args, kwargs)
            count += 1
            place = f"{name} {str(kind)[6:]} sample {number} {described(args, kwargs)}"
            mine = converted(args, device), converted(kwargs, device)
            try:
                got = Call(reference_engine, device, function, *mine, phase, second).results()
            except Exception as error:  # noqa: BLE001  (reported with its sample)
                found.append(f"{place}: {type(error).__name__}: {error}")
                continue
            found += [f"{place}: {text}" for text in differences(
                got, expected, lambda a=args, k=kwargs: torch_on(perturbed(a), perturbed(k)))
                ]  # fmt: skip
    return count, found


def described(*values: Any) -> str:
    """Arguments, tensors by their shapes."""
    return re.sub(r"tensor\(.*?\)(?=[,\])}])", "tensor", str([_short(v) for v in values]))[:160]


def _short(v: Any) -> Any:
    if isinstance(v, torch.Tensor):
        return tuple(v.shape)
    if isinstance(v, (list, tuple)):
        return [_short(x) for x in v]
    return {k: _short(x) for k, x in v.items()} if isinstance(v, dict) else v


def main(pattern: str = ".") -> None:
    warnings.simplefilter("ignore")
    torch.set_default_dtype(torch.float64)
    reference_engine.set_default_dtype(reference_engine.float64)
    chosen = [n for n in entries() if re.search(pattern, n)]
    for device in ("cpu", "torch"):
        total, bad = 0, 0
        for name in chosen:
            count, found = check(name, device)
            total, bad = total + count, bad + len({f.split(": ")[0] for f in found})
            for text in found[:3]:
                print(device, text[:300])
        distinct = len({entries()[n].name for n in chosen})
        print(f"{device}: {distinct} names, {total} samples, {total - bad} agree")


if __name__ == "__main__":
    main(*sys.argv[1:])
