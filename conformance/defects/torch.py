"""Defects of PyTorch, found by random programs."""

from __future__ import annotations

from conformance.defects.defect import Defect

DEFECTS = (
    Defect(
        "torch-51", "torch", "2.13.0", ("COT-13",), "silently-wrong",
        "A gradient that reaches a leaf through a view, as squeeze makes one, is kept in the memory"
        " of the tensor that seeded backward: the next backward adds to it and changes that one.",
        """
import torch
x = torch.tensor(1.0, requires_grad=True)
weights = torch.ones(1)
y = torch.unsqueeze(x, 0)
y.backward(weights, retain_graph=True)
y.backward(torch.tensor([2.0]))
torch.testing.assert_close(weights, torch.ones(1))
""",
    ),
    Defect(
        "torch-52", "torch", "2.13.0", ("DAT-14",), "crashed",
        "Registering a hook on a view whose base was written in place, before anything asked for"
        " the view's new history, ends the process by a segmentation fault.",
        """
import subprocess, sys
script = '''
import torch
b = torch.ones(2, requires_grad=True) * 1
v = b.view(2)
b.neg_()
v.register_hook(print)
'''
assert subprocess.run([sys.executable, "-c", script]).returncode == 0
""",
    ),
    Defect(
        "torch-53", "torch", "2.13.0", ("DET-6",), "refused-loudly",
        "A write in place into a tensor that kept its gradient and was then detached in place fails"
        " an internal assertion.",
        """
import torch
x = torch.ones(2, requires_grad=True)
y = x * x
y.retain_grad()
y.detach_()
y.mul_(x)
""",
    ),
    Defect(
        "torch-56", "torch", "2.13.0", ("FWD-1",), "refused-loudly",
        "An expanded tensor is given no tangent: its dual is refused as a write into memory that"
        " elements share.",
        """
import torch
from torch.autograd import forward_ad
x = torch.tensor(1.0).expand(2)
with forward_ad.dual_level():
    forward_ad.make_dual(x, torch.tensor([2.0, 0.5]))
""",
    ),
)  # fmt: skip
