"""All float64 samples of PyTorch's operator database: time beside torch's fast mode, accusations.

`python -m benchmarks.gradcheck.opinfo_sweep [EVERY [FROM]] [each]` takes every EVERY-th sample,
counted from FROM (default: 1 and 0, all of them). Each operation is a sweep: all questions are
asked of one sample of each circumstance, or of each sample with `each`.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import torch

from conformance import gradcheck
from conformance.gradient_check import Sweep
from conformance.gradient_check.probes.inputs import HUGE

CRASHES = {"lu_unpack", "nn_functional_pdist"}
"""Operations that end the process for an empty input (torch 2.13): asked about the formula only."""
DOCUMENTED = {
    "nn_functional_gaussian_nll_loss": "GaussianNLLLoss: autograd ignores the clamping of var",
    **dict.fromkeys(
        (f"nn_functional_max_unpool{n}d" for n in (1, 2, 3)),
        "MaxUnpool2d: may behave nondeterministically when indices repeat",
    ),
    **dict.fromkeys(
        ("normal", "normal_number_mean"),
        "torch.distributions: one cannot directly backpropagate through random samples",
    ),
    **dict.fromkeys(
        (f"nn_functional_linear_cross_entropy_chunked{end}" for end in ("", "_none")),
        "linear_cross_entropy: in chunks, forward mode and higher order are unsupported",
    ),
    "ormqr": "ormqr: of Householder reflectors, which undo themselves; others lose digits",
}
"""Operations whose documentation says that their gradient is not that of their values."""
RECORDED = {
    "as_strided_scatter": "torch-10", "cholesky_inverse": "torch-31", "logcumsumexp": "torch-54",
    "masked_std": "torch-63", "native_group_norm": "torch-33",
    "nn_functional_cosine_similarity": "torch-34", "nn_functional_hardsigmoid": "torch-1",
    "nn_functional_nll_loss": "torch-38",
    "nn_functional_pixel_shuffle": "torch-55", "nn_functional_pixel_unshuffle": "torch-55",
    "scatter_reduce_prod": "torch-32", "special_log_ndtr": "torch-62",
}  # fmt: skip
"""Operations with a finding, by its number in docs/findings.md."""
ERRORS = (RuntimeError, TypeError, ValueError, AttributeError, NotImplementedError, IndexError)


def samples(every: int, offset: int = 0) -> Iterator[tuple[str, Any, tuple[torch.Tensor, ...]]]:
    """Yield name, a function of the differentiable tensors only, and these."""
    from torch.testing._internal.common_methods_invocations import op_db
    from torch.utils._pytree import tree_flatten, tree_unflatten

    count = 0
    for op in op_db:
        if not op.supports_autograd or torch.float64 not in op.dtypes:
            continue
        try:
            found = list(op.sample_inputs("cpu", torch.float64, requires_grad=True))
        except ERRORS:
            continue
        for sample in found:
            count += 1
            if count % every != offset:
                continue
            flat, spec = tree_flatten((sample.input, sample.args, sample.kwargs))
            places = [
                i for i, x in enumerate(flat)
                if isinstance(x, torch.Tensor)
            ]  # fmt: skip
            if not any(flat[i].requires_grad and flat[i].layout == torch.strided for i in places):
                continue

            def function(*tensors: Any, flat: Any = flat, spec: Any = spec, op: Any = op,
                         places: Any = places, sample: Any = sample) -> Any:  # fmt: skip
                values = list(flat)
                for place, tensor in zip(places, tensors, strict=True):
                    values[place] = tensor
                first, args, kwargs = tree_unflatten(values, spec)
                wrapped = op.gradcheck_wrapper or (lambda f, *a, **k: f(*a, **k))
                return sample.output_process_fn_grad(wrapped(op.op, first, *args, **kwargs))

            yield op.formatted_name, function, tuple(flat[i] for i in places)


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    numbers = [int(word) for word in sys.argv[1:3] if word.isdigit()]
    every, offset = (*numbers, *(1, 0)[len(numbers) :])
    sweeps: dict[str, Sweep] = {}
    tally = Tally()
    for name, function, inputs in samples(every, offset):
        print(name, file=sys.stderr, flush=True)
        if name not in sweeps or "each" in sys.argv:
            huge = 2.0**7 if "polygamma" in name else HUGE
            sweeps[name] = Sweep(probes=name not in CRASHES, huge=huge)
        tally.add(name, function, inputs, sweeps[name])
    tally.show()
    print(f"{sum(s.circumstances for s in sweeps.values())} samples were asked everything")


class Tally:
    """Verdicts, and the time that they took, ours and those of torch's fast mode."""

    def __init__(self) -> None:
        self.verdicts: Counter[str] = Counter()
        self.disagree: Counter[str] = Counter()
        self.failed: dict[str, list[str]] = {}
        self.doubted: dict[str, list[str]] = {}
        self.spent = {"ours, swept": 0.0, "ours, formula only": 0.0, "torch fast": 0.0}

    def add(self, name: str, function: Any, inputs: tuple[torch.Tensor, ...], sweep: Sweep) -> None:
        """Check one sample."""
        torch.manual_seed(0)
        start = time.process_time()
        try:
            result = sweep.check(function, inputs)
            verdict, reason = str(result.verdict), result.reason
        except ERRORS as error:
            verdict, reason = f"raises {type(error).__name__}", str(error).split("\n")[0]
        self.spent["ours, swept"] += time.process_time() - start
        start = time.process_time()
        with suppress(ERRORS):
            gradcheck(function, inputs, probes=False)
        self.spent["ours, formula only"] += time.process_time() - start
        start = time.process_time()
        try:
            passed = torch.autograd.gradcheck(
                function, inputs, fast_mode=True, raise_exception=False, nondet_tol=1e-9
            )
        except ERRORS:
            passed = False
        self.spent["torch fast"] += time.process_time() - start
        if verdict == "fail" and name in DOCUMENTED:
            verdict = "fail, as documented"
        elif verdict == "fail" and name in RECORDED:
            verdict = "fail, as recorded"
        self.verdicts[verdict] += 1
        self.disagree[f"{verdict}, torch fast {'passes' if passed else 'fails'}"] += 1
        if verdict == "inconclusive":
            self.doubted.setdefault(name, []).append(reason)
        elif verdict != "pass":
            self.failed.setdefault(name, []).append(reason)
            if name not in RECORDED and name not in DOCUMENTED:
                print(f"unexplained: {name}: {reason[:300]}", flush=True)

    def show(self) -> None:
        """Print the counts, and one reason for each operation that did not pass."""
        print(f"{sum(self.verdicts.values())} samples: {dict(self.verdicts)}")
        spent = {key: round(value, 1) for key, value in self.spent.items()}
        print(spent, "seconds of the processor")
        print(dict(self.disagree))
        for title, found in (("not passed", self.failed), ("inconclusive", self.doubted)):
            print(f"{title}: {len(found)} operations")
            for name, reasons in found.items():
                why = RECORDED.get(name) or DOCUMENTED.get(name) or "unexplained"
                note = f" [{why}]" if found is self.failed else ""
                print(f"  {name} ({len(reasons)}){note}: {reasons[0][:200]}")


if __name__ == "__main__":
    main()
