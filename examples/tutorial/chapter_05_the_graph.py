"""5. The graph."""

import math

from library import leaf, same, torch

x, w = leaf(2.0), leaf(3.0)
y = (x * w).exp()

# A result's node knows the nodes of its operation's inputs; leaves have nodes that accumulate.
node = y.grad_fn
assert isinstance(node, torch.autograd.graph.Node) and node.name() == "ExpBackward0"
((product, _),) = node.next_functions
assert product.name() == "MulBackward0"
ends = [type(n).__name__ for n, _ in product.next_functions]
assert ends == ["AccumulateGrad", "AccumulateGrad"]
assert product.next_functions[0][0].variable is x
node.metadata["note"] = "anything"
assert y.grad_fn.metadata["note"] == "anything"

# Node hooks see gradients arrive (pre-hooks) and leave (hooks), and may replace them.
seen = []
node.register_prehook(lambda grads: seen.append(("arrived", grads[0].item())))
product.register_hook(lambda inputs, outputs: (inputs[0] * 0, inputs[1]))
y.backward(torch.tensor([1.0], dtype=torch.float64))
assert seen == [("arrived", 1.0)]
assert same(x.grad, [0.0]) and same(w.grad, [2 * math.exp(6)])

# An edge is a place in the graph without the tensor that was there.
z = x * 5
edge = torch.autograd.graph.get_gradient_edge(z)
assert isinstance(edge, torch.autograd.graph.GradientEdge) and edge.node is z.grad_fn
loss = (z * z).sum()
del z
assert same(torch.autograd.grad(loss, edge)[0], [20.0])
