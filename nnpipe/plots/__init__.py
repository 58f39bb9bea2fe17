"""The list of pictures: a new one is a file beside these and a line in ``AnyPicture``, in the order of a report."""

from typing import Annotated

from nnpipe.plots.picture import Picture
from nnpipe.spec import Components, members

# In the order a report shows them: how it went, how good it is, what it looks like inside.
AnyPicture = Annotated[
    Picture,
    Components(
        __name__,
        learning_curves="LearningCurves",
        gradient_flow="GradientFlow",
        error_surface="ErrorSurface",
        confusion_matrix="ConfusionMatrix",
        confusion_examples="ConfusionExamples",
        per_class="PerClass",
        roc_curves="RocCurves",
        precision_recall_curves="PrecisionRecallCurves",
        reliability_diagram="ReliabilityDiagram",
        predicted_vs_true="PredictedVsTrue",
        fitted_function="FittedFunction",
        decision_boundary="DecisionBoundary",
        examples="Examples",
        autoencoder_reconstructions="AutoencoderReconstructions",
        codes="Codes",
        activations="Activations",
        unit_activity="UnitActivity",
        preferred_examples="PreferredExamples",
        preferred_inputs="PreferredInputs",
        attributions="Attributions",
        representation_map="RepresentationMap",
        filters="Filters",
        second_layer_kernels="SecondLayerKernels",
        deep_filters="DeepFilters",
        dense_matrix="DenseMatrix",
        pretrained_filters="PretrainedFilters",
        filter_film="FilterFilm",
        pretraining_curves="PretrainingCurves",
        reconstructions="Reconstructions",
        repairs="Repairs",
        probes="Probes",
        shift_tolerance="ShiftTolerance",
        shift_curves="ShiftCurves",
        pretrained_samples="PretrainedSamples",
        dbn_samples="DbnSamples",
    ),
]


def every_picture() -> tuple[Picture, ...]:
    """One of each, with its default options."""
    return tuple(picture for member in members(AnyPicture) if isinstance(picture := member(), Picture))
