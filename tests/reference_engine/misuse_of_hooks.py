"""Rows 61 to 73, 97 to 99, 119 and 121 of the misuse table: leaves, hooks, edges, anomaly mode."""

from __future__ import annotations

from typing import Any

from tests.reference_engine.misuse import leaf, row


@row(61, "grad_dtype of a non-leaf")
def _(lib: Any) -> Any:
    return (leaf(lib) * 2).grad_dtype


@row(62, "a gradient of another dtype than grad_dtype")
def _(lib: Any) -> Any:
    x = leaf(lib)
    x.grad_dtype = lib.float64
    x.grad = lib.ones(3)


@row(63, "grad_dtype changed under a gradient")
def _(lib: Any) -> Any:
    x = leaf(lib)
    x.grad = lib.ones(3)
    x.grad_dtype = lib.float64


@row(65, "post-accumulate hook on a non-leaf")
def _(lib: Any) -> Any:
    (leaf(lib) * 2).register_post_accumulate_grad_hook(print)


@row(66, "post-accumulate hook on a tensor that requires no grad")
def _(lib: Any) -> Any:
    lib.ones(3).register_post_accumulate_grad_hook(print)


@row(67, "post-accumulate hook that returns something")
def _(lib: Any) -> Any:
    x = leaf(lib)
    x.register_post_accumulate_grad_hook(lambda p: p * 2)
    x.sum().backward()


@row(72, "multi-grad hook in an unknown mode")
def _(lib: Any) -> Any:
    lib.autograd.graph.register_multi_grad_hook([leaf(lib)], print, mode="some")


@row(73, "nan in anomaly mode")
def _(lib: Any) -> Any:
    x = lib.zeros(1, requires_grad=True)
    with lib.autograd.detect_anomaly():
        (x * 0 / 0).sum().backward()


@row(97, "a pack hook that modifies what it packs")
def _(lib: Any) -> Any:
    with lib.autograd.graph.saved_tensors_hooks(lambda x: x.mul_(2), lambda x: x):
        (leaf(lib) * 1).sin()


@row(98, "an unpack hook that returns no tensor")
def _(lib: Any) -> Any:
    with lib.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: 0):
        leaf(lib).sin().sum().backward()


@row(99, "saved-tensor hooks where they are disabled")
def _(lib: Any) -> Any:
    off = lib.autograd.graph.disable_saved_tensors_hooks
    with off(f"hooks are off, says {lib.__name__}"), lib.autograd.graph.save_on_cpu():
        leaf(lib).sin()


@row(119, "increment_version of an inference tensor")
def _(lib: Any) -> Any:
    with lib.inference_mode():
        x = lib.ones(3)
    lib.autograd.graph.increment_version(x)
    return x


@row(121, "gradient edge of a tensor that requires no grad")
def _(lib: Any) -> Any:
    lib.autograd.graph.get_gradient_edge(lib.ones(3))
