"""4. Memory."""

import copy
import pickle

from library import leaf, refused, same, torch

# detach: the same memory, outside the graph.
x = leaf(1.0, 2.0, 3.0)
y = x * 1
shown = y.detach()
assert not shown.requires_grad and shown._version == y._version == 0

# Each in-place write adds one to the version of the memory, whoever holds it.
shown.mul_(2)
assert shown._version == y._version == 1
# Through .data a write goes unnoticed. That is what makes it dangerous.
y.data.mul_(0.5)
assert y._version == 1

# Where backward needs a value that was written since, it refuses.
e = x.exp()
e.detach().zero_()
assert refused(e.sum().backward)
# A write that only the caller knows about can be counted by hand.
e = x.exp()
torch.autograd.graph.increment_version(e)
assert refused(e.sum().backward)

# A view shares memory with its base. Written in place, both are differentiated as written.
base = x * 1
view = base[0]
assert view._is_view() and view._base is base and not base._is_view() and base._base is None
view.mul_(10)
base.sum().backward()
assert same(base, [10.0, 2.0, 3.0]) and same(x.grad, [10.0, 1.0, 1.0])

# A leaf cannot be written while it is recorded: update it where nothing is.
assert refused(lambda: x.add_(1))
with torch.no_grad():
    x -= 0.1 * x.grad
assert same(x, [0.0, 1.9, 2.9]) and x.is_leaf

# detach_ cuts the tensor itself; requires_grad_ starts it, and is for leaves.
y = x * 2
assert y.detach_() is y and y.is_leaf and not y.requires_grad
y.requires_grad_()
assert y.requires_grad

# Guards: what would lose the graph in silence is refused.
z = y * 2
assert refused(z.numpy) and z.detach().numpy().tolist() == z.tolist()
assert refused(lambda: copy.deepcopy(z)) and same(copy.deepcopy(y), y.tolist())
loaded = pickle.loads(pickle.dumps(y))
assert loaded.requires_grad and same(loaded, y.tolist())
