"""Numbers as people read them."""

from __future__ import annotations

from collections.abc import Sequence


def duration(seconds: float | None) -> str:
    """Seconds in the two largest units that matter; a dash where they are not known."""
    if seconds is None:
        return "–"  # noqa: RUF001 - a dash is meant
    if seconds < 9.95:
        return f"{seconds:.1f} s" if seconds >= 0.0995 else f"{1000 * seconds:.0f} ms"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def size(count: int) -> str:
    """A number of bytes, in decimal units."""
    for factor, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} bytes"


def number(value: float | None) -> str:
    """Whole numbers with separators, measures with four figures; a dash where there is none."""
    if value is None:
        return "–"  # noqa: RUF001 - a dash is meant
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def percent(share: float) -> str:
    """A share of one, with the decimals that tell results apart."""
    return f"{share:.2%}"


def shape(sizes: Sequence[int]) -> str:
    """The shape of one example or activation."""
    return "\N{MULTIPLICATION SIGN}".join(map(str, sizes))


def kind(name: str) -> str:
    """The name of a kind or a measure, as words."""
    unseen = name.startswith("val_")
    return ("validation " if unseen else "") + name.removeprefix("val_").replace("_", " ")


def metric(name: str) -> str:
    """The name of a measure of the test examples, as words that begin a row."""
    told = name.removeprefix("test_").replace("_", " ").replace("f1", "F1")
    known = {
        "loss": "test loss",
        "r2": "R\N{SUPERSCRIPT TWO}",
        "roc auc": "area under the ROC curve",
        "pca squared error": "squared error of principal components",
    }
    told = known.get(told, told)
    return told[:1].upper() + told[1:]


def joined(names: Sequence[str]) -> str:
    """A list in a sentence."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
