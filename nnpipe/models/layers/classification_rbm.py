"""The classification RBM as a last layer: each class by the free energy of the input together with its label."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from nnpipe.models.activations import Activation
from nnpipe.models.layers.layer import Shape, ShapeError, WeightedLayer, shown

if TYPE_CHECKING:
    from torch import Generator, nn


class ClassificationRbm(WeightedLayer):
    """A Boltzmann machine of hidden units that see the inputs and a label; with softmax it gives p(class | inputs).

    Learned by backpropagation it is the discriminative machine of Larochelle & Bengio 2008, section 4. Pretrained by
    ``rbm`` it learns inputs and labels together, which makes it the top of a deep belief net (Hinton, Osindero & Teh
    2006), to be fine-tuned by ``train.algorithm: up_down``. ``bias``: where the hidden units' start.
    """

    flattens: ClassVar[bool] = True
    kind: Literal["classification_rbm"] = "classification_rbm"
    hidden: int = Field(ge=1, description="How many hidden units.")
    classes: int = Field(ge=2, description="How many classes: the layer's outputs.")
    activation: Activation = Field("softmax", description="What negative free energies go through.")

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 1:
            raise ShapeError(
                "classification_rbm reads vectors",
                expected="a vector",
                found=f"an image of {shown(shape)}",
                hint="put {kind: flatten} before it",
            )
        return (self.classes,)

    def parameters(self, shape: Shape) -> int:
        return self.hidden * (shape[0] + self.classes + 1) + self.classes

    def build(self, shape: Shape, generator: Generator) -> nn.Module:
        import torch

        from nnpipe.models.classification_machine import ClassificationMachine

        machine = ClassificationMachine(shape[0], self.hidden, self.classes)
        with torch.no_grad():
            machine.bias.fill_(self.bias or 0)
            # A label is one more input: fan-in counts them all, and hidden units are sigmoid whatever the outputs are.
            whole = torch.empty(self.hidden, shape[0] + self.classes)
            self.init.draw(whole, machine.bias if self.bias is None else None, generator, "sigmoid")
            machine.weight.copy_(whole[:, : shape[0]])
            machine.label_weight.copy_(whole[:, shape[0] :])
        return machine
