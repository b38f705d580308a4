"""Who listens says nothing, nods at what is heard and looks at who speaks."""

from __future__ import annotations

import numpy as np
import pytest
from test_performer import babble

from vasa_core.world.curves import phrases_of
from vasa_core.world.listening import backchannel_cues, listen, nods
from vasa_core.world.performer import EXPRESSION_NAMES, Mood, lip_gap_cm


@pytest.mark.parametrize("seed", range(3))
def test_listening_has_no_lip_speech(seed: int) -> None:
    phones, sound = babble(seed)
    done = listen(phones, sound, Mood(), np.random.default_rng(seed))
    assert np.abs(lip_gap_cm(done.expression)).max() < 0.06
    for name in ("jawOpen", "mouthFunnel", "mouthPucker", "mouthLowerDown_L"):
        assert np.abs(done.expression[:, EXPRESSION_NAMES.index(name)]).max() < 1e-6


def test_eyes_rest_on_the_speaker() -> None:
    phones, sound = babble(1)
    done = listen(phones, sound, Mood(gaze=(0.25, 0.0)), np.random.default_rng(0))
    world = np.median(done.gaze + done.head_pose[:, 1::-1], axis=0)
    assert world == pytest.approx([0.25, 0.0], abs=0.06)


def test_answers_come_at_the_ends_of_what_is_said() -> None:
    phones, _ = babble(2)
    ends = np.array([end for _, end, _ in phrases_of(phones, 0.18)])
    cues = backchannel_cues(phones, np.zeros(3000), np.random.default_rng(0))
    after = [min(moment - end for end in ends if moment > end) for moment, _ in cues if moment > ends[0]]
    assert len(cues) > 2 and np.mean(np.array(after) < 0.6) > 0.5


def test_nods_go_down_and_come_back() -> None:
    time = np.arange(0, 10, 0.01)
    degrees = nods(time, [(2.0, 1.0), (6.0, 1.0)], np.random.default_rng(3))
    assert degrees.min() >= 0 and 1 < degrees.max() < 12
    assert degrees[:190].max() < 1e-9 and degrees[-100:].max() < 1e-9


def test_listeners_smile_and_nod_more_than_idlers() -> None:
    """With a voice to answer there are nods and smiles that silence does not ask for."""
    smile, pitch_steps = EXPRESSION_NAMES.index("mouthSmile_L"), []
    smiles = []
    for asked in (True, False):
        phones, sound = babble(4)
        if not asked:
            phones, sound = [], np.zeros_like(sound)
        done = [listen(phones, sound, Mood(), np.random.default_rng(seed)) for seed in range(6)]
        smiles.append(np.mean([d.expression[:, smile].mean() for d in done]))
        pitch_steps.append(np.mean([np.abs(np.diff(d.head_pose[:, 0])).mean() for d in done]))
    assert smiles[0] > 1.15 * smiles[1] and pitch_steps[0] > 1.15 * pitch_steps[1]
