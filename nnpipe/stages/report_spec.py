"""A spec as text, as a report shows it."""

from __future__ import annotations

import io
from collections.abc import Mapping

from nnpipe.store.canonical import JSON


def spec_text(spec: Mapping[str, JSON]) -> str:
    """A spec as YAML in the order of its fields; a component, which has a kind, stands in one line."""
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap, CommentedSeq
    from ruamel.yaml.representer import RoundTripRepresenter

    class Representer(RoundTripRepresenter):
        """Writes null, which round trips leave empty."""

    Representer.add_representer(type(None), lambda self, _: self.represent_scalar("tag:yaml.org,2002:null", "null"))

    def styled(value: JSON) -> JSON:
        if isinstance(value, Mapping):
            mapping = CommentedMap((key, styled(item)) for key, item in value.items())
            if "kind" in value:
                mapping.fa.set_flow_style()
            return mapping
        if isinstance(value, list | tuple):
            sequence = CommentedSeq(map(styled, value))
            if not any(isinstance(item, Mapping) for item in value):
                sequence.fa.set_flow_style()
            return sequence
        return value

    yaml = YAML()
    yaml.Representer = Representer
    yaml.width = 1000  # flow mappings stay in one line
    yaml.indent(mapping=2, sequence=4, offset=2)
    buffer = io.StringIO()
    yaml.dump(styled(spec), buffer)
    return buffer.getvalue()
