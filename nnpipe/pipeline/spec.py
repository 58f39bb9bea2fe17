"""The whole spec: the one place where the parts of every package come together and are checked against each other.

Nothing heavy is imported: shapes and sizes are worked out from the numbers in the spec.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, model_validator

from nnpipe.datasets.data import Data
from nnpipe.datasets.sources.source import Description
from nnpipe.errors import NnpipeError, SpecError
from nnpipe.evaluation.probing import Probing
from nnpipe.evaluation.promote import Promote
from nnpipe.evaluation.settings import Measures
from nnpipe.exporters import AnyExporter
from nnpipe.exporters.card import Card
from nnpipe.models.architecture import Model
from nnpipe.models.layers.layer import ShapeError, shown
from nnpipe.models.unrolling import Unroll
from nnpipe.pipeline.exports import check_exports
from nnpipe.pipeline.first_weights import check_first_weights
from nnpipe.pipeline.hooks import Hooks
from nnpipe.pipeline.imported import with_the_files_layers
from nnpipe.plots import AnyPicture
from nnpipe.pretraining.pretrain import Pretrain
from nnpipe.spec import Part, Shorthand, Switch, problem
from nnpipe.spec.document import Document
from nnpipe.spec.matrix import MATRIX, has_matrix
from nnpipe.spec.validate import validate
from nnpipe.training.losses.inputs import check_loss_of_inputs
from nnpipe.training.losses.loss import LossError
from nnpipe.training.losses.outputs import check_outputs
from nnpipe.training.train import Train


class Spec(Part):
    """What to compute: data, network, pretraining, training, pictures and exports."""

    version: Literal[1] = Field(description="Version of the grammar of specs.")
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=80, description="Names the refs: NAME/latest.")
    description: str = Field("", description="For the reader of the report.")
    seed: int = Field(0, ge=0, description="All randomness of training comes from it.")
    data: Data
    model: Model
    pretrain: Pretrain | None = None
    probe: Annotated[Probing | None, Switch()] = Field(
        None, description="true, or options: ask the input and every pretrained layer how well they tell classes."
    )
    train: Train
    evaluate: Measures = Field(Measures(), description="What is measured on the test examples.")
    visualize: tuple[Annotated[AnyPicture, Shorthand()], ...] | None = Field(
        None, description="Pictures to draw; left out: every picture that says something about this network."
    )
    export: tuple[Annotated[AnyExporter, Shorthand()], ...] = Field(
        (), description="Formats that the trained network leaves in.", validate_default=False
    )
    card: Card = Field(Card(), description="What the model card beside every export says in your words.")
    promote: Annotated[Promote | None, Switch()] = Field(
        None,
        description="true, or options: a run whose network is better moves NAME/champion to it. Part of no recipe.",
    )
    hooks: Hooks = Field(Hooks(), description="What else is done when a run is over. Part of no recipe.")
    log: Literal["tensorboard"] | None = Field(
        None, description="tensorboard: event files of every run. Part of no recipe: it changes no result."
    )

    @model_validator(mode="before")
    @classmethod
    def _read_the_network_of_a_file(cls, data: Any, info: ValidationInfo) -> Any:
        return with_the_files_layers(data, (info.context or {}).get("root", Path()))

    @model_validator(mode="after")
    def _check_parts_against_each_other(self, info: ValidationInfo) -> Spec:
        root = (info.context or {}).get("root", Path())
        try:
            description = self.data.source.describe(root)
        except NnpipeError as error:
            what = f"{error.where}: {error.what}" if error.where else error.what
            raise problem(
                what, path=("data", "source"), expected=error.expected, found=error.found, hint=error.hint
            ) from error
        self._check_shapes(description)
        if self.model.unroll:
            self._check_autoencoder(self.model.unroll)
        else:
            self._check_answers(description)
        self.train.check(self.model.unrolled(description.shape or (1,)), description.shape)
        if self.pretrain:
            self.pretrain.check(self.model, description.classes)
            self._check_scaling(self.pretrain)
        check_first_weights(self)
        check_exports(self)
        if self.promote:
            classes, top_k = description.classes, self.evaluate.top_k
            self.promote.check(classes, unrolled=self.model.unroll is not None, top_k=top_k)
        if self.probe and description.classes == 0:
            raise problem(
                "probes tell classes, and the data's answers are numbers",
                path=("probe",),
                expected="data with classes",
                found=f"{description.targets} numbers to learn",
                hint="leave probe out",
            )
        if self.train.early_stopping and not self.data.validation:
            raise problem(
                "early stopping needs validation examples",
                path=("train", "early_stopping"),
                expected="data.validation greater than 0",
                found="no validation split",
                hint="set data.validation, for example to 0.1: nothing is ever chosen by the test examples",
            )
        return self

    def _repr_html_(self) -> str:
        from nnpipe.pipeline.cards import spec_card

        return spec_card(self)

    def _check_scaling(self, pretrain: Pretrain) -> None:
        first = pretrain.stack(self.model)[0]
        method = first.settings.method
        if self.data.scaling == "standard" and first.below is None and method.reads_probabilities(None):
            raise problem(
                f"pretraining by {method.kind} reads values as probabilities",
                path=("data", "scaling"),
                expected="unit, or data between 0 and 1",
                found="standard: mean 0, deviation 1",
                hint="{kind: autoencoder, loss: mean_squared_error} takes any inputs",
            )

    def _check_shapes(self, description: Description) -> None:
        if description.shape is None:
            return
        if self.train.augmentation and len(description.shape) != 3:
            raise problem(
                "only pictures can be augmented",
                path=("train", "augmentation"),
                expected="data whose examples are channels x height x width",
                found=f"examples of {shown(description.shape)} features",
                hint="leave augmentation out",
            )
        try:
            self.model.shapes(description.shape)
        except ShapeError as error:
            raise _shape_problem(error) from error
        if description.classes is not None and not self.model.unroll:
            try:
                check_outputs(self.model, description.shape, self.train.loss, description.classes, description.targets)
            except ShapeError as error:
                raise _shape_problem(error) from error

    def _check_autoencoder(self, unroll: Unroll) -> None:
        try:
            check_loss_of_inputs(unroll, self.train.loss)
        except ShapeError as error:
            raise _shape_problem(error) from error
        if unroll.output == "sigmoid" and self.data.scaling == "standard":
            raise problem(
                "sigmoid units give values from 0 to 1, and the inputs to give back are others",
                path=("data", "scaling"),
                expected="unit, or model.unroll: {output: linear}",
                found="standard: mean 0, deviation 1",
            )
        if self.data.target_scaling == "standard":
            raise problem(
                "an autoencoder's answers are its inputs, which data.scaling scales",
                path=("data", "target_scaling"),
                expected="target_scaling left out",
                found="standard",
            )
        for number, each in enumerate(self.pretrain.stack(self.model) if self.pretrain else [], start=1):
            if self.pretrain and each.settings.method.needs_labels(each.layer):
                raise problem(
                    f"{each.settings.method.kind} learns from labels, and the decoder needs what gives inputs back",
                    path=self.pretrain.place_of("method", number),
                    expected="rbm or autoencoder",
                    found=each.settings.method.kind,
                )
        stopping = self.train.early_stopping
        if stopping and not stopping.measured(None):
            raise problem(
                f"{stopping.monitor} is not measured of inputs that are given back",
                path=("train", "early_stopping", "monitor"),
                expected="val_loss",
                found=stopping.monitor,
            )

    def _check_answers(self, description: Description) -> None:
        classes, stopping = description.classes, self.train.early_stopping
        if classes is None:
            return
        linear = self.model.last_activation == "linear"
        if self.data.target_scaling == "standard" and (classes or not linear):
            raise problem(
                "the answers cannot be scaled to mean 0 and variance 1",
                path=("data", "target_scaling"),
                expected="numbers to learn, and activation linear in the last layer",
                found=f"{classes} classes" if classes else f"activation {self.model.last_activation}",
                hint="leave target_scaling out",
            )
        if self.train.examples is not None and self.train.examples < classes:
            raise problem(
                "fewer training examples than classes",
                path=("train", "examples"),
                expected=f"at least {classes}, one of each class",
                found=str(self.train.examples),
            )
        if stopping and not stopping.measured(classes):
            raise problem(
                f"{stopping.monitor} is not measured of {'classes' if classes else 'numbers'}",
                path=("train", "early_stopping", "monitor"),
                expected="val_loss or " + ("val_accuracy" if classes else "val_mean_absolute_error"),
                found=stopping.monitor,
            )


def _shape_problem(error: ShapeError) -> Any:
    path: tuple[str | int, ...] = ("model", "layers") if error.index is None else ("model", "layers", error.index)
    if isinstance(error, LossError):
        path = ("train", "loss")
    return problem(error.what, path=path, expected=error.expected, found=error.found, hint=error.hint)


def read_spec(path: Path | str, overrides: tuple[str, ...] = ()) -> Spec:
    """Read, override and check a spec file. Paths inside it start from its folder.

    Raises:
        SpecError: one problem for each mistake, with file, line and column.
        UsageError: an override is not KEY=VALUE.
    """
    document = Document.read(Path(path))
    return check_spec(document, overrides, Path(path).resolve().parent)


def check_spec(document: Document, overrides: tuple[str, ...], root: Path) -> Spec:
    """The spec that a document says, with ``overrides`` (KEY=VALUE). One with a ``matrix`` is refused."""
    if has_matrix(document):
        what = "a spec with a matrix is not one run but a family of runs"
        hint = f"nnpipe sweep {document.name} runs them all; with --dry-run it tells what they share"
        raise SpecError([NnpipeError(what, where=document.where((MATRIX,), key=True), hint=hint)])
    for assignment in overrides:
        document.override(assignment)
    return validate(Spec, document, {"root": root})
