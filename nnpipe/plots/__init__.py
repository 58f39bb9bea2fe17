"""The list of pictures: a new one is a file beside these, a member of ``AnyPicture`` and a place in ``EVERY``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nnpipe.plots.confusion_matrix import ConfusionMatrix
from nnpipe.plots.decision_boundary import DecisionBoundary
from nnpipe.plots.examples import Examples
from nnpipe.plots.filters import Filters
from nnpipe.plots.fitted_function import FittedFunction
from nnpipe.plots.gradient_flow import GradientFlow
from nnpipe.plots.learning_curves import LearningCurves
from nnpipe.plots.picture import Drawing, Picture, Pretrained, Subject
from nnpipe.plots.predicted_vs_true import PredictedVsTrue
from nnpipe.plots.pretrained_filters import PretrainedFilters
from nnpipe.plots.pretraining_curves import PretrainingCurves
from nnpipe.plots.reliability_diagram import ReliabilityDiagram

AnyPicture = Annotated[
    LearningCurves
    | GradientFlow
    | ConfusionMatrix
    | ReliabilityDiagram
    | PredictedVsTrue
    | FittedFunction
    | DecisionBoundary
    | Examples
    | Filters
    | PretrainedFilters
    | PretrainingCurves,
    Field(discriminator="kind"),
]

# In the order a report shows them: how it went, how good it is, what it looks like inside.
EVERY: tuple[Picture, ...] = (
    LearningCurves(),
    GradientFlow(),
    ConfusionMatrix(),
    ReliabilityDiagram(),
    PredictedVsTrue(),
    FittedFunction(),
    DecisionBoundary(),
    Examples(),
    Filters(),
    PretrainedFilters(),
    PretrainingCurves(),
)

__all__ = ["EVERY", "AnyPicture", "Drawing", "Picture", "Pretrained", "Subject"]
