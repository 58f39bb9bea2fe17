"""Where weights start from: the layers of a network, or of a pretraining, that another run left in the store."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from nnpipe.models.architecture import Model
from nnpipe.models.layers.layer import WeightedLayer
from nnpipe.spec import Part, problem


class StartLayer(Part):
    """One layer and where it starts.

    Layers are counted among those with weights of their own, dense and conv2d, on through the decoder if there is one.
    """

    layer: int = Field(ge=1, description="Which layer of this network, counted from the input.")
    of: int | None = Field(None, ge=1, description="Which layer of the other; left out: the one of the same number.")
    transposed: bool = Field(False, description="Whether its weights are transposed: a decoder, from its encoder.")

    @property
    def other(self) -> int:
        """The number of the other's layer."""
        return self.layer if self.of is None else self.of


class Start(Part):
    """The first weights are another run's. They and biases are copied, nothing else: batch normalisation starts anew.

    Of transposed weights the bias is the one that the other's pretraining reconstructed with, if it has one.
    """

    unkeyed: ClassVar[frozenset[str]] = frozenset({"ref", "missing"})
    ref: str = Field(alias="from", min_length=1, description="A ref such as mnist-dbn/latest, a run, an artifact.")
    layers: Annotated[int, Field(ge=1)] | tuple[StartLayer, ...] | None = Field(
        None,
        description="How many layers, counted from the input, or which; left out: all but the last that both have.",
    )

    missing: Literal["error", "fresh"] = Field(
        "error",
        description="Where nothing is called so yet: an error, or fresh, first weights as if nothing were said of "
        "start. So a spec that starts from its own champion can begin.",
    )

    @model_validator(mode="after")
    def _check_missing(self) -> Start:
        if self.missing == "fresh" and "/" not in self.ref:
            raise problem(
                "only a ref can come to be later",
                path=("missing",),
                expected="error, or a ref as NAME/champion in from",
                found=f"fresh, and from: {self.ref}",
            )
        return self

    @model_validator(mode="after")
    def _check_twins(self) -> Start:
        numbers = [each.layer for each in self.layers] if isinstance(self.layers, tuple) else []
        for index, number in enumerate(numbers):
            if number in numbers[:index]:
                what = f"layer {number} cannot start from two layers"
                raise problem(what, path=("layers", index, "layer"), expected="each layer once", found=str(number))
        return self

    def layers_of(self, model: Model) -> list[StartLayer]:
        """The layers of ``model`` that start from another's, as far as the other has them.

        Raises:
            PydanticCustomError: the network has no such layer; its path starts at the spec.
        """
        there = weighted_layers(model)
        if self.layers is None:
            return [StartLayer(layer=number) for number in range(1, there)]
        count = isinstance(self.layers, int)
        wanted = [StartLayer(layer=n + 1) for n in range(self.layers)] if isinstance(self.layers, int) else self.layers
        for index, each in enumerate(wanted):
            if each.layer > there:
                raise problem(
                    "more layers to start than the network has" if count else f"the network has no layer {each.layer}",
                    path=("train", "start", "layers", *(() if count else (index, "layer"))),
                    expected=f"at most {there}, the layers with weights of their own",
                    found=str(self.layers if count else each.layer),
                )
        return list(wanted)


def weighted_layers(model: Model) -> int:
    """How many layers of a network have weights of their own: its decoder's too, those inside others not counted."""
    return sum(isinstance(layer, WeightedLayer) for layer in model.layers) * (2 if model.unroll else 1)
