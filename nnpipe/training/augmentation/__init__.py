"""What can be done to pictures before they are learned from. A new one is a file here and a line in the union."""

from typing import Annotated

from nnpipe.spec import Components
from nnpipe.training.augmentation.augmentation import Augmentation

AnyAugmentation = Annotated[
    Augmentation,
    Components(
        __name__,
        shift="Shift",
        affine="Affine",
        crop="Crop",
        flip="Flip",
        elastic="Elastic",
        erasing="Erasing",
    ),
]
