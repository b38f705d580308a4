"""What the pages are made of, without a browser: curves, captions, and that nothing a person typed becomes HTML."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

pytest.importorskip("gradio")

import itertools

from demo import cards, pages, theme, verify_page
from demo.captions import SAMPLE_WORDS, cues, webvtt, words_of
from demo.presets import CURVES
from demo.services import ClipView, JobView
from vasa_core.controls import EMOTIONS, Controls

NASTY = '"><script>alert(1)</script>'
SENTENCE = "Maybe my mother may bring home a bag of plums, if the bus comes before five. Or not."


# ---- curves ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(CURVES))
@pytest.mark.parametrize("emotion", EMOTIONS)
@pytest.mark.parametrize("at_the_limits", [False, True])
def test_a_curve_asks_only_for_what_controls_allow(name, emotion, at_the_limits):
    corner = {"gaze": (0.61, -0.43), "head_distance": 1.6, "energy": 2.0} if at_the_limits else {}
    curve = CURVES[name](Controls(emotion=emotion, **corner), 4.0)
    wishes = [curve(k / 25) for k in range(101)]  # Controls refuses what is out of range
    assert len(set(wishes)) > 10 or emotion == "neutral"


@pytest.mark.parametrize("name", sorted(CURVES))
def test_a_curve_has_no_jerks(name):
    curve = CURVES[name](Controls(emotion="sad"), 6.0)
    wishes = [curve(k / 25) for k in range(151)]
    for before, after in itertools.pairwise(wishes):
        assert abs(after.gaze[0] - before.gaze[0]) < 0.05
        assert abs(after.head_distance - before.head_distance) < 0.02
        assert abs(after.emotion_intensity - before.emotion_intensity) < 0.1


def test_looking_away_comes_back():
    curve = CURVES["look_away"](Controls(), 5.0)
    assert curve(0.0).gaze == curve(5.0).gaze == (0.0, 0.0)
    assert curve(2.4).gaze[0] == pytest.approx(0.4189, abs=1e-3)  # 24 degrees


def test_a_change_of_mood_passes_through_none():
    curve = CURVES["mood_swing"](Controls(emotion="angry", emotion_intensity=0.6), 10.0)
    assert (curve(0.0).emotion, curve(0.0).emotion_intensity) == ("angry", 0.6)
    assert curve(5.0).emotion_intensity == 0
    assert (curve(10.0).emotion, curve(10.0).emotion_intensity) == ("happy", 0.6)


# ---- captions -------------------------------------------------------------------------------------------------------


def test_captions_show_every_word_once_in_order_without_gaps():
    shown = cues(SENTENCE, 0.25, 6.25)
    assert " ".join(cue.text for cue in shown) == SENTENCE
    assert shown[0].start_s == 0.25
    assert shown[-1].end_s == 6.25
    assert all(a.end_s == b.start_s for a, b in itertools.pairwise(shown))


def test_captions_break_at_sentences_and_stay_readable():
    for cue in cues(SENTENCE * 3, 0, 20):
        assert len(cue.text) <= 54
        assert not re.search(r"\. \w", cue.text) or cue.text.endswith("Or not.")


def test_the_words_of_a_clip_are_the_typed_ones_or_the_sample_voices():
    assert words_of({"text": "Good morning.", "voice": None}) == "Good morning."
    assert words_of({"text": None, "voice": "french"}) == SAMPLE_WORDS["french"]
    assert words_of({"upload": "0" * 32}) is None


def test_webvtt_is_what_players_expect():
    written = webvtt("One & <two>.", 0.5, 61.25)
    assert written == "WEBVTT\n\n00:00:00.500 --> 00:01:01.250\nOne &amp; &lt;two&gt;.\n"


def test_no_words_or_no_time_give_no_cue():
    assert cues("  ", 0, 5) == []
    assert cues("words", 3, 3) == []


# ---- HTML -----------------------------------------------------------------------------------------------------------


def clip(**changes: object) -> ClipView:
    fields = {
        "id": "a1", "title": "Mei", "made_at": datetime.now(UTC), "duration_s": 3.2, "servable": True, "reason": None,
        "words": None, "owner": "x",
    }  # fmt: skip
    return ClipView(**(fields | changes))


def job(**changes: object) -> JobView:
    fields = {
        "id": "j", "kind": "clip", "state": "queued", "position": 1, "stage": "", "fraction": 0.0, "message": None,
        "clip_id": None, "title": "",
    }  # fmt: skip
    return JobView(**(fields | changes))


@pytest.mark.parametrize(
    "piece",
    [
        cards.clip_stage(clip(title=NASTY)),
        cards.clip_list([clip(title=NASTY), clip(title=NASTY, servable=False, reason=NASTY)]),
        cards.refusal_card(NASTY, NASTY),
        cards.job_card(job(state="running", stage=NASTY)),
        pages.login_page("w", NASTY, NASTY),
        pages.login_page(NASTY),
        verify_page.refused(NASTY),
    ],
)
def test_what_people_typed_stays_text(piece):
    assert "<script>alert" not in piece
    assert '=""><' not in piece


def test_a_piece_is_one_block_of_html_to_markdown():
    assert theme.flat("<p>a\n\n  <b>b</b>\n</p>") == "<div><p>a <b>b</b> </p></div>"


@pytest.mark.parametrize(("position", "said"), [(1, "Next in line"), (2, "1 job before yours"), (4, "3 jobs before")])
def test_a_waiting_job_says_its_place(position, said):
    assert said in cards.job_card(job(position=position))


def test_a_working_job_says_its_stage_and_share():
    card = cards.job_card(job(state="running", position=0, stage="render", fraction=0.42))
    assert "Drawing the frames" in card
    assert 'aria-valuenow="42"' in card


def test_captions_are_offered_only_where_the_words_are_known():
    assert "<track" in cards.clip_stage(clip(words="Hello"))
    assert "<track" not in cards.clip_stage(clip())


@pytest.mark.parametrize(
    ("ago", "said"),
    [(timedelta(seconds=20), "just now"), (timedelta(minutes=5), "5 min ago"), (timedelta(hours=3), "3 h ago")],
)
def test_how_long_ago(ago, said):
    now = datetime(2030, 1, 2, 12, tzinfo=UTC)
    assert cards.ago(now - ago, now) == said


def test_every_page_outside_gradio_loads_only_from_here():
    for page in (pages.login_page("w"), verify_page._page("")):
        addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
        assert addresses
        assert all(address.startswith(("/", "#")) for address in addresses)


def test_no_event_waits_for_gradios_queue():
    """Its stream of answers may close in the moment of a click, which is then never answered."""
    events = pages.build(None).config["dependencies"]  # building asks nothing of the services
    assert len(events) > 20
    assert [event["api_name"] for event in events if event["queue"]] == []


# ---- colours --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ink", "ground", "least"),
    [
        (theme.INK, theme.PAPER, 7.0),
        (theme.INK_SOFT, theme.PAPER, 4.5),
        (theme.INK_SOFT, theme.CARD, 4.5),
        (theme.ACCENT, theme.CARD, 4.5),
        ("#ffffff", theme.ACCENT, 4.5),
        (theme.LINE_STRONG, theme.CARD, 3.0),
        (theme.DARK_INK, theme.DARK_CARD, 7.0),
        (theme.DARK_INK_SOFT, theme.DARK_CARD, 4.5),
        (theme.DARK_ACCENT, theme.DARK_CARD, 4.5),
        ("#0c1d19", theme.DARK_ACCENT, 4.5),
        (theme.DARK_LINE_STRONG, theme.DARK_CARD, 3.0),
    ],
)
def test_contrast_passes_wcag_aa(ink, ground, least):
    light, dark = sorted((luminance(ink), luminance(ground)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= least


def luminance(colour: str) -> float:
    """WCAG 2.1, relative luminance of #rrggbb."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
