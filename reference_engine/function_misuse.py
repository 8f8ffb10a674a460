"""What a custom Function must not do, and the sentence with which it is refused."""

from __future__ import annotations

_SENTENCES = {
    # the class
    "instance": "{name} was called as an instance; call {name}.apply(...), and make forward a "
    "staticmethod",
    "two_backwards": "{name} has both backward and vjp, two names for one thing; keep one",
    "two_rules": "{name} has both generate_vmap_rule=True and a vmap of its own; keep one",
    "vmap": "{name}.vmap must return (outputs, their batch dimensions)",
    # forward
    "not_returned": "{name}: a tensor of shape {shape} was marked dirty, but forward does not "
    "return it",
    "modified_view": "{name} modified a view and returns {count} outputs; a modified view must be "
    "the only one",
    # backward
    "gradients": "{name} returned {got} gradients; expected {count}, one for each argument of "
    "forward (None where there is none)",
    "gradient": "{name} returned {got!r} as gradient {place}; expected {wanted}",
    "complex": "{name} returned a complex gradient for a real input; return its real part",
    "once": "a backward marked once_differentiable cannot be differentiated again; remove the mark "
    "if it is made of differentiable operations",
    # jvp
    "tangents": "{name}: jvp returned {got} tangents; expected {count}, one for each output of "
    "forward",
    "tangent": "{name}: jvp returned {got} as tangent {place}; expected {wanted}",
    "tangent_of_view": "{name}: forward returned a view or an input, so jvp must return a view of "
    "the input's tangent; this one is not",
    "tangent_of_modified": "{name}: forward modified an input in place, so jvp must modify that "
    "input's tangent in place and return it",
}


def refusal(misuse: str, name: str = "", **facts: object) -> RuntimeError:
    """The error for a misuse by the Function, or its node, of a name."""
    return RuntimeError(_SENTENCES[misuse].format(name=name, **facts))
