"""What can be done to pictures before they are learned from. A new one is a file here and a line in the union."""

from typing import Annotated

from pydantic import Field

from nnpipe.training.augmentation.affine import Affine
from nnpipe.training.augmentation.augmentation import Augmentation
from nnpipe.training.augmentation.crop import Crop
from nnpipe.training.augmentation.elastic import Elastic
from nnpipe.training.augmentation.erasing import Erasing
from nnpipe.training.augmentation.flip import Flip
from nnpipe.training.augmentation.shift import Shift

AnyAugmentation = Annotated[
    Shift | Affine | Crop | Flip | Elastic | Erasing,
    Field(discriminator="kind"),
]

__all__ = ["Affine", "AnyAugmentation", "Augmentation", "Crop", "Elastic", "Erasing", "Flip", "Shift"]
