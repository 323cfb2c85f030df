"""Text to image: any pipeline that diffusers' AutoPipelineForText2Image loads."""

from collections.abc import Sequence
from typing import Any, ClassVar, cast

from services.common.modalities.images import ImageParams
from services.inference.adapters.image_pipeline import ImagePipeline
from services.inference.runtime.adapter import Context, Item


class Txt2Img(ImagePipeline):
    """Draws images from words."""

    modality: ClassVar[str] = "txt2img"
    auto = "AutoPipelineForText2Image"

    def given(self, batch: Sequence[Item], context: Context) -> dict[str, Any]:  # noqa: ARG002 - of the base
        """Return the size, which all items of a batch share."""
        params = cast("ImageParams", batch[0].params)
        return {"width": params.width, "height": params.height}

    def sample(self) -> Item:
        params = self.model.parameters({"prompt": "product"})
        return Item("warm-up", 0, 0, "product", "", params)
