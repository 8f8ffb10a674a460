"""All float64 samples of PyTorch's operator database: time beside torch's fast mode, accusations.

`python -m benchmarks.gradcheck.opinfo_sweep [EVERY [FROM]]` takes every EVERY-th sample, counted
from FROM (default: 1 and 0, all of them).
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
}
"""Operations whose documentation says that their gradient is not that of their values."""
RECORDED = {
    "as_strided_scatter": "torch-10", "cholesky_inverse": "torch-31", "logcumsumexp": "torch-54",
    "masked_std": "torch-63", "native_group_norm": "torch-33",
    "nn_functional_cosine_similarity": "torch-34", "nn_functional_hardsigmoid": "torch-1",
    "nn_functional_linear_cross_entropy_chunked": "torch-39",
    "nn_functional_linear_cross_entropy_chunked_none": "torch-39",
    "nn_functional_nll_loss": "torch-38",
    "nn_functional_pixel_shuffle": "torch-55", "nn_functional_pixel_unshuffle": "torch-55",
    "ormqr": "torch-37", "scatter_reduce_prod": "torch-32", "special_log_ndtr": "torch-62",
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
    every, offset = (*map(int, sys.argv[1:3]), *(1, 0)[len(sys.argv[1:3]) :])
    verdicts: Counter[str] = Counter()
    accused: dict[str, list[str]] = {}
    doubted: dict[str, list[str]] = {}
    spent = {"ours": 0.0, "ours, formula only": 0.0, "torch fast": 0.0}
    disagree: Counter[str] = Counter()
    for name, function, inputs in samples(every, offset):
        print(name, file=sys.stderr, flush=True)
        start = time.process_time()
        torch.manual_seed(0)
        try:
            result = gradcheck(function, inputs, probes=name not in CRASHES)
            verdict, reason = str(result.verdict), result.reason
        except ERRORS as error:
            verdict, reason = f"raises {type(error).__name__}", str(error).split("\n")[0]
        spent["ours"] += time.process_time() - start
        start = time.process_time()
        with suppress(ERRORS):
            gradcheck(function, inputs, probes=False)
        spent["ours, formula only"] += time.process_time() - start
        start = time.process_time()
        try:
            passed = torch.autograd.gradcheck(
                function, inputs, fast_mode=True, raise_exception=False, nondet_tol=1e-9
            )
        except ERRORS:
            passed = False
        spent["torch fast"] += time.process_time() - start
        if verdict == "fail" and name in DOCUMENTED:
            verdict = "fail, as documented"
        elif verdict == "fail" and name in RECORDED:
            verdict = "fail, as recorded"
        verdicts[verdict] += 1
        disagree[f"{verdict}, torch fast {'passes' if passed else 'fails'}"] += 1
        if verdict not in ("pass", "inconclusive"):
            accused.setdefault(name, []).append(reason)
        elif verdict == "inconclusive":
            doubted.setdefault(name, []).append(reason)
    print(f"{sum(verdicts.values())} samples: {dict(verdicts)}")
    print({key: round(value, 1) for key, value in spent.items()}, "seconds of the processor")
    print(dict(disagree))
    for title, found in (("not passed", accused), ("inconclusive", doubted)):
        print(f"{title}: {len(found)} operations")
        for name, reasons in found.items():
            print(f"  {name} ({len(reasons)}): {reasons[0][:200]}")


if __name__ == "__main__":
    main()
