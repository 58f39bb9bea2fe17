"""What an autoencoder gives back, where its codes lie, and what probes find."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from nnpipe.models.network import load_network
from nnpipe.plots.autoencoder_reconstructions import AutoencoderReconstructions
from nnpipe.plots.codes import Codes
from nnpipe.plots.picture import Subject
from nnpipe.plots.probes import Probes


def test_below_each_image_stands_what_the_network_and_the_components_give_back_of_it(encoded: Subject) -> None:
    drawing, *_ = AutoencoderReconstructions(count=4).render(encoded)
    shown = [np.asarray(axes.images[0].get_array()) for axes in drawing.figure.axes]
    assert len(shown) == 12
    x = (encoded.inputs[:4] / 255).astype(np.float32)  # of the first round of three classes, and one of the second
    network = load_network(encoded.tensors, encoded.document)
    with torch.inference_mode():
        given_back = network(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(shown[4].ravel(), (given_back[0] - x.min()) / (x.max() - x.min()), atol=1e-5)
    error = np.square(given_back - x.reshape(4, -1)).sum(axis=1).mean()
    assert f"{error:.3g} for the network" in drawing.caption
    assert "for the components" in drawing.caption


def test_images_of_one_class_follow_those_of_every_other(encoded: Subject) -> None:
    sorted_by_class = replace(encoded, truth=np.repeat([0, 1, 2], 4))
    drawing, *_ = AutoencoderReconstructions(count=5).render(sorted_by_class)
    first = np.asarray(drawing.figure.axes[1].images[0].get_array())
    x = encoded.inputs[[0, 4, 8, 1, 5]] / 255
    np.testing.assert_allclose(first, ((x - x.min()) / (x.max() - x.min()))[1, 0], atol=1e-6)


def test_without_components_nothing_is_said_of_them(encoded: Subject) -> None:
    drawing, *_ = AutoencoderReconstructions().render(replace(encoded, components=None))
    assert "components" not in drawing.caption
    assert len(drawing.figure.axes) == 20


def test_codes_lie_in_their_first_two_principal_directions(encoded: Subject) -> None:
    drawing, *_ = Codes().render(encoded)
    points = np.asarray(drawing.figure.axes[0].collections[0].get_offsets())
    theirs = PCA(2).fit(encoded.predictions)
    np.testing.assert_allclose(np.abs(points), np.abs(theirs.transform(encoded.predictions)), atol=1e-5)
    assert f"{theirs.explained_variance_ratio_.sum():.0%} of their variance" in drawing.caption


def test_below_them_lies_a_map_by_t_sne_of_the_codes_as_scikit_learn_makes_it(encoded: Subject) -> None:
    drawing, *_ = Codes().render(encoded)
    points = np.asarray(drawing.figure.axes[1].collections[0].get_offsets())
    theirs = TSNE(perplexity=11 / 3, init="pca", random_state=0, max_iter=500).fit_transform(encoded.predictions)
    np.testing.assert_allclose(points, theirs, rtol=1e-4, atol=1e-4)
    assert len(Codes(mapped=0).render(encoded)[0].figure.axes) == 1


def test_a_code_of_two_numbers_is_drawn_as_it_is_and_of_one_not_at_all(encoded: Subject) -> None:
    drawing, *_ = Codes().render(replace(encoded, predictions=encoded.predictions[:, :2]))
    points = np.asarray(drawing.figure.axes[0].collections[0].get_offsets())
    assert points == pytest.approx(encoded.predictions[:, :2])
    assert drawing.figure.axes[0].get_xlabel() == "first unit of the code"
    assert not Codes().applies(replace(encoded, predictions=encoded.predictions[:, :1]))


def test_probes_are_two_lines_from_the_input_on(encoded: Subject) -> None:
    drawing, *_ = Probes().render(encoded)
    lines = [line.get_ydata() for line in drawing.figure.axes[0].lines if line.get_gid() is None]
    assert [list(line) for line in lines] == [[0.75, 0.875], [0.5, 0.625]]
    assert "Linear probe: 75.00% of the input, 87.50% after layer 1." in drawing.caption
