"""The module of a user's own layer: imported, made, tried, and given a generator of its own to draw from."""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor, nn

from nnpipe.errors import NnpipeError, StageError
from nnpipe.models import own_modules
from nnpipe.models.layers.custom import Custom
from nnpipe.models.layers.layer import Shape, shown
from nnpipe.models.seeded import Seeded, standing_in


class CustomModule(Seeded):
    """What ``layer`` names, for examples of ``shape``; its parameters are ``module.<name>``.

    Its first weights, and what it draws in training, come from generators seeded from ``generator``, though it knows
    only torch's global one.

    Raises:
        StageError: it cannot be imported or made, or does not give the shape that the spec says.
    """

    def __init__(self, layer: Custom, shape: Shape, generator: torch.Generator) -> None:
        super().__init__(generator)
        first_weights = torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=generator)))
        with standing_in(first_weights), own_modules.importable(_found(layer)):
            self.module = _made(layer)
            _try(self.module, layer, shape)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return self.module(x)  # type: ignore[no-any-return]
        with standing_in(self.generator):
            return self.module(x)  # type: ignore[no-any-return]


def _found(layer: Custom) -> own_modules.Module:
    module = layer.own_module()
    if module is None:
        raise _failure(layer, "its module cannot be found", found=layer.path.rpartition(".")[0])
    return module


def _made(layer: Custom) -> nn.Module:
    module_name, _, class_name = layer.path.rpartition(".")
    try:
        made_of: Any = getattr(importlib.import_module(module_name), class_name)
    except NnpipeError:
        raise
    except Exception as error:
        raise _failure(layer, "it cannot be imported", found=_told(error)) from error
    if not (isinstance(made_of, type) and issubclass(made_of, nn.Module)):
        raise _failure(layer, "it is no layer", expected="a subclass of torch.nn.Module", found=repr(made_of))
    try:
        return made_of(**layer.options)
    except Exception as error:
        raise _failure(layer, "it cannot be made with these options", found=_told(error)) from error


def _try(module: nn.Module, layer: Custom, shape: Shape) -> None:
    """Give zeros to the module and compare what comes out with what the spec says."""
    module.eval()
    try:
        with torch.no_grad():
            y: Any = module(torch.zeros(2, *shape))
    except Exception as error:
        raise _failure(
            layer, f"it cannot read a batch of shape 2x{shown(shape)}", found=_told(error), hint="see its options"
        ) from error
    if not isinstance(y, Tensor) or y.ndim < 2 or len(y) != 2:
        found = f"shape {shown(tuple(y.shape))}" if isinstance(y, Tensor) else type(y).__name__
        raise _failure(layer, "it does not give a batch", expected="a tensor of shape 2x...", found=found)
    gives = tuple(y.shape[1:])
    if gives != layer.output_shape(shape):
        raise _failure(
            layer,
            "it gives another shape than the spec says",
            expected=shown(layer.output_shape(shape)),
            found=shown(gives),
            hint=f"write output_shape: {list(gives)} in the spec",
        )
    module.train()


def _failure(
    layer: Custom, what: str, *, expected: str | None = None, found: str | None = None, hint: str | None = None
) -> StageError:
    return StageError(f"layer {layer.path}: {what}", where="model.layers", expected=expected, found=found, hint=hint)


def _told(error: Exception) -> str:
    """An exception in a line, and the line of the user's code that it came from."""
    place = error.__traceback__
    while place and place.tb_next:
        place = place.tb_next
    where = f", line {place.tb_lineno} of {place.tb_frame.f_code.co_filename}" if place else ""
    return f"{type(error).__name__}: {error}{where}"
