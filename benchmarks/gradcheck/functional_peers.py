"""Formula errors written for each library itself, in its own operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.gradcheck.checkers import installed, say_which
from benchmarks.gradcheck.peers import differs
from benchmarks.gradcheck.planted import function
from conformance import gradcheck

POINT = np.random.default_rng(0).uniform(0.5, 2.0, 30)
SLOPES: dict[str, Callable[[Any, Any], Any]] = {
    "sin": lambda xp, x: xp.cos(x),
    "exp": lambda xp, x: xp.exp(x),
    "log": lambda xp, x: 1 / x,
    "tanh": lambda xp, x: 1 - xp.tanh(x) ** 2,
}
_ONE = np.arange(30.0) == 7
ERRORS: dict[str, Callable[[Any, Any], Any]] = {
    "factor 2": lambda s, m: s * 2,
    "1 %": lambda s, m: s * 1.01,
    "1e-4": lambda s, m: s * (1 + 1e-4),
    "1e-6": lambda s, m: s * (1 + 1e-6),
    "1e-8": lambda s, m: s * (1 + 1e-8),
    "sign": lambda s, m: -s,
    "one element twice": lambda s, m: s * (1 + m),
    "one element by 1 %": lambda s, m: s * (1 + 0.01 * m),
    "one element by 1e-6": lambda s, m: s * (1 + 1e-6 * m),
    "one element missing": lambda s, m: s * (1 - m),
    "constant of 1e-6": lambda s, m: s + 1e-6,
}


def _in_torch(operation: str, change: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    mask = torch.from_numpy(_ONE * 1.0)
    return function(
        getattr(torch, operation), lambda g, x: g * change(SLOPES[operation](torch, x), mask)
    )


def _ours(operation: str, change: Callable[[Any, Any], Any]) -> bool:
    call = _in_torch(operation, change)
    return gradcheck(call, (torch.from_numpy(POINT.copy()),)).verdict == "fail"


def _torch(operation: str, change: Callable[[Any, Any], Any], fast: bool) -> bool:
    call = _in_torch(operation, change)
    x = torch.from_numpy(POINT.copy()).requires_grad_()
    return not torch.autograd.gradcheck(call, (x,), fast_mode=fast, raise_exception=False)


def _jax(operation: str, change: Callable[[Any, Any], Any]) -> bool:
    import jax
    import jax.numpy as jnp
    from jax.test_util import check_grads

    jax.config.update("jax_enable_x64", True)

    @jax.custom_vjp
    def call(x: Any) -> Any:
        return getattr(jnp, operation)(x)

    call.defvjp(
        lambda x: (call(x), x),
        lambda x, g: (g * change(SLOPES[operation](jnp, x), jnp.array(_ONE * 1.0)),),
    )
    try:
        check_grads(call, (jnp.array(POINT),), order=1, modes=["rev"])
    except AssertionError:
        return True
    return False


def _hips(operation: str, change: Callable[[Any, Any], Any]) -> bool:
    import autograd.numpy as anp
    from autograd.extend import defvjp, primitive
    from autograd.test_util import check_grads

    call = primitive(lambda x: getattr(np, operation)(x))
    defvjp(call, lambda _, x: lambda g: g * change(SLOPES[operation](anp, x), _ONE * 1.0))
    try:
        check_grads(call, modes=["rev"], order=1)(POINT)
    except AssertionError:
        return True
    return False


def _numdifftools(operation: str, change: Callable[[Any, Any], Any]) -> bool:
    return differs(_in_torch(operation, change), (torch.from_numpy(POINT.copy()),))


CAUGHT: dict[str, Callable[..., bool]] = {
    "ours": _ours,
    "torch slow": lambda *a: _torch(*a, False),
    "torch fast": lambda *a: _torch(*a, True),
    "JAX": _jax,
    "HIPS autograd": _hips,
    "numdifftools": _numdifftools,
}


def main() -> None:
    say_which()
    total = len(ERRORS) * len(SLOPES)
    for checker in installed():
        caught = CAUGHT[checker.name]
        missed = dict.fromkeys(ERRORS, 0)
        for error, change in ERRORS.items():
            for operation in SLOPES:
                torch.manual_seed(0)
                np.random.seed(0)
                missed[error] += not caught(operation, change)
        hits = total - sum(missed.values())
        never = [e for e, n in missed.items() if n]
        print(f"{checker.name}: {hits}/{total} formula errors; misses {', '.join(never) or 'none'}")


if __name__ == "__main__":
    main()
