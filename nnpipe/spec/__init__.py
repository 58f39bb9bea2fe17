"""The grammar of specs: parts, documents with positions, and how a mistake is told."""

from nnpipe.spec.part import Part, Path, Shorthand, identity, problem

__all__ = ["Part", "Path", "Shorthand", "identity", "problem"]
