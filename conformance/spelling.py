"""Spellings: how each step of a program is written in an engine's own Python, for scripts.

`TorchSpelling` is PyTorch's: plain code. `AdapterSpelling` calls an adapter, for all other engines.
"""

from __future__ import annotations

from typing import Any

from conformance.adapters.torch_like import TAKES_A_SEQUENCE
from conformance.leaves import leaf_array, literal_array
from conformance.notation import literal_text
from conformance.observation import Array
from conformance.program import MODES, Literal, Param, Ref, Step

MOST_ELEMENTS = 96
"""Seeded leaves of more elements are not written out."""


class TooLong(Exception):
    """A step that cannot be written plainly in a line."""


def array_text(array: Array) -> str:
    """Return a Python expression of nested lists, readable where `nan` and `inf` are not used."""
    if array.size > MOST_ELEMENTS or (array.size == 0 and array.ndim > 1):
        raise TooLong(f"an array of {array.size} elements")
    return literal_text(_nested(array.tolist()))


def numpy_text(array: Array) -> str:
    """Return a NumPy expression of the array, dtype included."""
    return f'np.array({array_text(array)}, "{array.dtype.name}")'


def _nested(value: Any) -> Literal:
    return tuple(_nested(item) for item in value) if isinstance(value, list) else value


class Spelling:
    """What all spellings share: parameters, leaves, and which verbs make one line of code."""

    head: tuple[str, ...] = ()

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype

    def tensor(self, array: Array, requires_grad: bool) -> str:
        """Return the expression of a new leaf."""
        raise NotImplementedError

    def call(self, step: Step) -> str:
        """Return the expression or statement of any step but a leaf, a block or an observation."""
        raise NotImplementedError

    def manager(self, step: Step) -> str:
        """Return the context manager of a block."""
        raise NotImplementedError

    def reading(self, step: Step) -> str:
        """Return the expression of what an observing step observes, NumPy arrays for tensors."""
        raise NotImplementedError

    def numbers(self, name: str) -> str:
        """Return the expression of a tensor's values as a NumPy array."""
        raise NotImplementedError

    def line(self, step: Step) -> str:
        """Return the statement of a simple step, its names bound. Raises `TooLong`."""
        if step.verb == "leaf":
            array = leaf_array(step, self.dtype)
            flag = bool(step.param("requires_grad", False))
            return f"{step.out[0]} = {self.tensor(array, flag)}"
        call = self.call(step)
        return f"{', '.join(step.out)} = {call}" if step.out else call

    def argument(self, value: Param) -> str:
        """Return a parameter: tensors by name, literals as they are."""
        if isinstance(value, tuple):
            inner = ", ".join(self.argument(item) for item in value)
            return f"[{inner}]"
        return value.name if isinstance(value, Ref) else literal_text(value)

    def keywords(self, step: Step, *left_out: str) -> list[str]:
        """Return the parameters of a step as keyword arguments."""
        given = [(key, value) for key, value in step.params if key not in left_out]
        return [f"{key}={self.argument(value)}" for key, value in given]

    def cotangent(self, value: Param, like: str) -> str:
        """Return a gradient that is a name, None, or a literal in the dtype of tensor `like`."""
        if value is None:
            return "None"
        return value.name if isinstance(value, Ref) else self.like(literal_array(value), like)

    def like(self, array: Array, name: str) -> str:
        """Return the expression of a tensor of these numbers in the dtype of `name`."""
        raise NotImplementedError


class TorchSpelling(Spelling):
    """PyTorch's own spelling, of any module that has PyTorch's names."""

    def __init__(self, dtype: str, prelude: str, module: Any) -> None:
        super().__init__(dtype)
        self.module = module
        self.head = (prelude,)

    def tensor(self, array: Array, requires_grad: bool) -> str:
        """Return `torch.tensor(…)`."""
        tracked = ", requires_grad=True" if requires_grad else ""
        return f"torch.tensor({array_text(array)}, dtype=torch.{array.dtype.name}{tracked})"

    def like(self, array: Array, name: str) -> str:
        """Return `torch.tensor(…)` in the dtype of `name`."""
        return f"torch.tensor({array_text(array)}, dtype={name}.dtype)"

    def numbers(self, name: str) -> str:
        """Return the values of a tensor through NumPy, which has no bfloat16."""
        moved = ".cpu()" if "set_default_device" in self.head[0] else ""
        wide = ".float()" if self.dtype == "bfloat16" else ""
        return f"{name}.detach(){moved}{wide}.numpy()"

    def call(self, step: Step) -> str:
        """Return the function or the method of a step."""
        if step.verb in ("apply", "apply_"):
            return self._operation(step)
        if step.verb == "grad_of":
            return self._grad_of(step)
        if step.verb == "backward":
            return self._backward(step)
        name = step.args[0]
        if step.verb == "hook":
            return f"{name}.register_hook(lambda g: {_hook(step, 'g.clone()', 'g + g', 'g * 0')})"
        if step.verb in ("post_hook", "make_dual", "watch", "drop"):
            return self._unusual(step)
        tracked = bool(step.param("requires_grad"))
        return {
            "reload": f"{name}.detach().clone().requires_grad_({tracked})",
            "detach": f"{name}.detach()",
            "detach_": f"{name}.detach_()",
            "data": f"{name}.data",
            "requires_grad_": f"{name}.requires_grad_({bool(step.param('flag', True))})",
            "retain_grad": f"{name}.retain_grad()",
            "set_grad": f"{name}.grad = {self.cotangent(step.param('value'), name)}",
            "remove_hook": f"{name}.remove()",
            "grad": f"{name}.grad",
            "tangent": f"torch.autograd.forward_ad.unpack_dual({name}).tangent",
        }.get(step.verb) or _plainly(step)

    def _unusual(self, step: Step) -> str:
        name = step.args[0]
        if step.verb == "drop":
            return f"del {', '.join(step.args)}"
        if step.verb == "watch":
            return f"StorageWeakRef({name}.untyped_storage())"
        if step.verb == "make_dual":
            tangent = self.cotangent(step.param("tangent"), name)
            return f"torch.autograd.forward_ad.make_dual({name}, {tangent})"
        logged = "log.append(t.grad.clone())"
        cleared = f"{logged} or setattr(t, 'grad', None)"
        action = cleared if step.param("action") == "clear" else logged
        return f"{name}.register_post_accumulate_grad_hook(lambda t: {action})"

    def argument(self, value: Param) -> str:
        """Return a parameter; dtypes are the module's."""
        if isinstance(value, str) and hasattr(self.module, value) and value[-1:].isdigit():
            return f"torch.{value}"
        return super().argument(value)

    def _operation(self, step: Step) -> str:
        assert step.op is not None
        op, words = step.op + ("_" if step.verb == "apply_" else ""), self.keywords(step)
        tensors = list(step.args)
        if op in TAKES_A_SEQUENCE:
            return f"torch.{op}({', '.join([f'[{chr(44).join(tensors)}]', *words])})"
        if op == "einsum":
            return f"torch.einsum({', '.join([repr(step.param('equation')), *tensors])})"
        if step.verb == "apply" and self._has_function(op):
            return f"torch.{op}({', '.join([*tensors, *words])})"
        return f"{tensors[0]}.{op}({', '.join([*tensors[1:], *words])})"

    def _has_function(self, op: str) -> bool:
        found: Any = self.module
        for part in op.split("."):
            found = getattr(found, part, None)
        return callable(found) and not isinstance(found, type)

    def _backward(self, step: Step) -> str:
        words, given = self.keywords(step, "gradient"), step.param("gradient")
        if len(step.args) == 1:
            if given is not None:
                words.insert(0, self.cotangent(given, step.args[0]))
            return f"{step.args[0]}.backward({', '.join(words)})"
        return f"torch.autograd.backward({', '.join([*_many(self, step.args, given), *words])})"

    def _grad_of(self, step: Step) -> str:
        outputs, inputs = _names(step.param("outputs")), _names(step.param("inputs"))
        words, given = self.keywords(step, "outputs", "inputs", "grad_outputs"), []
        if step.param("grad_outputs") is not None:
            given = ["grad_outputs=" + _many(self, outputs, step.param("grad_outputs"))[1]]
        parts = [f"[{', '.join(outputs)}]", f"[{', '.join(inputs)}]", *given, *words]
        return f"torch.autograd.grad({', '.join(parts)}){'[0]' if len(step.out) == 1 else ''}"

    def manager(self, step: Step) -> str:
        """Return `torch.no_grad()` and its kind."""
        enabled = step.param("enabled")
        if step.verb == "forward_ad":
            return "torch.autograd.forward_ad.dual_level()"
        if step.verb == "saved_tensors_hooks":
            words = [str(step.param(which, "keep")) for which in ("pack", "unpack")]
            pack, unpack = _packing(words[0]), _packing(words[1], words[0] == "array")
            return f"torch.autograd.graph.saved_tensors_hooks({pack}, {unpack})"
        if step.verb == "thread":
            raise TooLong("a thread")
        return f"torch.{step.verb}({'' if enabled is None else bool(enabled)})"

    def reading(self, step: Step) -> str:
        """Return the attribute or the values that a step observes."""
        if step.verb == "is_grad_enabled":
            return "torch.is_grad_enabled()"
        if step.verb == "hook_log":
            return "log"
        name = step.args[0]
        return {
            "value": self.numbers(name),
            "grad": self.numbers(f"{name}.grad"),
            "requires_grad": f"{name}.requires_grad",
            "is_leaf": f"{name}.is_leaf",
            "grad_fn": f"({name}.grad_fn and {name}.grad_fn.name())",
            "version": f"{name}._version",
            "tangent": self.numbers(f"torch.autograd.forward_ad.unpack_dual({name}).tangent"),
            "alive": f"(not {name}.expired())",
        }[step.verb]


class AdapterSpelling(Spelling):
    """Calls of an adapter, which a script loads by the engine's name."""

    def __init__(self, dtype: str, engine: str) -> None:
        super().__init__(dtype)
        self.head = (
            "from conformance.adapters.load import load_engine",
            f"engine = load_engine({engine!r}).session()",
        )

    def tensor(self, array: Array, requires_grad: bool) -> str:
        """Return `engine.tensor(…)`."""
        if array.dtype.kind == "V":
            raise TooLong(f"{array.dtype.name} is no dtype of NumPy's")
        return f"engine.tensor({numpy_text(array)}, {requires_grad})"

    def like(self, array: Array, name: str) -> str:
        """Return `engine.tensor(…)` in the dtype of `name`."""
        return f"engine.tensor(np.array({array_text(array)}, engine.numpy({name}).dtype))"

    def numbers(self, name: str) -> str:
        """Return `engine.numpy(…)`."""
        return f"engine.numpy({name})"

    def call(self, step: Step) -> str:
        """Return the method of the adapter that a step calls."""
        if step.verb in ("apply", "apply_"):
            parts = [repr(step.op), *step.args, *self.keywords(step)]
            return f"engine.{step.verb}({', '.join(parts)})"
        if step.verb == "grad_of":
            return self._grad_of(step)
        if step.verb == "backward":
            return self._backward(step)
        name = step.args[0]
        if step.verb in _DATA or step.verb in ("custom_function", "post_hook", "drop"):
            return _plainly(step)
        if step.verb == "hook":
            seen, twice = "engine.numpy(g).copy()", "engine.apply('add', g, g)"
            zero = "engine.tensor(engine.numpy(g) * 0)"
            return f"engine.register_hook({name}, lambda g: {_hook(step, seen, twice, zero)})"
        flag = bool(step.param("requires_grad"))
        return {
            "reload": f"engine.tensor(engine.numpy({name}).copy(), {flag})",
            "requires_grad_": f"engine.set_requires_grad({name}, {bool(step.param('flag', True))})",
            "set_grad": f"engine.set_grad({name}, {self.cotangent(step.param('value'), name)})",
            "remove_hook": f"{name}.remove()",
        }.get(step.verb) or f"engine.{step.verb}({name})"

    def argument(self, value: Param) -> str:
        """Return a parameter; the sequences of programs are tuples."""
        text = super().argument(value)
        return f"({text[1:-1]},)" if isinstance(value, tuple) and value else text

    def _backward(self, step: Step) -> str:
        words, given = self.keywords(step, "gradient"), step.param("gradient")
        if len(step.args) == 1:
            if given is not None:
                words.insert(0, self.cotangent(given, step.args[0]))
            return f"engine.backward({', '.join([*step.args, *words])})"
        return f"engine.backward_many({', '.join([*_many(self, step.args, given), *words])})"

    def _grad_of(self, step: Step) -> str:
        outputs, inputs = _names(step.param("outputs")), _names(step.param("inputs"))
        words, given = self.keywords(step, "outputs", "inputs", "grad_outputs"), []
        if step.param("grad_outputs") is not None:
            given = ["grad_outputs=" + _many(self, outputs, step.param("grad_outputs"))[1]]
        parts = [f"[{', '.join(outputs)}]", f"[{', '.join(inputs)}]", *given, *words]
        return f"engine.grad_of({', '.join(parts)}){'[0]' if len(step.out) == 1 else ''}"

    def manager(self, step: Step) -> str:
        """Return `engine.no_grad()` and its kind."""
        enabled = step.param("enabled")
        if step.verb not in MODES:
            _plainly(step)
        return f"engine.{step.verb}({'' if enabled is None else bool(enabled)})"

    def reading(self, step: Step) -> str:
        """Return the call that observes what a step observes."""
        if step.verb == "hook_log":
            return "log"
        name = step.args[0] if step.args else ""
        return {
            "value": self.numbers(name),
            "grad": self.numbers(f"engine.grad({name})"),
            "version": f"engine.version_of({name})",
            "tangent": self.numbers(f"engine.tangent_of({name})"),
            "alive": f"{name}()",
        }.get(step.verb) or f"engine.{step.verb}({name})"


_DATA = ("make_dual", "tangent")
_PACKED = {
    "keep": "t",
    "record": "(log.append(t.detach().clone()), t)[1]",
    "copy": "t.detach().clone()",
    "double": "2 * t.detach()",
    "raise": "fail()",
    "array": "t.detach().numpy()",
}


def _packing(action: str, of_array: bool = False) -> str:
    """Return the hook on saved tensors that a word stands for, in PyTorch's spelling."""
    spelt = _PACKED[action]
    return f"lambda t: {spelt.replace('t', 'torch.tensor(t)', 1) if of_array else spelt}"


def _plainly(step: Step) -> str:
    """Raise `TooLong` for a step that no plain line stands for; its text form is judged instead."""
    raise TooLong(step.verb)


def _hook(step: Step, seen: str, twice: str, zero: str) -> str:
    action = step.param("action")
    logged = f"log.append({seen})"
    if action in ("double", "zero"):
        return f"({logged}, {twice if action == 'double' else zero})[1]"
    return logged


def _names(value: Param) -> tuple[str, ...]:
    items = value if isinstance(value, tuple) else (value,)
    return tuple(item.name for item in items if isinstance(item, Ref))


def _many(spelling: Spelling, names: tuple[str, ...], values: Param) -> tuple[str, str]:
    """Return the lists of roots and of their cotangents."""
    items = values if isinstance(values, tuple) and len(names) > 1 else (values,) * len(names)
    cotangents = [spelling.cotangent(v, n) for v, n in zip(items, names, strict=True)]
    return f"[{', '.join(names)}]", f"[{', '.join(cotangents)}]"
