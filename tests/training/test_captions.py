import numpy as np

from services.common.catalogue.files import load_catalogue
from tests.support.system import ROOT
from training import networks
from training.captions import FACTS, write_caption
from training.scenes import BACKGROUNDS, sample_scene
from training.words import STYLE_BACKGROUNDS

MODELS = ROOT / "models"
TEMPLATES = {
    name: style.template
    for name, style in load_catalogue(MODELS / "models.toml", MODELS / "styles.toml").styles.items()
}


def test_every_style_is_trained_on() -> None:
    """Each studio style has one of the backgrounds, so its template appears in captions."""
    assert set(TEMPLATES) == set(STYLE_BACKGROUNDS)
    assert set(BACKGROUNDS) == set(STYLE_BACKGROUNDS.values())


def test_caption_states_only_what_the_scene_shows() -> None:
    """A caption states only facts of its scene, and every fact is stated in some captions and left out in others."""
    rng = np.random.default_rng(5)
    claimed = dict.fromkeys(FACTS, 0)
    for _ in range(500):
        scene = sample_scene(rng)
        caption = write_caption(scene, TEMPLATES, rng)
        for name, value in caption.stated.items():
            assert getattr(scene, name) == value
            claimed[name] += 1
    assert all(100 < count < 500 for count in claimed.values())


def test_an_unknown_word_is_spelt_out_without_loss() -> None:
    """The small vocabulary has every byte, so any text can be decoded again."""
    tokenizer = networks.tokenizer(["a red mug on a white background", "a blue bowl"] * 50)
    text = "a zyx café mug"

    assert tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True).strip() == text
    assert len(tokenizer) == networks.VOCABULARY
