"""torch's fused gradient descent, for parameters that are not all learned from the first step on."""

from __future__ import annotations

import torch


class FusedSGD(torch.optim.SGD):
    """With momentum, torch's fused step takes parameters that all have one already, or none of them."""

    def thawed(self) -> None:
        """Give parameters that are learned from now on a momentum: none yet, which is where torch begins, too."""
        if any(state.get("momentum_buffer") is not None for state in self.state.values()):
            for parameter in (p for group in self.param_groups for p in group["params"]):
                self.state[parameter].setdefault("momentum_buffer", torch.zeros_like(parameter))
