"""Modules: trees of layers that know their parameters."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from reference_engine.modes import no_grad
from reference_engine.nn.parameter import Parameter
from reference_engine.tensor import Tensor

Self = TypeVar("Self", bound="Module")


class IncompatibleKeys(NamedTuple):
    """What ``load_state_dict(strict=False)`` could not match."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """The base of layers, as ``torch.nn.Module``: subclasses assign parameters and modules, and
    define forward.
    """

    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]
    _not_saved: set[str]

    def __init__(self) -> None:
        for name in ("_parameters", "_buffers", "_modules"):
            object.__setattr__(self, name, {})
        object.__setattr__(self, "_not_saved", set())
        object.__setattr__(self, "training", True)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; NotImplementedError in a class that does not say."""
        raise NotImplementedError(f"module {type(self).__name__} defines no forward")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """``forward``."""
        return self.forward(*args, **kwargs)

    # registration ---------------------------------------------------------------------------------
    def __setattr__(self, name: str, value: Any) -> None:
        if "_parameters" not in self.__dict__:
            if isinstance(value, (Parameter, Module)):
                raise AttributeError(f"call super().__init__() before assigning {name!r}")
            object.__setattr__(self, name, value)
            return
        if isinstance(value, Parameter):
            self._forget(name)
            self._parameters[name] = value
        elif isinstance(value, Module):
            self._forget(name)
            self._modules[name] = value
        elif name in self._parameters:
            if value is not None:
                raise TypeError(
                    f"parameter {name!r} takes a Parameter or None, got {type(value).__name__}"
                )
            self._parameters[name] = None
        elif name in self._modules and value is None:
            self._modules[name] = None
        elif name in self._buffers and (value is None or isinstance(value, Tensor)):
            self._buffers[name] = value
        else:
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        for table in ("_parameters", "_buffers", "_modules"):
            found = self.__dict__.get(table, {})
            if name in found:
                return found[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __delattr__(self, name: str) -> None:
        if not self._forget(name):
            object.__delattr__(self, name)

    def _forget(self, name: str) -> bool:
        tables: tuple[dict[str, Any], ...] = (
            self._parameters,
            self._buffers,
            self._modules,
            self.__dict__,
        )
        found = [table.pop(name, self) is not self for table in tables]
        return any(found)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Adds a parameter, or None for one that this instance does without."""
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Adds a tensor that is state but no parameter; saved with the module if ``persistent``."""
        self._buffers[name] = tensor
        if not persistent:
            self._not_saved.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Adds a child."""
        self._modules[name] = module

    # walking --------------------------------------------------------------------------------------
    def named_modules(
        self, prefix: str = "", _seen: set[int] | None = None
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it, each once, with their dotted names."""
        seen = set() if _seen is None else _seen
        if id(self) in seen:
            return
        seen.add(id(self))
        yield prefix, self
        for name, child in self._modules.items():
            if child is not None:
                yield from child.named_modules(f"{prefix}.{name}" if prefix else name, seen)

    def modules(self) -> Iterator[Module]:
        """This module and all below it."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules assigned to this one."""
        return ((name, child) for name, child in self._modules.items() if child is not None)

    def children(self) -> Iterator[Module]:
        """The modules assigned to this one."""
        return (child for _, child in self.named_children())

    def _named(self, table: str, prefix: str, recurse: bool) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        for path, module in self.named_modules(prefix) if recurse else [(prefix, self)]:
            for name, value in getattr(module, table).items():
                if value is not None and id(value) not in seen:
                    seen.add(id(value))
                    yield (f"{path}.{name}" if path else name), value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """The parameters, each once, with their dotted names."""
        return self._named("_parameters", prefix, recurse)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, each once."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Tensor]]:
        """The buffers, each once, with their dotted names."""
        return self._named("_buffers", prefix, recurse)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers, each once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def apply(self: Self, fn: Callable[[Module], None]) -> Self:
        """Calls ``fn`` on every module below this one, then on this one."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    # switches -------------------------------------------------------------------------------------
    def train(self: Self, mode: bool = True) -> Self:
        """Switches training behaviour (dropout, batch statistics) on or off."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: Self) -> Self:
        """``train(False)``."""
        return self.train(False)

    def requires_grad_(self: Self, requires_grad: bool = True) -> Self:
        """Asks for, or freezes, the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the gradients, or with ``set_to_none=False`` sets those there are to zero."""
        for parameter in self.parameters():
            clear_grad(parameter, set_to_none)

    def to(self: Self, *args: Any, **kwargs: Any) -> Self:
        """Converts floating parameters and buffers in place, as ``Tensor.to`` does."""
        for module in self.modules():
            for table in (module._parameters, module._buffers):
                for value in table.values():
                    if value is not None and value.dtype.differentiable:
                        value.data = value.detach().to(*args, **kwargs)
                        if value.grad is not None:
                            value.grad = value.grad.detach().to(*args, **kwargs)
        return self

    def double(self: Self) -> Self:
        """Converts to float64."""
        from reference_engine.backends.dtypes import float64

        return self.to(float64)

    def float(self: Self) -> Self:
        """Converts to float32."""
        from reference_engine.backends.dtypes import float32

        return self.to(float32)

    # state ----------------------------------------------------------------------------------------
    def _state(self) -> Iterator[tuple[str, Tensor]]:
        for path, module in self.named_modules():
            own: list[tuple[str, Tensor | None]] = [*module._parameters.items()]
            own += [(n, b) for n, b in module._buffers.items() if n not in module._not_saved]
            for name, value in own:
                if value is not None:
                    yield (f"{path}.{name}" if path else name), value

    def state_dict(self) -> OrderedDict[str, Tensor]:
        """Parameters and saved buffers by dotted name, detached, over the same memory."""
        return OrderedDict((name, value.detach()) for name, value in self._state())

    def load_state_dict(
        self, state_dict: Mapping[str, Tensor], strict: bool = True
    ) -> IncompatibleKeys:
        """Copies values into parameters and buffers.

        RuntimeError for names that do not match (unless ``strict`` is False) and shapes that
        differ.
        """
        mine = dict(self._state())
        missing = [name for name in mine if name not in state_dict]
        unexpected = [name for name in state_dict if name not in mine]
        if strict and (missing or unexpected):
            raise RuntimeError(
                f"the state of {type(self).__name__} does not fit: missing {missing}, "
                f"unexpected {unexpected}; pass strict=False to load the rest"
            )
        shapes = [
            f"{name} {list(state_dict[name].shape)} for {list(value.shape)}"
            for name, value in mine.items()
            if name in state_dict and tuple(state_dict[name].shape) != tuple(value.shape)
        ]
        if shapes:
            raise RuntimeError(
                f"the state of {type(self).__name__} has other shapes: {'; '.join(shapes)}"
            )
        with no_grad():
            for name, value in mine.items():
                if name in state_dict:
                    value.copy_(state_dict[name])
        return IncompatibleKeys(missing, unexpected)

    # printing -------------------------------------------------------------------------------------
    def extra_repr(self) -> str:
        """The settings to show in the representation."""
        return ""

    def __repr__(self) -> str:
        lines = [
            f"({name}): {child!r}".replace("\n", "\n  ") for name, child in self.named_children()
        ]
        inner = "\n  ".join(lines)
        head = type(self).__name__
        return f"{head}(\n  {inner}\n)" if lines else f"{head}({self.extra_repr()})"


def clear_grad(parameter: Tensor, set_to_none: bool) -> None:
    """Forgets a gradient, or cuts it off its graph and zeroes it in place."""
    grad = parameter.grad
    if grad is None:
        return
    if set_to_none:
        parameter.grad = None
        return
    if grad.requires_grad:
        grad = parameter.grad = grad.detach()
    with no_grad():
        grad.zero_()
