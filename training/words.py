"""The words people use for the facts of a scene, and common words that mean nothing to the model."""

from typing import Final

PRODUCT_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "bottle": ("bottle", "bottle", "wine bottle", "glass bottle", "water bottle"),
    "mug": ("mug", "mug", "coffee mug", "tea mug"),
    "cup": ("cup", "cup", "teacup", "tea cup", "cup and saucer"),
    "vase": ("vase", "vase", "flower vase"),
    "bowl": ("bowl", "bowl", "salad bowl", "soup bowl"),
    "ball": ("ball", "ball", "sphere"),
    "jar": ("jar", "jar", "jam jar", "storage jar"),
    "candle": ("candle", "candle", "scented candle"),
    "bell pepper": ("bell pepper", "bell pepper", "pepper", "capsicum"),
    "tube": ("tube", "tube", "cosmetic tube", "cream tube", "tube of cream"),
    "lamp": ("lamp", "lamp", "table lamp", "desk lamp"),
    "teapot": ("teapot", "teapot", "tea pot"),
    "perfume flask": ("perfume flask", "perfume bottle", "perfume", "flask of perfume", "flacon"),
    "can": ("can", "can", "soda can", "drink can", "tin can"),
    "box": ("box", "box", "gift box", "carton", "cardboard box"),
    "book": ("book", "book", "notebook", "hardcover book"),
    "coffee grinder": ("coffee grinder", "coffee grinder", "grinder", "coffee mill"),
}
COLOUR_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "red": ("red", "red", "crimson", "scarlet"),
    "orange": ("orange", "orange", "tangerine"),
    "yellow": ("yellow", "yellow", "lemon yellow"),
    "lime": ("lime", "lime", "lime green"),
    "green": ("green", "green", "dark green", "emerald"),
    "turquoise": ("turquoise", "turquoise", "teal"),
    "sky blue": ("sky blue", "light blue", "baby blue"),
    "blue": ("blue", "blue", "royal blue", "cobalt blue"),
    "navy": ("navy", "navy blue", "dark blue"),
    "purple": ("purple", "purple", "violet"),
    "pink": ("pink", "pink", "rose pink"),
    "brown": ("brown", "brown", "chocolate brown"),
    "beige": ("beige", "beige", "cream coloured", "sand coloured"),
    "white": ("white", "white", "snow white"),
    "grey": ("grey", "gray", "grey"),
    "black": ("black", "black", "jet black"),
}
BACKGROUND_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "white": ("on a white background", "on white", "white backdrop", "in front of a white wall"),
    "black": ("on a black background", "on black", "black backdrop", "dark background", "on black acrylic"),
    "pink": ("on a pink background", "pink backdrop", "on pastel pink", "in front of a pink wall"),
    "wood": ("on a wooden table", "on wood", "on a wood table", "wooden background"),
    "green": ("on a green background", "green backdrop", "on a stone with moss", "in front of a green wall"),
    "beige": ("on a beige background", "beige backdrop", "on beige linen", "in front of a beige wall"),
    "grey": ("on a grey background", "on a gray background", "grey backdrop", "in front of a grey wall"),
    "dark blue": ("on a dark blue background", "dark blue backdrop", "in neon light", "on a navy background"),
    "light blue": ("on a light blue background", "light blue backdrop", "on a sky blue background"),
}
STYLE_BACKGROUNDS: Final[dict[str, str]] = {
    "white-cyclorama": "white",
    "dark-luxury": "black",
    "pastel-pop": "pink",
    "warm-kitchen": "wood",
    "stone-and-moss": "green",
    "flat-lay": "beige",
    "macro": "grey",
    "neon-tech": "dark blue",
    "sky-blue": "light blue",
}
FINISH_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "matte": ("matte", "matte", "matt", "satin"),
    "glossy": ("glossy", "glossy", "shiny", "glazed"),
    "metallic": ("metallic", "metallic", "polished metal", "chrome"),
}
LIGHT_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "left": ("light from the left", "lit from the left", "left light"),
    "right": ("light from the right", "lit from the right", "right light"),
    "above": ("light from above", "lit from above", "top light", "overhead light"),
}
COUNT_WORDS: Final[dict[int, tuple[str, ...]]] = {1: ("a", "a", "one", "the", ""), 2: ("two", "two", "a pair of", "2")}
OPENINGS: Final = (
    *("a commercial studio photo of", "a studio photo of", "product photo of", "a photo of", "photograph of"),
    *("packshot of", "advertising shot of", "an image of", "professional photo of", "picture of", "i want"),
)
FILLERS: Final = (
    *("professional lighting", "studio lighting", "sharp focus", "soft shadow", "high detail", "4k", "8k"),
    *("minimal", "centered", "clean", "catalogue", "advertisement", "high resolution", "photorealistic", "bokeh"),
    *("award winning", "best quality", "soft light", "cinematic", "product photography"),
)
STRANGERS: Final = (
    *("handmade", "vintage", "elegant", "modern", "japanese", "italian", "luxury", "ceramic", "porcelain", "cute"),
    *("expensive", "new", "small", "big", "large", "premium", "artisan", "designer", "retro", "simple", "beautiful"),
    *("nice", "fancy", "rustic", "scandinavian", "organic", "recycled", "limited edition", "classic", "sleek"),
)
REFUSALS: Final = (
    *("text", "watermark", "clutter", "blurry", "people", "bright background", "dark", "cold light", "indoor"),
    *("perspective", "wide shot", "daylight", "ugly", "low quality", "cropped", "noise"),
)
