"""Which library the tutorial runs on, and three words that its chapters use."""

import importlib
import math
import sys

#: PyTorch, or what the command line names
torch = importlib.import_module(sys.argv[1] if len(sys.argv) > 1 else "torch")


def leaf(*numbers):
    """A tensor that asks for gradients."""
    return torch.tensor(numbers, dtype=torch.float64, requires_grad=True)


def same(tensor, expected):
    """Whether a tensor has these numbers, to the digits of float64."""
    found = tensor.detach().reshape(-1).tolist()
    wanted = torch.tensor(expected, dtype=torch.float64).reshape(-1).tolist()
    return len(found) == len(wanted) and all(
        math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12) for a, b in zip(found, wanted, strict=True)
    )


def refused(action, error=RuntimeError):
    """Whether a call raises this error."""
    try:
        action()
    except error:
        return True
    return False
