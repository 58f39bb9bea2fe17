"""The grammar of specs: parts, documents with positions, and how a mistake is told."""

from nnpipe.spec.components import Components, json_schema, members
from nnpipe.spec.part import Part, Path, Shorthand, Switch, identity, problem

__all__ = ["Components", "Part", "Path", "Shorthand", "Switch", "identity", "json_schema", "members", "problem"]
