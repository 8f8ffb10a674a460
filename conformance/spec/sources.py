"""The pages that clauses cite, each named once."""

from __future__ import annotations

_DOCS = "https://docs.pytorch.org/docs/stable"
_GENERATED = f"{_DOCS}/generated"
_TUTORIALS = "https://docs.pytorch.org/tutorials/beginner"

# Notes and package pages
NOTE_REQUIRES_GRAD = f"{_DOCS}/notes/autograd.html#requires-grad"
NOTE_SETTING_REQUIRES_GRAD = f"{_DOCS}/notes/autograd.html#setting-requires-grad"
NOTE_HISTORY = f"{_DOCS}/notes/autograd.html#how-autograd-encodes-the-history"
NOTE_SAVED_TENSORS = f"{_DOCS}/notes/autograd.html#saved-tensors"
NOTE_GRAD_MODE = f"{_DOCS}/notes/autograd.html#grad-modes"
NOTE_NO_GRAD = f"{_DOCS}/notes/autograd.html#no-grad-mode"
NOTE_INFERENCE = f"{_DOCS}/notes/autograd.html#inference-mode"
NOTE_IN_PLACE = f"{_DOCS}/notes/autograd.html#in-place-operations-with-autograd"
NOTE_IN_PLACE_CHECKS = f"{_DOCS}/notes/autograd.html#in-place-correctness-checks"
NOTE_BROADCASTING = f"{_DOCS}/notes/broadcasting.html"
GRADIENT_LAYOUTS = f"{_DOCS}/autograd.html#default-gradient-layouts"
TENSOR_VIEWS = f"{_DOCS}/tensor_view.html"
TENSOR_ATTRIBUTES = f"{_DOCS}/tensor_attributes.html#type-promotion-doc"
SERIALIZATION = f"{_DOCS}/notes/serialization.html"
INFERENCE_RFC = "https://github.com/pytorch/rfcs/blob/master/RFC-0011-InferenceMode.md"
RELEASE_0_4 = "https://github.com/pytorch/pytorch/releases/tag/v0.4.0"

# Reference pages
BACKWARD = f"{_GENERATED}/torch.Tensor.backward.html"
AUTOGRAD_BACKWARD = f"{_GENERATED}/torch.autograd.backward.html"
AUTOGRAD_GRAD = f"{_GENERATED}/torch.autograd.grad.html"
GRAD = f"{_GENERATED}/torch.Tensor.grad.html"
IS_LEAF = f"{_GENERATED}/torch.Tensor.is_leaf.html"
REQUIRES_GRAD = f"{_GENERATED}/torch.Tensor.requires_grad.html"
REQUIRES_GRAD_ = f"{_GENERATED}/torch.Tensor.requires_grad_.html"
RETAIN_GRAD = f"{_GENERATED}/torch.Tensor.retain_grad.html"
REGISTER_HOOK = f"{_GENERATED}/torch.Tensor.register_hook.html"
DETACH = f"{_GENERATED}/torch.Tensor.detach.html"
DETACH_ = f"{_GENERATED}/torch.Tensor.detach_.html"
NO_GRAD = f"{_GENERATED}/torch.no_grad.html"
ENABLE_GRAD = f"{_GENERATED}/torch.enable_grad.html"
SET_GRAD_ENABLED = f"{_GENERATED}/torch.autograd.grad_mode.set_grad_enabled.html"
IS_GRAD_ENABLED = f"{_GENERATED}/torch.is_grad_enabled.html"
INFERENCE_MODE = f"{_GENERATED}/torch.autograd.grad_mode.inference_mode.html"
ZERO_GRAD = f"{_GENERATED}/torch.optim.Optimizer.zero_grad.html"
SGD = f"{_GENERATED}/torch.optim.SGD.html"
ADAM = f"{_GENERATED}/torch.optim.Adam.html"
NODE_NAME = f"{_GENERATED}/torch.autograd.graph.Node.name.html"

# Tutorials
AUTOGRAD_TUTORIAL = f"{_TUTORIALS}/basics/autogradqs_tutorial.html"
OPTIMIZATION_TUTORIAL = f"{_TUTORIALS}/basics/optimization_tutorial.html"
LEAF_TUTORIAL = f"{_TUTORIALS}/understanding_leaf_vs_nonleaf_tutorial.html"
SAVING_TUTORIAL = f"{_TUTORIALS}/saving_loading_models.html"

# Not documented by PyTorch
OWN_REASONING = "this project's own reasoning"
GRIEWANK = "https://doi.org/10.1137/1.9780898717761"
"""Griewank and Walther, Evaluating Derivatives, 2nd edition, SIAM 2008: chapters 3 and 4."""
