"""PyTorch's autograd behaviours, each a test that is true of PyTorch and of the reference engine.

Every test that takes ``torch`` runs on PyTorch itself, on the reference engine's NumPy backend and
on its torch backend: an expectation is first proved of PyTorch, then demanded of the engine. Where
PyTorch does what its implementation happens to do, the test states both and says why.

The table counts the test functions per theme, and beside them the behaviours that PyTorch's own
tests of autograd check in the theme (``shared/torch_semantics.md``, section 2; CUDA streams, sparse
and named tensors, and what only C++ can see are no part of either). Checkpointing is held against
PyTorch next to its implementation, not here.

theme | here | PyTorch | files (test_….py)
core backward and grad | 36 | 28 | core
accumulation, dtype and layout of .grad | 15 | 10 | accumulation
tensor state | 28 | 19 | tensor_state
grad modes | 17 | 14 | grad_modes
inference mode | 23 | 19 | inference_mode
views and in-place | 38 | 33 | views, in_place
Function: core | 38 | 35 | function, function_returns
Function: views and dirty | 15 | 12 | function_views
Function: jvp | 12 | 7 | function_jvp
hooks | 36 | 29 | hooks, node_hooks
retain_grad | 10 | 6 | retain_grad
saved tensors and hooks | 30 | 28 | saved_tensors
mutation of saved tensors | 14 | 13 | mutation_of_saved_tensors
Node and GradientEdge | 19 | 15 | nodes
anomaly | 9 | 7 | anomaly
gradcheck | 31 | 26 | gradcheck
forward mode | 42 | 37 | forward_mode
double backward | 6 | 3 | double_backward
engine, re-entrancy, threads | 37 | 35 | engine, threads
gradients of operations | 35 | 31 | operations
lifetime and deep graphs | 14 | 10 | lifetime
indices, overlap, copies and prints | 23 | - | memory
"""
