"""How much each pixel has to do with what a network says: three answers, of which each means something else.

x: (n, channels, height, width), as the network reads them; classes: (n,) int64, the class of each that is asked about;
scores: of x, (n, classes). Each gives a map for each example, (n, height, width), channels added up.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import Tensor

Scores = Callable[[Tensor], Tensor]
AT_ONCE = 200  # examples that the network reads at once


def gradient(scores: Scores, x: Tensor, classes: Tensor) -> np.ndarray:
    """What a little more of a pixel adds to the score: Simonyan, Vedaldi & Zisserman 2014, section 3, with its sign."""
    from captum.attr import Saliency

    return _map(Saliency(scores).attribute(x.clone().requires_grad_(), target=classes, abs=False))


def integrated_gradients(scores: Scores, x: Tensor, classes: Tensor, baseline: Tensor, steps: int) -> np.ndarray:
    """How much of the score's difference from ``baseline`` each pixel makes, which is the maps' sum.

    Sundararajan, Taly & Yan 2017, section 3; the integral by Gauss and Legendre with ``steps`` points.
    baseline: (channels, height, width).
    """
    from captum.attr import IntegratedGradients

    method = IntegratedGradients(scores)
    found = method.attribute(
        x, baseline.expand_as(x), target=classes, n_steps=steps, internal_batch_size=max(AT_ONCE, len(x))
    )
    return _map(found)


def occlusion(scores: Scores, x: Tensor, classes: Tensor, baseline: Tensor, window: int) -> np.ndarray:
    """By how much the score falls where a square of ``window`` pixels is ``baseline``, mean over squares of a pixel.

    Zeiler & Fergus 2014, section 4.2. Squares are half their side apart.
    """
    from captum.attr import Occlusion

    channels, stride = x.shape[1], max(1, window // 2)
    found = Occlusion(scores).attribute(
        x,
        sliding_window_shapes=(channels, window, window),
        strides=(channels, stride, stride),
        baselines=baseline.expand_as(x),
        target=classes,
        perturbations_per_eval=max(1, AT_ONCE // len(x)),
    )
    return _map(found) / channels


def _map(attributions: Tensor) -> np.ndarray:
    return attributions.detach().sum(1).double().numpy()
