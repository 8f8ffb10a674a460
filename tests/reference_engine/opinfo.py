"""PyTorch's own samples of its operations, run through both libraries.

``python -m tests.reference_engine.opinfo [REGEX]`` prints the counts: names, samples, agreements,
and every disagreement. How much two results may differ is derived in ``rounding``.
"""

from __future__ import annotations

import random
import re
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import count
from typing import Any

import numpy as np
import torch

import reference_engine
from reference_engine.ops.call import function_of
from reference_engine.ops.table import ALIASES, TABLE
from tests.reference_engine.drawing import same_draws
from tests.reference_engine.formulations import FORMULATIONS, FORWARD_FINDINGS, UNDEFINED
from tests.reference_engine.opinfo_calls import CALLS
from tests.reference_engine.rounding import (
    PerturbingTorch,
    Results,
    differences,
    nudged,
    perturbing,
)

DEVICES = ("cpu", "torch")
#: the key of tangents by forward mode
FORWARD = "jvp1"
KINDS = (torch.float64, torch.complex128)
#: values that are drawn at random: nothing to compare element by element
RANDOM = frozenset(
    "bernoulli normal nn.functional.alpha_dropout nn.functional.feature_alpha_dropout "
    "nn.functional.rrelu nn.functional.multi_head_attention_forward svd_lowrank pca_lowrank".split()
)
#: these draw too, but as the reference engine does: both get the same numbers
DRAWING = frozenset(
    "nn.functional.dropout nn.functional.dropout2d nn.functional.dropout3d "
    "nn.functional.scaled_dot_product_attention".split()
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
#: reads memory beyond its input, where there is no tangent
BEYOND = "as_strided.partial_views"
#: names whose function takes tensors in more ways as a method
METHODS = frozenset(
    "view view_as expand expand_as repeat unfold index_put reshape new_zeros to".split()
)


@cache
def entries() -> dict[str, Any]:
    """The database's entries whose operation the table has, by name and variant."""
    from torch.testing._internal.common_methods_invocations import op_db

    found = {}
    for entry in op_db:
        covered = entry.supports_autograd and ours(entry.name) is not None
        # a variant for another device has no samples here
        here = entry.supported_backward_dtypes("cpu") and entry.variant_test_name != "without_cudnn"
        if covered and here and entry.name not in RANDOM:
            found[title(entry)] = entry
    return found


def title(entry: Any) -> str:
    """An entry's name and variant."""
    return ".".join(n for n in (entry.name, entry.variant_test_name) if n)


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
    torch.manual_seed(0)  # the database draws its samples
    random.seed(0)
    return list(entry.sample_inputs("cpu", kind, requires_grad=True))


def converted(v: Any, device: str) -> Any:
    """A sample's argument for the reference engine."""
    if isinstance(v, torch.Tensor):
        if v.storage_offset():  # as_strided looks beyond its input
            whole = torch.as_strided(
                v.detach(), (v.untyped_storage().size() // v.element_size(),), (1,), 0
            )
            base = reference_engine.tensor(numbers(whole), device=device)
            view = base.as_strided(tuple(v.shape), v.stride(), v.storage_offset())
            return view.detach().requires_grad_(v.requires_grad)
        array = reference_engine.tensor(numbers(v), device=device)
        kind = getattr(reference_engine, str(v.dtype)[6:])
        return array.to(kind).requires_grad_(v.requires_grad)
    if isinstance(v, (list, tuple, dict)):
        return inside(v, lambda x: converted(x, device))
    if isinstance(v, (torch.dtype, torch.memory_format)):
        return getattr(reference_engine, str(v).split(".")[1])
    if v is torch.nn.functional.pairwise_distance or isinstance(v, torch.nn.PairwiseDistance):
        return reference_engine.nn.functional.pairwise_distance
    return device if isinstance(v, torch.device) or v == "cpu" else v


def leaves(v: Any) -> Any:
    """Arguments without what the database made them of: a leaf of its own for a view of a leaf."""
    if isinstance(v, torch.Tensor):
        alone = not v.is_leaf or not v.requires_grad or not v._is_view()
        return v if alone else v.detach().requires_grad_()
    return inside(v, leaves)


def perturbed(v: Any, draw: int) -> Any:
    """A sample's argument with every floating element moved, see ``rounding.nudged``."""
    if isinstance(v, torch.Tensor):
        if not v.dtype.is_floating_point and not v.dtype.is_complex:
            return v
        moved = torch.empty_like(v).detach().copy_(torch.from_numpy(nudged(numbers(v), draw)))
        return moved.requires_grad_(v.requires_grad)
    return inside(v, lambda x: perturbed(x, draw))


def inside(v: Any, change: Callable[[Any], Any]) -> Any:
    """Nested arguments with every one of them changed."""
    if isinstance(v, dict):
        return {k: change(x) for k, x in v.items()}
    return type(v)(change(x) for x in v) if type(v) in (list, tuple) else v


def tensors(v: Any) -> Iterator[Any]:
    """The tensors in nested arguments or results."""
    if hasattr(v, "requires_grad") and hasattr(v, "detach"):
        yield v
    elif isinstance(v, (dict, list, tuple)):
        for x in v.values() if isinstance(v, dict) else v:
            yield from tensors(x)


def numbers(x: Any) -> Any:
    """A tensor's values as a NumPy array of its own, bfloat16 as float32."""
    x = x.detach().cpu()
    if str(x.dtype).endswith("bfloat16"):
        x = x.float()
    if isinstance(x, torch.Tensor):
        return np.array(x.resolve_conj().resolve_neg().numpy(force=True))
    return np.array(x.numpy())


@dataclass
class Call:
    """One operation of one library on one sample; ``draw`` perturbs cotangents and tangents."""

    library: Any
    device: str
    function: Callable[..., Any]
    args: Sequence[Any]
    kwargs: dict[str, Any]
    #: makes what depends on no choice of sign, phase or kernel out of the outputs
    process: Callable[..., Any]
    second: bool
    forward: bool
    draw: int | None = None

    def results(self) -> Results:
        """For each output: value, vjp, jvp by transposing the vjp (``jvp0``) and by forward mode
        (``jvp1``, where there is one), and double backward.
        """
        xs = [x for x in tensors([self.args, self.kwargs]) if x.requires_grad]
        outs = list(tensors(self.process(self.function(*self.args, **self.kwargs))))
        found = [self._derivatives(out, xs, i) for i, out in enumerate(outs)]
        pushed = self._pushed() if self.forward else []
        for results, out, tangent in zip(found, outs, pushed, strict=False):
            if "vjp0" in results:  # an undefined tangent is a tangent of zero
                zero = np.zeros_like(numbers(out))
                results[FORWARD] = zero if tangent is None else numbers(tangent)
        return found

    def _pushed(self) -> list[Any]:
        """The tangents of the outputs by forward mode; nothing where the library has no rule."""
        mode, places = self.library.autograd.forward_ad, count()

        def dual(x: Any) -> Any:
            if not isinstance(x, self.library.Tensor):
                return inside(x, dual)
            if not x.requires_grad:
                return x
            return mode.make_dual(x.detach(), self._direction(x, 100 + next(places)))

        with mode.dual_level():
            try:
                outs = self.process(self.function(*dual(list(self.args)), **dual(self.kwargs)))
            except NotImplementedError:
                if self.library is torch:
                    return []
                raise
            return [mode.unpack_dual(y).tangent for y in tensors(outs)]

    def _direction(self, like: Any, seed: int) -> Any:
        """A fixed cotangent or tangent for a tensor, in its dtype."""
        rng = np.random.default_rng(seed)
        v = np.asarray(rng.uniform(-1, 1, tuple(like.shape)))
        if like.dtype.is_complex:
            v = v + 1j * rng.uniform(-1, 1, v.shape)
        return self.library.tensor(nudged(v, self.draw), device=self.device).to(like.dtype)

    def _derivatives(self, out: Any, xs: list[Any], seed: int) -> dict[str, Any]:
        found = {"value": numbers(out)}
        if not out.requires_grad or found["value"].dtype.kind not in "fc":
            return found
        grad = self.library.autograd.grad
        v = self._direction(out, seed).requires_grad_()
        first = grad(out, xs, v, allow_unused=True, create_graph=self.second, retain_graph=True)
        self._record(found, "vjp", first, xs)
        onward = [(i, g) for i, g in enumerate(first) if g is not None and g.requires_grad]
        if not self.second or not onward:
            return found
        ts = [self._direction(g, 100 + i) for i, g in onward]
        gs, further = [g for _, g in onward], self.draw is not None
        then = grad(gs, [v, *xs], ts, allow_unused=True, retain_graph=True, create_graph=further)
        self._record(found, "jvp", then[:1], [v])  # along the tangents of ``_pushed``
        self._record(found, "second", then[1:], xs)
        return found

    def _record(self, found: dict[str, Any], key: str, gs: Sequence[Any], xs: list[Any]) -> None:
        for i, (g, x) in enumerate(zip(gs, xs, strict=True)):
            # an undefined gradient is a gradient of zero
            found[f"{key}{i}"] = numbers(x) * 0 if g is None else numbers(g)


@dataclass
class Sample:
    """One sample of an entry, and what torch computes of it."""

    entry: Any
    #: torch's function, or another formulation of it
    function: Callable[..., Any]
    args: Sequence[Any]
    kwargs: dict[str, Any]
    process: Callable[..., Any]
    second: bool

    def torch(self, draw: int | None = None) -> Results:
        """torch's results, the inputs perturbed by a draw."""
        run, args, kwargs = self.function, self.args, self.kwargs
        if draw is None:
            return self._call(torch, "cpu", run, args, kwargs, None)
        args, kwargs = perturbed(args, draw), perturbed(kwargs, draw)
        with PerturbingTorch(draw):
            return self._call(torch, "cpu", run, args, kwargs, draw)

    def ours(self, device: str, draw: int | None = None) -> Results:
        """The reference engine's results on one of its backends, every operation perturbed."""
        function = CALLS.get(title(self.entry)) or ours(self.entry.name)
        assert function is not None
        args, kwargs = converted(self.args, device), converted(self.kwargs, device)
        with nullcontext() if draw is None else perturbing(draw):
            return self._call(reference_engine, device, function, args, kwargs, draw)

    def _call(self, library: Any, device: str, function: Any, args: Any, kwargs: Any,
              draw: int | None) -> Results:  # fmt: skip
        process, wrapper = self.process, self.entry.gradcheck_wrapper
        if wrapper.__name__ == "gradcheck_wrapper_hermitian_input":
            function = partial(wrapper, function)
        forward = title(self.entry) != BEYOND
        call = Call(library, device, function, args, kwargs, process, self.second, forward, draw)
        with same_draws() if self.entry.name in DRAWING else nullcontext():
            return call.results()


def of_torch(sample: Sample) -> Results:
    """torch's results; to first order for a kernel that torch has no double backward of."""
    try:
        return sample.torch()
    except RuntimeError as error:
        missing = "is not implemented" in str(error) or "got None" in str(error)
        missing = missing or "functions with out=... arguments" in str(error)
        if not sample.second or not missing:
            raise
        sample.second = False
        return sample.torch()


@dataclass
class Outcome:
    """What came of an entry's samples: each was compared on each of ``devices``."""

    samples: int = 0
    #: samples of which torch has tangents by forward mode
    forward: int = 0
    #: finding → comparisons in which torch is wrong as it says, and the engine is not
    findings: Counter[str] = field(default_factory=Counter)
    #: what else disagrees
    disagreements: list[str] = field(default_factory=list)


def check(name: str, devices: Sequence[str] = DEVICES) -> Outcome:
    """Compares an entry's samples on backends of the engine."""
    entry, outcome = entries()[name], Outcome()
    finding, formulation = FORMULATIONS.get(name, ("", entry.op))
    for kind in KINDS:
        for number, one in enumerate(samples(entry, kind)):
            args, kwargs = leaves((one.input, *one.args)), leaves(one.kwargs)
            rest = args, kwargs, one.output_process_fn_grad, entry.supports_gradgrad
            sample, other = Sample(entry, entry.op, *rest), Sample(entry, formulation, *rest)
            expected = of_torch(sample)
            outcome.samples += 1
            outcome.forward += any(FORWARD in results for results in expected)
            for device in devices:
                place = f"{name} {str(kind)[6:]} sample {number} on {device}"
                place += f" {described(sample.args, sample.kwargs)}"
                try:
                    got = sample.ours(device)
                except Exception as error:  # noqa: BLE001  (reported with its sample)
                    outcome.disagreements.append(f"{place}: {type(error).__name__}: {error}")
                    continue
                for results in (*got, *expected):
                    results.pop(UNDEFINED.get(name), None)
                if name in FORWARD_FINDINGS:
                    outcome.findings[FORWARD_FINDINGS[name]] += _parts_forward(got, expected)
                    expected = [{k: v for k, v in r.items() if k != FORWARD} for r in expected]
                texts = _compared(sample, got, expected)
                if texts and finding:
                    texts = _compared(other, got, of_torch(other))
                    outcome.findings[finding] += not texts
                outcome.disagreements += [f"{place}: {text}" for text in texts]
    return outcome


def _parts_forward(got: Results, expected: Results) -> bool:
    """Whether torch's tangents by forward mode are others than ours."""
    both = [(g[FORWARD], e[FORWARD]) for g, e in zip(got, expected, strict=False) if FORWARD in e]
    return not all(np.allclose(g, e, rtol=1e-9, atol=1e-12, equal_nan=True) for g, e in both)


def _compared(sample: Sample, got: Results, expected: Results) -> list[str]:
    for mine, theirs in zip(got, expected, strict=False):
        if FORWARD in mine and FORWARD not in theirs:  # torch's other way to the same
            theirs[FORWARD] = theirs.get("jvp0", mine[FORWARD])
    inputs = [numbers(x) for x in tensors([sample.args, sample.kwargs])]
    again = (sample.torch, lambda draw: sample.ours("cpu", draw))
    return list(differences(got, expected, inputs, again))


def described(*values: Any) -> str:
    """Arguments, tensors by their shapes."""
    return re.sub(r"tensor\(.*?\)(?=[,\])}])", "tensor", str([_short(v) for v in values]))[:160]


def _short(v: Any) -> Any:
    return tuple(v.shape) if isinstance(v, torch.Tensor) else inside(v, _short)


def main(pattern: str = ".") -> None:
    """Prints the disagreements and counts of the entries whose names match."""
    warnings.simplefilter("ignore")
    torch.set_default_dtype(torch.float64)
    reference_engine.set_default_dtype(reference_engine.float64)
    chosen = [n for n in entries() if re.search(pattern, n)]
    total, recorded, bad = 0, Counter[str](), 0
    for name in chosen:
        outcome = check(name)
        total, recorded = total + outcome.samples, recorded + outcome.findings
        bad += len({text.split(": ")[0] for text in outcome.disagreements})
        for text in outcome.disagreements[:6]:
            print(text[:300], flush=True)
    distinct = len({entries()[n].name for n in chosen})
    print(f"{distinct} names, {total} samples, each on {' and '.join(DEVICES)}: ", end="")
    print(f"{len(DEVICES) * total - sum(recorded.values()) - bad} agree, {bad} do not", end="")
    print("".join(f", {n} by {finding}" for finding, n in sorted(recorded.items())))


if __name__ == "__main__":
    main(*sys.argv[1:])
