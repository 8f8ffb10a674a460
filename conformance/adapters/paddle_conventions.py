"""What Paddle documents otherwise than PyTorch, and what it lacks of it."""

from __future__ import annotations

from collections.abc import Mapping

CONVENTIONS: Mapping[str, str] = {
    "assign_replaces": "assign gives its output the shape and the dtype of what is assigned"
    " (paddle.assign, examples)",
    "constant_labels": "a loss has no gradient for its labels (3.3.1, pd_op.h: BceLossGradOp,"
    " KldivLossGradOp, SigmoidCrossEntropyWithLogitsGradOp and CrossEntropyWithSoftmaxGradOp"
    " give none)",
    "detaches_views": "detach_ detaches any tensor from the graph (Tensor.detach_)",
    "implicit_cotangent": "without grad_tensor the initial gradient is filled with 1.0"
    " (Tensor.backward)",
    "none_for_untracked": "with allow_unused an input that cannot be reached gets None, whatever"
    " the reason (paddle.grad)",
    "refuses_integers": "there is no promotion between integers and floating-point numbers (https:"
    "//paddlepaddle.org.cn/documentation/docs/en/guides/advanced/auto_type_promotion_en.html)",
    "retain_is_no_op": "retain_grads has no effect on leaves, and tensors that stop gradients are"
    " leaves (Tensor.retain_grads, Tensor.is_leaf)",
    "tracked_integers": "stop_gradient may be False, of no dtype is it said that it may not"
    " (paddle.to_tensor, Tensor.stop_gradient)",
    "unique_tensors": "roots and inputs must not be given twice (paddle.autograd.backward;"
    " DuplicateCheck in https://github.com/PaddlePaddle/Paddle/blob/develop/paddle/fluid/eager/"
    "backward.cc)",
    "untracked_roots": "a root that stops gradients is skipped (RunBackward in https://github.com/"
    "PaddlePaddle/Paddle/blob/develop/paddle/fluid/eager/backward.cc)",
    "tracked_gradients": "a gradient has stop_gradient=False (Tensor.retain_grads, examples)",
    "overwrites_intermediates": "a gradient accumulates on leaves only"
    " (https://github.com/PaddlePaddle/Paddle/pull/28429)",
    "own_node_names": "nodes are named as SumGradNode (Tensor.grad_fn)",
    "stops_intermediates": "stop_gradient may be set on any tensor to cut the graph there"
    " (Tensor.stop_gradient)",
}
LACKS = (
    "data",  # of a tensor: itself (Tensor.data)
    "inference_mode", "jvp", "make_dual", "custom_function", "saved_tensors_hooks",
    "register_post_accumulate_hook",
)  # fmt: skip
"""What PyTorch has and Paddle has not, or spells in ways that the adapter does not know."""
