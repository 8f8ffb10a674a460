"""7. What is saved."""

import math

from library import leaf, refused, same, torch

graph = torch.autograd.graph
x = leaf(1.0, 2.0)

# What an operation saves for its gradient can be packed, and unpacked when backward needs it.
packed = []


def pack(tensor):
    packed.append(tuple(tensor.shape))
    return tensor.tolist()


def unpack(numbers):
    return torch.tensor(numbers, dtype=torch.float64)


with graph.saved_tensors_hooks(pack, unpack):
    y = x.exp().sum()
y.backward()
assert packed == [(2,)] and same(x.grad, [math.e, math.e**2])

# Packing to main memory comes ready-made; so does forbidding all packing.
with graph.save_on_cpu():
    y = (x * x).sum()
assert same(torch.autograd.grad(y, x)[0], [2.0, 4.0])
with graph.disable_saved_tensors_hooks("not here"):
    assert refused(graph.saved_tensors_hooks(pack, unpack).__enter__)

# With copies made on demand, even what was saved may be written.
with graph.allow_mutation_on_saved_tensors():
    e = x.exp()
    total = e.sum()
    e.zero_()
    total.backward()
assert same(x.grad, [2 * math.e, 2 * math.e**2])

# A checkpoint saves its inputs only, and runs its function again during backward.
calls = []


def block(t):
    calls.append(1)
    return t.sin().exp()


slope = [math.cos(t) * math.exp(math.sin(t)) for t in (1.0, 2.0)]
for reentrant in (False, True):
    x.grad = None
    calls.clear()
    torch.utils.checkpoint.checkpoint(block, x, use_reentrant=reentrant).sum().backward()
    assert len(calls) == 2 and same(x.grad, slope)
