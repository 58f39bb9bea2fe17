"""The grammar of specs: parts, documents with positions, and how a mistake is told."""

from nnpipe.spec.part import Part, Path, identity, problem, shorthand

__all__ = ["Part", "Path", "identity", "problem", "shorthand"]
