"""What every picture offers: whether it has something to show, and a drawing with a caption that tells how to read it.

A picture sees arrays and JSON only, never the store.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from nnpipe.models.architecture import Model
from nnpipe.spec import Part

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from nnpipe.models.network import Network
    from nnpipe.training.losses.loss import Loss

# What pictures tell of: a report shows those of one section together.
Section = Literal["pretraining", "training", "results", "weights", "activations", "generation", "inside"]


@dataclass(frozen=True)
class Pretrained:
    """A layer as pretraining left it, and how it learned alone.

    tensors: ``weight`` and ``bias`` of the layer, and what else was learned of it, alone or together with the others.
    history: one record an epoch.
    summary: ``method``, ``visible``, ``hidden`` and more; ``labels``: whether it had them.
    document: ``layer``, the layers ``between`` it and what is below, ``visible``, the shape of an example that it sees,
        and whether it reads values as ``probabilities``.
    snapshots: of a layer that sees images, ``weight`` (looks, units, ...) of some units while they learned, and
        ``epoch`` (looks,), after which they were so; 0 before the first.
    """

    tensors: Mapping[str, np.ndarray]
    history: Sequence[Mapping[str, float]]
    summary: Mapping[str, Any]
    document: Mapping[str, Any] = field(default_factory=dict)
    snapshots: Mapping[str, np.ndarray] | None = None


@dataclass(frozen=True)
class Subject:
    """What pictures can be drawn of.

    attributes: of the data: ``input_shape``, ``class_names`` or ``target_names``, ``value_range``, ``statistics``.
    tensors: the network's weights, ``layers.<index>.weight`` and ``layers.<index>.bias``.
    document: what the network's file says of it: ``architecture``, ``input_shape``, ``scaling``, ``class_names``;
        ``code``, the place of the layer whose outputs are the code, of an autoencoder.
    history: ``records`` (one an epoch), ``best_epoch``, ``stopped``.
    evaluation: ``confusion_matrix``, ``per_class``, ``test_accuracy`` or ``test_r2`` ... of all test examples.
    inputs: (n, *input_shape), the first test examples as the data has them, not scaled.
    truth: (n,), their classes, or (n, targets), their numbers.
    predictions: what the network says of them: (n, classes) probabilities or margins, or (n, targets) numbers; of an
        autoencoder the codes, (n, units).
    watched: the split that training was measured on after each epoch, ``validation`` or ``test``.
    pretrained: the layers that were pretrained, from the first.
    joint_history: one record an epoch that they learned together after that, if they did.
    probes: what probes found of the input and of each pretrained layer: ``linear_accuracy``, ``neighbour_accuracy`` ...
    components: ``mean`` and ``directions`` of principal components, in the network's scale, beside an autoencoder.
    generative: the way down that was learned beside a deep belief net, as ``nnpipe.models.generative`` names it.
    architecture: as the spec says it, which vouches for layers of the user's own.
    loss: what was made small, everything known that the examples learnt from tell.
    first: the weights before training, named as ``tensors``; None where they came from another run.
    """

    attributes: Mapping[str, Any]
    tensors: Mapping[str, np.ndarray]
    document: Mapping[str, Any]
    history: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    inputs: np.ndarray
    truth: np.ndarray
    predictions: np.ndarray
    watched: str = "validation"
    pretrained: Sequence[Pretrained] = ()
    joint_history: Sequence[Mapping[str, float]] = ()
    probes: Sequence[Mapping[str, Any]] = ()
    components: Mapping[str, np.ndarray] | None = None
    generative: Mapping[str, np.ndarray] | None = None
    architecture: Model | None = None
    loss: Loss | None = None
    first: Mapping[str, np.ndarray] | None = None

    @cached_property
    def network(self) -> Network:
        """The trained network, ready to be asked; it reads values as ``network.scaling.apply(inputs)`` gives them."""
        from nnpipe.models.network import load_network

        return load_network(self.tensors, self.document, self.architecture)

    @property
    def code(self) -> int | None:
        """The place of the layer whose outputs are the code; None where the network is no autoencoder."""
        return self.document.get("code")

    @property
    def label_names(self) -> list[str]:
        """The names of the data's classes, whether or not the network learns them; empty where it has none."""
        return list(self.attributes["class_names"])

    @property
    def class_names(self) -> list[str]:
        """One a class, in the order of labels; empty where the network does not tell classes."""
        return self.label_names if self.code is None else []

    @property
    def target_names(self) -> list[str]:
        """One a number of an answer; empty where the network does not learn numbers."""
        return list(self.attributes.get("target_names", [])) if self.code is None else []

    @property
    def score(self) -> str:
        """What the network says of a class: its ``probability``, or a ``margin`` of any size."""
        return "margin" if self.evaluation.get("scores") == "margins" else "probability"

    @property
    def image_shape(self) -> tuple[int, int, int] | None:
        """(channels, height, width) of an input that can be looked at, None for other data."""
        shape = tuple(self.attributes["input_shape"])
        return shape if len(shape) == 3 and shape[0] in (1, 3) else None

    def receptive_fields(self, weight: np.ndarray) -> np.ndarray | None:
        """A first layer's weights as images (units, channels, height, width); None where they are none.

        weight: (units, inputs) of a dense layer or (filters, channels, height, width) of a convolution.
        """
        shape = self.image_shape
        if shape is None:
            return None
        if weight.ndim == 4:
            return weight if weight.shape[1] == shape[0] and weight.shape[2] > 1 else None
        return weight.reshape(-1, *shape) if weight.ndim == 2 and weight.shape[1] == prod(shape) else None


@dataclass(frozen=True)
class Drawing:
    """A figure and its words.

    caption: how to read it, and what is seen in it.
    alt: what it shows, for somebody who cannot see it.
    plot: whether it is made of lines and letters, and so is kept as SVG too, as sharp as one likes.
    film: figures of the same size to be seen one after the other, with ``figure`` as the last of them.
    """

    title: str
    caption: str
    alt: str
    figure: Figure
    plot: bool = False
    film: Sequence[Figure] = ()


class Rendered(NamedTuple):
    """A drawing and its files: a PNG, of a film an animated one; an SVG of a plot."""

    drawing: Drawing
    png: bytes
    svg: bytes | None


class Picture(Part):
    """A picture as a spec names it. Planning builds it, so matplotlib and numpy are imported inside ``draw``."""

    kind: str
    name: str | None = Field(
        None,
        pattern=r"^[a-z0-9][a-z0-9_-]*$",
        max_length=60,
        description="What its file is called; left out: its kind.",
    )
    title: str | None = Field(None, min_length=1, max_length=120, description="What the report calls it.")
    needs: ClassVar[str]  # what must be there for the picture to apply, in words
    section: ClassVar[Section] = "inside"  # of a report

    @abstractmethod
    def applies(self, subject: Subject) -> bool:
        """Whether there is something to show."""

    @abstractmethod
    def draw(self, subject: Subject) -> Drawing:
        """Draw ``subject``, to which the picture applies."""

    def render(self, subject: Subject) -> Rendered:
        """The drawing and its files: the same subject gives the same bytes, from any thread."""
        from nnpipe.plots import style

        with style.applied():
            drawing = self.draw(subject)
            drawing = replace(drawing, title=self.title) if self.title else drawing
            film = [*drawing.film, drawing.figure]
            png = style.animated_png(film) if len(film) > 1 else style.png(drawing.figure)
            return Rendered(drawing, png, style.svg(drawing.figure, self.kind) if drawing.plot else None)
