from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from PIL import Image

mpl.use("Agg")

from vasa_core import showing
from vasa_core.errors import BadOption
from vasa_core.trust.label import contrast

ALT = "A line that rises from left to right."


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict, dict]]:
    """Everything displayed, as (data, metadata)."""
    found: list[tuple[dict, dict]] = []

    def display(data: dict, metadata: dict | None = None, raw: bool = False) -> None:
        assert raw
        found.append((data, metadata or {}))

    monkeypatch.setattr(showing, "display", display)
    return found


@pytest.fixture(autouse=True)
def _style_as_before():
    import torch

    threads = torch.get_num_threads()
    with mpl.rc_context():
        yield
    torch.set_num_threads(threads)


def decoded(data: dict) -> Image.Image:
    (kind,) = (key for key in data if key.startswith("image/"))
    return Image.open(io.BytesIO(base64.b64decode(data[kind])))


def test_a_figure_is_shown_with_its_words_and_closed(shown):
    showing.set_up()
    figure, axes = plt.subplots()
    axes.plot([0, 1], [0, 1])
    showing.described(figure, ALT)
    (picture, metadata), (words, _) = shown
    assert metadata["image/png"]["alt"] == ALT == picture["text/plain"]
    assert ALT in words["text/html"]
    assert decoded(picture).width == 900
    assert not plt.fignum_exists(figure.number)


def test_a_figure_of_photographs_is_light(shown):
    noise = np.random.default_rng(0).integers(0, 255, (256, 256, 3), np.uint8)
    figure = showing.pictures([noise] * 3)
    showing.described(figure, "Three squares of coloured noise side by side.")
    data, metadata = shown[0]
    assert set(metadata) == {"image/jpeg"}
    assert decoded(data).format == "JPEG"


@pytest.mark.parametrize("alt", ["", "Figure 1", "  a  graph "])
def test_a_figure_without_a_description_is_refused(alt, shown):
    with pytest.raises(BadOption, match="sentence"):
        showing.described(plt.figure(), alt)
    assert not shown
    plt.close("all")


def test_every_picture_in_a_grid_is_labelled():
    grey = np.full((512, 512, 3), 127, np.uint8)
    figure = showing.pictures([grey] * 5, list("abcde"), columns=3)
    images = [axes.get_images()[0].get_array() for axes in figure.axes if axes.get_images()]
    assert len(images) == 5
    for image in images:
        assert image.shape == (256, 256, 3)
        assert (image[:30, 128:] != 127).any(), "the label stands top right"
        assert (image[128:] == 127).all()
    assert (grey == 127).all(), "what was given stays as it was"
    plt.close(figure)


def test_a_grid_wants_a_title_for_each_or_none():
    with pytest.raises(BadOption, match="title"):
        showing.pictures([np.zeros((8, 8, 3), np.uint8)], ["a", "b"])
    with pytest.raises(BadOption):
        showing.pictures([])


def test_the_lines_differ_from_one_another_and_from_the_page():
    rgb = [np.array(mpl.colors.to_rgb(colour)) * 255 for colour in showing.CYCLE]
    for at, one in enumerate(rgb):
        assert contrast(one, np.full(3, 255.0)) > 1.9
        assert all(np.linalg.norm(one - other) > 60 for other in rgb[:at])


def test_a_clip_that_was_released_is_shown_inside_the_page(shown, tmp_path, grant, house):
    from vasa_core.trust.release import release_video

    frames = [np.full((64, 64, 3), 40 * k, np.uint8) for k in range(3)]
    released = release_video(frames, None, 25, tmp_path / "clip.mp4", grant(), house=house)
    showing.clip(released, 'Three squares, "growing" lighter.')
    data, metadata = shown[0]
    inside = data["text/html"].split("base64,")[1].split('"')[0]
    assert base64.b64decode(inside) == released.path.read_bytes()
    assert "&quot;growing&quot;" in data["text/html"]
    assert metadata["text/html"]["alt"].startswith("Three squares")


def test_a_clip_too_heavy_for_a_page_is_refused(shown, tmp_path, grant, house, monkeypatch):
    from vasa_core.trust.release import release_video

    released = release_video([np.zeros((64, 64, 3), np.uint8)], None, 25, tmp_path / "c.mp4", grant(), house=house)
    monkeypatch.setattr(showing, "LARGEST_CLIP_BYTES", 10)
    with pytest.raises(BadOption, match="shorter"):
        showing.clip(released, "One black frame and nothing else.")
    assert not shown


def kept(tmp_path: Path) -> Path:
    (tmp_path / "motion.json").write_text(json.dumps({"capp_ratio": 0.5, "window_ms": None}))
    return tmp_path


def test_numbers_stand_beside_those_of_the_report(shown, tmp_path):
    showing.beside_report("motion", {"capp_ratio": 0.5123, "window_ms": 4}, kept(tmp_path))
    data, _ = shown[0]
    assert data[showing.FIGURES_MIME] == {"report": "motion", "figures": {"capp_ratio": 0.5123, "window_ms": 4.0}}
    assert "<td>capp_ratio</td><td>0.512</td><td>0.5</td>" in data["text/html"]
    assert "window_ms: here 4, report –" in data["text/plain"]


def test_what_no_report_knows_is_refused(tmp_path):
    with pytest.raises(BadOption, match="nonsense"):
        showing.beside_report("motion", {"nonsense": 1.0}, kept(tmp_path))
    with pytest.raises(BadOption, match="vasa evaluate face"):
        showing.report("face", tmp_path)


def test_a_portrait_that_is_not_moved_is_shown_as_it_is():
    import torch

    from vasa_core import assets
    from vasa_core.studio import Studio

    studio = Studio()
    portrait = studio.portrait(assets.FOLDER / "portraits" / "mei.png")
    moments = torch.zeros(2, 56)
    moments[0, 1] = 0.3
    turned, rest = showing.stills(studio, portrait, moments, size=512)
    assert turned.shape == rest.shape == (512, 512, 3)
    apart = [np.abs(still.astype(float) - portrait.crop).mean() for still in (rest, turned)]
    assert apart[0] < 0.5 < 4 < apart[1], "the second has its hair at rest although the first was turned"


def test_a_sweep_draws_what_is_known_and_no_more():
    from vasa_core.evaluate.dials import PAPER

    ours = {0.0: {"S_C ratio": 0.8, "closures": 0.5}, 1.0: {"S_C ratio": 0.9, "closures": 0.7}}
    figure = showing.sweep(("S_C ratio", "closures"), ours, {1.0: PAPER[1.0, 1.0, 50]}, "λ_A")
    lines = {(at, line.get_label()): line.get_ydata() for at, axes in enumerate(figure.axes) for line in axes.lines}
    assert list(lines[0, "ours"]) == [0.8, 0.9]
    assert list(lines[0, "paper"]) == [pytest.approx(8.218 / 7.192)]
    assert list(lines[1, "ours"]) == [0.5, 0.7]
    assert list(lines[1, "paper"]) == []
    plt.close(figure)


def test_the_phone_roll_shows_who_was_believed_and_when():
    import torch

    from vasa_core.speech import PHONES, Heard

    logits = torch.full((20, 40), -20.0)
    logits[:10, PHONES.index("M")], logits[10:, PHONES.index("AA")] = 20.0, 20.0
    nothing = torch.zeros(20)
    heard = Heard(code=torch.zeros(20, 4), phone_logits=logits, voicing_logit=nothing, loudness=nothing,
                  melody=nothing, level=nothing)  # fmt: skip
    figure, place = plt.subplots()
    assert showing.phone_roll(place, heard, 0.4) == ["AA", "M"]
    drawn = np.asarray(place.get_images()[0].get_array())
    assert drawn.round().tolist() == [[0] * 10 + [1] * 10, [1] * 10 + [0] * 10]
    plt.close(figure)


def test_what_a_line_says_at_each_moment():
    import torch

    from vasa_core.evaluate.lines import Line
    from vasa_core.world.utterances import Phone

    phones = (Phone(label="SIL", start_s=0.0, end_s=0.1), Phone(label="M", start_s=0.1, end_s=0.2))
    line = Line(sound=torch.zeros(3200), phones=phones, speaker="nobody", language="en", truths=())
    assert line.said(6, 25.0) == ["SIL", "SIL", "M", "M", "M", "M"]
