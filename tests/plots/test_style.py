from __future__ import annotations

import io
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure
from PIL import Image

from nnpipe.plots import style

TITLE = "{http://www.w3.org/2000/svg}title"


def line(*heights: float) -> Figure:
    figure = style.new_figure(1)
    figure.add_subplot().plot(heights)
    return figure


@pytest.mark.parametrize("words", ["epoch 3: 0.5", "class \"<b>\" & 'co'", "two\nlines"])
def test_an_svg_tells_what_a_point_is_where_the_pointer_rests(words: str) -> None:
    figure = line(0, 1)
    style.tell(figure.axes[0], [0, 1], [0, 1], [words, "the other"])
    root = ElementTree.fromstring(style.svg(figure, "picture"))
    assert [title.text for title in root.iter(TITLE)] == [" ".join(words.split("\n")), "the other"]


def test_what_is_told_is_not_seen() -> None:
    silent, told = line(0, 1), line(0, 1)
    style.tell(told.axes[0], [0.5], [0.5], ["a point"])
    told.axes[0].set(xlim=silent.axes[0].get_xlim(), ylim=silent.axes[0].get_ylim())
    assert style.png(silent) == style.png(told)


def test_equal_figures_give_equal_svgs_without_a_date() -> None:
    first, second = style.svg(line(0, 1), "picture"), style.svg(line(0, 1), "picture")
    assert first == second
    assert b"<dc:date>" not in first


def test_numbers_of_two_axes_do_not_touch_where_both_begin_in_one_corner() -> None:
    with style.applied():
        figure = style.new_figure(2)
        axes = figure.subplots()
        axes.set(xlim=(0, 1), ylim=(0, 1))
        figure.draw_without_rendering()
        across, upwards = (axis.get_ticklabels()[0].get_window_extent() for axis in (axes.xaxis, axes.yaxis))
    assert not across.overlaps(upwards)


def test_letters_of_an_svg_are_letters() -> None:
    figure = line(0, 1)
    figure.axes[0].set_title("What is shown")
    assert b">What is shown</text>" in style.svg(figure, "picture")


def test_a_film_has_a_frame_for_each_figure_and_rests_on_the_last() -> None:
    film = style.animated_png([line(0, 1), line(1, 0), line(1, 1)])
    with Image.open(io.BytesIO(film)) as image:
        assert image.n_frames == 3
        shown = []
        for frame in range(3):
            image.seek(frame)
            shown.append(image.info["duration"])
    assert shown == [style.FRAME_MS, style.FRAME_MS, style.LAST_FRAME_MS]
