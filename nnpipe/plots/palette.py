"""The colours of plots, and what a page calls them, so that it can show them on dark paper too."""

from __future__ import annotations

WHITE, INK, MUTED, FAINT, GRID = "#ffffff", "#1f2328", "#59636e", "#d1d9e0", "#eaeef2"
# Okabe and Ito 2008: told apart with every kind of colour vision.
BLUE, VERMILLION, GREEN, PURPLE, SKY, ORANGE = "#0072b2", "#d55e00", "#009e73", "#aa5a8c", "#56b4e9", "#e69f00"
SERIES = (BLUE, VERMILLION, GREEN, PURPLE, SKY, ORANGE)

# Colour -> the custom property that a style sheet defines for each colour scheme.
PROPERTIES = {
    WHITE: "--paper",
    INK: "--ink",
    MUTED: "--muted",
    FAINT: "--faint",
    GRID: "--grid",
    BLUE: "--blue",
    VERMILLION: "--vermillion",
    GREEN: "--green",
    PURPLE: "--purple",
    SKY: "--sky",
    ORANGE: "--orange",
}
