"""Image to image: any pipeline that diffusers' AutoPipelineForImage2Image loads."""

import io
import math
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from services.common.errors import GenerationError
from services.common.job_warnings import INPUT_CROPPED
from services.common.modalities.images import ImageLimits, Img2ImgParams
from services.inference.adapters.image_pipeline import ImagePipeline
from services.inference.runtime.adapter import Context, Item

if TYPE_CHECKING:
    from PIL.Image import Image

_SAMPLE: Final = "00000000-0000-7000-8000-000000000000"  # the id of no file: the sample has its picture with it
_SEEN: Final = 8  # pixels cut off; fewer come of rounding to sides that a model can draw
_SIDE: Final = 512  # pixels, of a model that does not say for which size it was trained


class Img2Img(ImagePipeline):
    """Draws images from a picture and words.

    Without a size, the image has the shape of the picture and about as many pixels as the model was trained with. With
    one, the middle of the picture is taken, and a warning tells of what is cut off.
    """

    modality: ClassVar[str] = "img2img"
    source_type: ClassVar[str] = "compositeWithTrainedAlgorithmicMedia"
    auto = "AutoPipelineForImage2Image"

    def batch_key(self, item: Item) -> Hashable:
        # Pictures of another shape cannot share a call, and are read only once it begins: each job has its own.
        params = cast("Img2ImgParams", item.params)
        return item.job_id if params.width is None or params.height is None else self._key(params)

    def given(self, batch: Sequence[Item], context: Context) -> dict[str, Any]:
        """Return the pictures, in the size of the images, and how far and in how many steps to leave them."""
        params = cast("Img2ImgParams", batch[0].params)
        given: dict[str, Any] = {"image": [self._picture(item, context) for item in batch], "strength": params.strength}
        if params.steps is not None:
            # Of the steps a pipeline takes the last ones, as many as the strength asks for; it needs one.
            given["num_inference_steps"] = max(params.steps, math.ceil(1 / params.strength))
        return given

    def sample(self) -> Item:
        from PIL import Image

        params = self.model.parameters({"prompt": "product", "image": _SAMPLE})
        content = io.BytesIO()
        Image.linear_gradient("L").convert("RGB").save(content, "PNG")
        return Item("warm-up", 0, 0, "product", "", params, inputs={"image": content.getvalue()})

    def _key(self, params: Img2ImgParams) -> Hashable:
        return params.width, params.height, params.steps, params.guidance, params.strength

    def _picture(self, item: Item, context: Context) -> "Image":
        """Return the picture in the size of the image. Raise GenerationError for a file that is none."""
        from PIL import Image, ImageOps

        params = cast("Img2ImgParams", item.params)
        try:
            with Image.open(io.BytesIO(item.inputs["image"])) as opened:
                picture = _on_white(opened)
        except (OSError, KeyError) as exc:
            raise GenerationError("the picture cannot be read") from exc
        if params.width is None or params.height is None:
            return picture.resize(self._size_of(picture), Image.Resampling.LANCZOS)
        size = params.width, params.height
        if _cut_off(picture, size) >= _SEEN:
            told = f"the picture was cut to the shape of {size[0]} x {size[1]} pixels"
            context.warn(item.job_id, INPUT_CROPPED, told)
        return ImageOps.fit(picture, size, Image.Resampling.LANCZOS)

    def _size_of(self, picture: "Image") -> tuple[int, int]:
        """Return the size with the shape of the picture, within the limits of the model."""
        limits = cast("ImageLimits", self.model.limits)
        side = self.trained_side or _SIDE
        step, least, most = limits.multiple_of, limits.min_side, limits.max_side
        scale = side / math.sqrt(picture.width * picture.height)

        def fitting(pixels: float) -> int:
            return step * min(max(round(pixels * scale / step), math.ceil(least / step)), most // step)

        return fitting(picture.width), fitting(picture.height)


def _cut_off(picture: "Image", size: tuple[int, int]) -> float:
    """Return how many pixels of the image the picture is longer than it, once it covers it."""
    scale = max(size[0] / picture.width, size[1] / picture.height)
    return max(picture.width * scale - size[0], picture.height * scale - size[1])


def _on_white(picture: "Image") -> "Image":
    """Return the picture without transparency, which no model knows."""
    from PIL import Image

    if not picture.has_transparency_data:
        return picture.convert("RGB")
    ground = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(ground, picture.convert("RGBA")).convert("RGB")
