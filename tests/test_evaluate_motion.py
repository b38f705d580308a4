"""The judges of motion: what each must say of motions, sounds and frames whose answer is known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

pytest.importorskip("scipy", reason="the training world needs scipy: pip install 'vasa_core[world]'")

from test_structure import MODULES, PACKAGE, module_name, our_imports

from vasa_core import assets
from vasa_core.controls import EMOTIONS
from vasa_core.errors import MissingWeights
from vasa_core.evaluate import asking, capp, dials, emotion, figures, sync
from vasa_core.evaluate.figures import Estimate
from vasa_core.evaluate.findings import Figure, Findings, merged, share_figure
from vasa_core.evaluate.judges import Judges, load_judges, save_judges
from vasa_core.evaluate.lines import Line, read_lines, write_lines
from vasa_core.evaluate.motion_report import JUDGES, write_report
from vasa_core.evaluate.motion_report import lines as told
from vasa_core.evaluate.seen import GazeReading, Mesh, Sighting, Stage
from vasa_core.evaluate.speaking import apart_as_wholes, lip_width, narrowing
from vasa_core.latents import DYNAMICS, EXPRESSION, Motion
from vasa_core.pictures import load_picture
from vasa_core.portrait import prepare
from vasa_core.surface import load_surface
from vasa_core.train import judges as recipe
from vasa_core.world.measures import clip_of, lip_opening, track_of
from vasa_core.world.performer import Mood, perform
from vasa_core.world.texts import SENTENCES
from vasa_core.world.utterances import Phone
from vasa_core.world.voices import ESPEAK_VARIANTS


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Small networks: a second thread waits for the first."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def surface():
    return load_surface(assets.weights("surface.safetensors"))


def unit(count: int, size: int = 16, seed: int = 0) -> torch.Tensor:
    return torch.nn.functional.normalize(
        torch.randn(count, size, generator=torch.Generator().manual_seed(seed)), dim=-1
    )


def moving(surface, frames: int, **curves: np.ndarray) -> Motion:
    """A face with these weights over time, its head at rest."""
    dynamics = torch.zeros(frames, DYNAMICS)
    for name, curve in curves.items():
        direction = torch.from_numpy(surface.dynamics_from_weights({name: 1.0}))
        dynamics += torch.from_numpy(np.asarray(curve, np.float32))[:, None] * direction
    return Motion(head_pose=torch.zeros(frames, 6), facial_dynamics=dynamics)


# --------------------------------------------------------------------------- sound and lips


@pytest.mark.parametrize("late", [-4, 0, 3])
def test_lips_that_come_late_are_found_late(late: int) -> None:
    sounds = unit(120)
    found = sync.matched(sounds, torch.roll(sounds, late, 0))
    assert found.offset == late and found.distance == pytest.approx(0, abs=0.1)
    assert found.confidence == pytest.approx(np.sqrt(2), abs=0.15)  # vectors at random lie about a root of two apart


def test_lips_of_another_sound_earn_no_confidence() -> None:
    assert sync.matched(unit(400), unit(400, seed=1)).confidence < 0.1


def test_a_moment_hears_and_sees_a_fifth_of_a_second_and_no_more() -> None:
    judge = sync.SyncJudge().eval()
    mel, lips = torch.randn(1, 160, 80), torch.randn(1, 40, sync.LIPS)
    heard, seen = judge.hear(mel), judge.see(lips)
    assert heard.shape[1] == seen.shape[1] == 36
    mel[:, :40], mel[:, 60:] = 0, 0  # moment 10 covers frames 10 to 14: mel frames 40 to 59
    lips[:, :10], lips[:, 15:] = 0, 0
    assert torch.allclose(judge.hear(mel)[:, 10], heard[:, 10], atol=1e-5)
    assert torch.allclose(judge.see(lips)[:, 10], seen[:, 10], atol=1e-5)
    assert not torch.allclose(judge.hear(mel)[:, 9], heard[:, 9], atol=1e-3)


def test_how_loud_a_voice_was_recorded_does_not_matter() -> None:
    sound = 0.3 * torch.randn(16000, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(sync.heard(sound, 25), sync.heard(0.1 * sound, 25), atol=1e-3)


def test_the_sync_judge_learns_which_lips_are_whose() -> None:
    torch.manual_seed(0)
    judge = sync.SyncJudge(width=16, size=16)
    curve = torch.randn(2, 40, 1).cumsum(1)
    mel = curve.repeat_interleave(4, 1).expand(-1, -1, 80).contiguous()
    lips = curve.expand(-1, -1, sync.LIPS).contiguous()
    optimiser, losses = torch.optim.Adam(judge.parameters(), 3e-3), []
    for _ in range(40):
        loss = sync.sync_loss(judge, mel, lips)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_narrowing_is_what_rounded_sounds_take_from_the_lips_width(surface) -> None:
    """A pucker held through UW alone; half of it narrows by half, and without a rounded sound there is nothing."""
    phones = tuple(
        Phone(label=label, start_s=0.4 * at, end_s=0.4 * (at + 1)) for at, label in enumerate(("AA", "UW", "S", "IY"))
    )
    pucker = np.repeat([0.0, 0.5, 0.5, 0.0], 10)  # the S between is of neither kind
    track = track_of(moving(surface, 40, mouthPucker=pucker), surface)
    taken = narrowing(track, phones)
    assert taken == pytest.approx(float(np.ptp(lip_width(track))), rel=1e-5) and taken > 0.05
    assert narrowing(track_of(moving(surface, 40, mouthPucker=pucker / 2), surface), phones) == pytest.approx(taken / 2)
    assert np.isnan(narrowing(track, (phones[0], phones[3])))


# --------------------------------------------------------------------------- head and sound


def test_a_tenth_of_the_scripts_is_kept_out_of_training_with_all_its_ways() -> None:
    lengths = list(range(100, 146))  # 23 scripts, each performed twice
    starts = np.cumsum([0, *lengths[:-1]]).tolist()
    nothing = torch.zeros(1, 1)
    takes = recipe.Performed(mel=nothing, lips=nothing, turns_deg=torch.zeros(1, 3), starts=starts, lengths=lengths)
    learned, kept = recipe.parted(takes)
    assert learned.lengths + kept.lengths == lengths and learned.starts + kept.starts == starts
    assert len(learned.lengths) == 40 and len(kept.lengths) == 6
    judge = torch.nn.Linear(1, 1)
    assert recipe.tested(judge, None) == {}
    told = recipe.tested(judge, lambda rng: torch.tensor(rng.random()))
    assert told == recipe.tested(judge, lambda rng: torch.tensor(rng.random())) and judge.training


def test_a_shifted_head_is_judged_by_the_windows_it_is_shifted_to() -> None:
    judge = capp.CappJudge(width=16, curves=4).eval()
    mel, turns = torch.randn(400, 80), np.cumsum(np.random.default_rng(0).normal(size=(100, 3)), 0).astype(np.float32)
    (moved,) = capp.shifted(judge, mel, turns, (5,))
    sounds = capp.windows(mel, range(21))
    heads = torch.stack([torch.from_numpy(turns[s + 5 : s + 5 + capp.WINDOW]) for s in range(21)])
    with torch.no_grad():
        direct = (judge.hear(sounds) * judge.see(capp.turned(heads))).sum(-1)
    assert moved == pytest.approx(float(direct.mean()), abs=1e-5)


def test_a_clip_under_three_seconds_has_no_capp() -> None:
    judge = capp.CappJudge(width=16, curves=4).eval()
    assert np.isnan(capp.judged(judge, torch.randn(296, 80), np.zeros((74, 3), np.float32)))


def test_where_the_head_looks_on_average_does_not_matter() -> None:
    turns = torch.randn(2, 75, 3)
    assert torch.allclose(capp.turned(turns), capp.turned(turns + 7), atol=1e-5)


# --------------------------------------------------------------------------- figures


def test_angles_between_directions() -> None:
    assert figures.angle_deg(np.zeros(2), np.deg2rad([20.0, 0.0])) == pytest.approx(20)
    assert figures.angle_deg(np.deg2rad([90.0, 0.0]), np.deg2rad([0.0, 90.0])) == pytest.approx(90)


def test_the_main_gaze_is_where_most_looks_gather() -> None:
    looks = np.deg2rad([[10, 0], [11, 1], [9, -1], [-20, 5], [30, 0]])
    assert np.rad2deg(figures.main_gaze(looks)) == pytest.approx([10, 0], abs=0.01)


def test_the_frechet_distance_of_a_step_of_one_spread_is_one_a_number() -> None:
    sample = np.random.default_rng(0).normal(size=(4000, 5))
    assert figures.frechet(sample, sample) == pytest.approx(0, abs=1e-6)
    assert figures.frechet(sample + sample.std(0), sample) == pytest.approx(5, rel=1e-6)
    assert figures.frechet(2 * sample - sample.mean(0), sample) == pytest.approx(5, rel=0.01)


def test_an_interval_holds_the_mean_and_narrows_with_more_clips() -> None:
    rng = np.random.default_rng(0)
    few, many = (figures.estimated(rng.normal(3, 1, n).tolist()) for n in (20, 500))
    assert few.low < few.value < few.high and many.high - many.low < 0.4 * (few.high - few.low)
    assert figures.estimated([(1, 2), (3, 2)], figures.ratio_of_means).value == 1
    assert figures.estimated([(1, 4), (3, 4)], figures.share).value == 0.5


def test_rest_is_inside_long_pauses_only() -> None:
    phones = (Phone(label="SIL", start_s=0, end_s=1), Phone(label="AA", start_s=1, end_s=2),
              Phone(label="SIL", start_s=2, end_s=2.3), Phone(label="AA", start_s=2.3, end_s=3),
              Phone(label="SIL", start_s=3, end_s=4))  # fmt: skip
    rest = figures.resting(phones, 100)
    assert np.flatnonzero(rest[:50]).tolist() == list(range(16)) and not rest[25:82].any()
    assert np.flatnonzero(rest[75:]).tolist() == list(range(7, 25))


def test_a_mouth_open_in_half_of_a_pause_is_closed_in_half(surface) -> None:
    phones = (Phone(label="SIL", start_s=0, end_s=4),)
    track = track_of(moving(surface, 100, jawOpen=0.3 * (np.arange(100) >= 50)), surface)
    wide = float(track.landmarks[60, 13, 1] - track.landmarks[60, 14, 1])
    assert figures.closed_at_rest(track, phones, wide) == (50, 100)
    assert figures.quiver(track, phones, wide) == pytest.approx(1 / 99, rel=0.01)  # one jump of the whole opening


def test_lips_that_close_at_each_b_are_counted_and_in_order(surface) -> None:
    phones, opening = [], np.zeros(100)
    for at in range(10):
        phones += [Phone(label="B", start_s=0.4 * at, end_s=0.4 * at + 0.2),
                   Phone(label="AA", start_s=0.4 * at + 0.2, end_s=0.4 * at + 0.4)]  # fmt: skip
        opening[10 * at + 5 : 10 * at + 10] = 0.3
    clip = clip_of(track_of(moving(surface, 100, jawOpen=opening), surface), np.zeros(64000, np.float32), phones)
    closed, count = figures.closures(clip)
    assert closed == count == 10
    assert figures.phone_order([clip])["phone_order"] == pytest.approx(1)
    backwards = clip_of(
        track_of(moving(surface, 100, jawOpen=0.3 - opening), surface), np.zeros(64000, np.float32), phones
    )
    assert figures.closures(backwards)[0] == 0
    assert figures.phone_order([backwards])["phone_order"] == pytest.approx(-1)


def test_lips_that_close_where_nothing_asks_for_it_are_counted(surface) -> None:
    phones = (Phone(label="SIL", start_s=0, end_s=1), Phone(label="AA", start_s=1, end_s=3),
              Phone(label="B", start_s=3, end_s=3.2), Phone(label="AA", start_s=3.2, end_s=4))  # fmt: skip
    opening = np.full(100, 0.3)
    for start in (10, 40, 60, 75):  # in the pause, twice in a vowel, for the B
        opening[start : start + 4] = 0
    track = track_of(moving(surface, 100, jawOpen=opening), surface)
    count, seconds = figures.needless_closures(track, phones)
    assert count == 2 and seconds == pytest.approx(1.8 + 0.7, abs=0.05)


def test_closures_are_weighed_by_chance() -> None:
    rows = np.array([[9, 10, 0.3], [10, 10, 0.5]])
    assert figures.closed_over_chance(rows) == pytest.approx(0.95 / 0.4)


def test_a_steady_head_shows_no_seam_and_a_jumping_one_does() -> None:
    steady = Motion(head_pose=torch.arange(100.0)[:, None].expand(-1, 6), facial_dynamics=torch.zeros(100, DYNAMICS))
    assert figures.join_speed(steady, 42) == pytest.approx(1)
    jumping = replace(steady, head_pose=steady.head_pose + 5 * (torch.arange(100)[:, None] >= 42))
    assert figures.join_speed(jumping, 42) == pytest.approx((6 + 1) / 2, rel=0.01)


def test_few_steps_hold_what_many_give_or_do_better() -> None:
    truth = dict.fromkeys(dials.SUMMARY, 1.0) | {"Fréchet": 0.0, "blinks/min": 15.0}
    many = dict.fromkeys(dials.SUMMARY, 1.0) | {"Fréchet": 0.5, "blinks/min": 28.0, "ΔP ratio": 1.2}
    assert set(dials.losses(many, many, truth).values()) == {0.0}
    better = many | {"blinks/min": 20.0, "Fréchet": 0.3, "ΔP ratio": 0.95, "closures": 1.1}  # nearer; more of it
    assert max(dials.losses(better, many, truth).values()) == 0 and min(dials.losses(better, many, truth).values()) < 0
    worse = dials.losses(many | {"closures": 0.8, "blinks/min": 42.0}, many, truth)
    assert worse["closures"] == pytest.approx(0.2) and worse["blinks/min"] == pytest.approx(14 / 28)


def test_a_loss_holds_within_the_tolerance_or_where_clips_cannot_tell_it() -> None:
    assert dials.holds(Estimate(value=0.09, low=0.05, high=0.2))
    assert dials.holds(Estimate(value=0.3, low=-0.1, high=0.7))
    assert not dials.holds(Estimate(value=0.11, low=0.01, high=0.2))


def test_lines_are_drawn_with_both_sides_and_the_truth_together() -> None:
    """Clips as different as can be, the same on both sides but for closures: only these are lost, and surely."""
    rng = np.random.default_rng(0)

    def clip(size: float, hits: float) -> dials.Counted:
        parts = np.array([[size, 1], [size, 1], [size, 1], [hits, 10], [9, 10], [size, 1], [size, 1]], float)
        return dials.Counted(parts=parts, moving=size * rng.standard_normal((50, 18)))

    truths = [clip(size, 10) for size in (1, 10, 100, 1000)]
    many = [[clip(size, 10)] for size in (2, 30, 100, 500)]
    rows = np.arange(7)[:, None]
    few = [[replace(one, parts=np.where(rows == 3, [[5.0, 10.0]], one.parts))] for (one,) in many]
    lost = dials.few_beside_many(few, many, truths)
    assert (lost["closures"].value, lost["closures"].low, lost["closures"].high) == pytest.approx((0.5, 0.5, 0.5))
    assert all(abs(loss.low) + abs(loss.high) == 0 for name, loss in lost.items() if name != "closures")
    assert [name for name, loss in lost.items() if not dials.holds(loss)] == ["closures"]


def test_a_bar_is_reached_or_missed_and_parts_come_together(tmp_path) -> None:
    good = share_figure("closed", "lips", [(9, 10), (10, 10)], [(10, 10), (10, 10)], low=0.9, bar="≥ 90 %")
    missed = Figure(name="late", what="offset", ours=Estimate(value=3, low=2, high=4), low=-1, high=1, bar="0 ± 1")
    free = Figure(name="free", what="no bar", ours=Estimate(value=1, low=float("nan"), high=float("nan")))
    findings = merged([Findings(figures=[good]), Findings(figures=[missed, free])])
    assert [figure.reached for figure in findings.figures] == [True, False, None]
    assert "MISSED" in told(findings)
    page = write_report(findings, tmp_path).read_text()
    assert "| **no** |" in page and "`closed`" in page
    stored = json.loads((tmp_path / "report.json").read_text())
    assert stored["closed"] == pytest.approx(0.95) and stored["closed_truth"] == 1 and stored["free_low"] is None


def test_curves_become_plots(tmp_path) -> None:
    curve = [[float(k) for k in range(31)]] * 2
    dial = [[0.1 * k for k in range(4)]] * 7
    write_report(Findings(figures=[], curves={"sync_offsets": curve, "emotion_dial": dial}), tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["emotion_dial.png", "sync_offsets.png"]


def test_the_report_says_what_ten_steps_lose_and_by_whom_things_are_judged(tmp_path) -> None:
    kept, lost, unsure = [0.99, 1.0, 0.01, -0.02, 0.03], [0.7, 1.0, 0.3, 0.2, 0.4], [0.8, 1.0, 0.2, -0.1, 0.4]
    rows_ = [lost, unsure, *[kept] * 6]
    page = write_report(Findings(figures=[], curves={"ten_over_fifty": rows_}), tmp_path).read_text()
    rows = [line.split(" | ") for line in page.splitlines()]
    assert ["| S_C ratio", "0.7", "1", "0.3 [0.2, 0.4]", "**no** |"] in rows
    assert ["| CAPP ratio", "0.8", "1", "0.2 [-0.1, 0.4]", "cannot be told |"] in rows
    assert ["| Fréchet", "0.99", "1", "0.01 [-0.02, 0.03]", "yes |"] in rows
    assert all(len(row) == 4 and all(row) for row in JUDGES) and all(row[2] in page for row in JUDGES)


def test_parts_of_a_motion_are_apart_where_they_differ() -> None:
    moving = [np.random.default_rng(seed).standard_normal((80, 18)) for seed in range(3)]
    turned = [one + 2 * np.isin(np.arange(18), [0]) for one in moving]
    assert apart_as_wholes(turned, moving, "head").value == pytest.approx(4, rel=0.05)
    assert apart_as_wholes(turned, moving, "lips").value == pytest.approx(0, abs=1e-6)
    assert apart_as_wholes(turned, moving, "motion").value == pytest.approx(4, rel=0.05)


# --------------------------------------------------------------------------- lines


def test_lines_come_back_as_they_were_written(tmp_path, surface) -> None:
    phones = (Phone(label="SIL", start_s=0, end_s=0.5), Phone(label="AA", start_s=0.5, end_s=1))
    sound = 0.1 * torch.sin(torch.arange(16000) / 9)
    truth = perform(phones, sound.numpy(), Mood(), np.random.default_rng(0)).motion(surface.dynamics_from_expression)
    write_lines([Line(sound=sound, phones=phones, speaker="a", language="b", truths=(truth,))], tmp_path / "lines.npz")
    (line,) = read_lines(tmp_path / "lines.npz")
    assert line.phones == phones and line.spoken and line.seconds == 1
    assert torch.allclose(line.sound, sound, atol=1e-4)
    assert torch.allclose(line.truths[0].packed(), truth.packed(), atol=2e-3)


def test_missing_lines_and_judges_are_refused(tmp_path) -> None:
    with pytest.raises(MissingWeights, match=r"train\.judges lines"):
        read_lines(tmp_path / "no.npz")
    with pytest.raises(MissingWeights, match=r"train\.judges train"):
        load_judges(tmp_path / "no.safetensors")


def test_the_shipped_lines_are_whole_and_nobody_was_trained_on_them() -> None:
    lines = read_lines()
    assert sum(not line.spoken for line in lines) == 1
    for line in lines:
        assert line.phones[0].start_s == 0 and line.phones[-1].end_s == pytest.approx(line.seconds, abs=1e-3)
        assert [p.end_s for p in line.phones[:-1]] == pytest.approx([p.start_s for p in line.phones[1:]], abs=1e-3)
        assert all(len(truth) == -(-len(line.sound) // 640) for truth in line.truths) and len(line.truths) == 2
    assert {line.language for line in lines} & set(SENTENCES) == {"en-us"}
    for line in lines[:-1]:  # as many P, B and M as in ordinary talk, or closing lips would prove nothing
        spoken = [phone.label for phone in line.phones if phone.label != "SIL"]
        assert 0.08 < np.mean([label in ("P", "B", "M") for label in spoken]) < 0.12
    texts = {text for sentences in SENTENCES.values() for text in sentences}
    assert not texts & {text for _, *said in recipe.LINES for text in said}
    generators = {variant for variant, *_ in ESPEAK_VARIANTS}
    assert not generators & set(recipe.JUDGES_VOICES) and not generators & set(recipe.LINE_VOICES)
    assert not set(recipe.JUDGES_VOICES) & set(recipe.LINE_VOICES)


# --------------------------------------------------------------------------- frames


@pytest.fixture(scope="module")
def stage(surface):
    with Mesh() as mesh:
        yield Stage(prepare(load_picture(assets.FOLDER / "portraits" / "mei.png"), surface), surface, mesh)


def test_distance_turn_and_nod_are_read_off_rendered_frames(stage, surface) -> None:
    motion = moving(surface, 4)
    pose = torch.zeros(4, 6)
    pose[1, 5], pose[2, 1], pose[3, 0] = -16.0, np.deg2rad(8.0), np.deg2rad(6.0)
    seen = stage.watched(replace(motion, head_pose=pose), range(4))
    assert seen.frames == [0, 1, 2, 3] and seen.eyes_shown.all()
    assert np.abs(seen.head_pose[0]).max() < 0.05 and np.abs(seen.expression[0]).max() < 0.1
    assert 1 - seen.head_pose[1, 5] / 80 == pytest.approx(1.2, abs=0.008)
    assert np.rad2deg(seen.head_pose[2, 1]) == pytest.approx(8, abs=0.7)
    assert np.rad2deg(seen.head_pose[3, 0]) == pytest.approx(6, abs=1.5)


def test_a_sitter_is_calibrated_by_known_looks(stage) -> None:
    """Also from a reading that knows nothing; looks and a distance not among the known ones are then read aright."""
    calibration = stage.calibrated(GazeReading(weights=np.zeros((5, 2))))
    looks = ((0.2, 0.0), (-0.2, 0.0), (0.1, -0.1))
    pose = torch.zeros(3, 6)
    pose[:, 5] = -0.15 * 80
    dynamics = torch.from_numpy(np.array([stage._look(*look) for look in looks], np.float32))
    seen = stage.watched(Motion(head_pose=pose, facial_dynamics=dynamics), range(3))
    assert np.rad2deg(seen.gaze(calibration.gaze)) == pytest.approx(np.rad2deg(looks), abs=2)
    assert seen.distance(calibration.depth) == pytest.approx(1.15, abs=0.003)


def test_by_landmarks_alone_lips_are_seen_to_part_and_a_lost_face_is_told(stage, surface) -> None:
    motion = moving(surface, 2, jawOpen=np.array([0.0, 0.3]))
    traced = stage.traced(motion)
    opening = lip_opening(track_of(traced, surface))
    assert opening[0] < 0.02 and opening[1] > 0.1
    gone = replace(motion, head_pose=torch.tensor([[0.0, 0, 0, 60, 0, 0]]).repeat(2, 1))
    assert stage.traced(gone) is None


def test_a_picture_without_a_face_is_left_out(stage) -> None:
    seen = stage.read([(4, np.full((512, 512, 3), 128, np.uint8))])
    assert seen.frames == [] and seen.head_pose.shape == (0, 6)


def sighting(lids: list[float], codes: list[float]) -> Sighting:
    count = len(lids)
    return Sighting(frames=list(range(count)), head_pose=np.zeros((count, 6)), readings=np.zeros((count, 5)),
                    expression=np.array(codes)[:, None] * np.ones((1, EXPRESSION)), lids=np.array(lids))  # fmt: skip


def test_a_gaze_behind_lids_is_left_out() -> None:
    seen = sighting([1.0, 0.1], [0.0, 0.0])
    seen.readings[:, 4], seen.readings[1, 0] = 1, np.nan
    weights = np.zeros((5, 2))
    weights[4] = 0.3, -0.1
    assert seen.eyes_shown.tolist() == [True, False]
    assert seen.gaze(GazeReading(weights=weights)) == pytest.approx(np.array([[0.3, -0.1]]))
    assert seen.distance(np.array([-8.0, 1.0])) == pytest.approx(1.1)


def test_blinks_say_nothing_of_the_mood() -> None:
    signs = emotion.signs_of(sighting([1.0, 0.2, 1.2], [0.1, 9.0, 0.3]))
    assert signs[:-1] == pytest.approx(0.2) and signs[-1] == pytest.approx(0.1)


def test_a_mood_is_as_strong_as_it_moves_the_face_the_performed_way() -> None:
    plain, smile, frown = np.zeros(4), np.array([0.0, 2, 0, 0]), np.array([0.0, 0, 2, 0])
    truths = [(0, plain), (1, smile), (2, frown)]
    ours = [(0, plain + 1), (1, plain + 1 + 0.5 * smile + 3 * frown), (2, plain + 1 + frown)]  # another face at rest
    assert asking.mood_strengths(ours, truths) == pytest.approx([0.5, 1.0])


def test_the_way_a_tracker_sees_is_learned_from_what_it_saw() -> None:
    rng = np.random.default_rng(0)
    meant = rng.standard_normal((400, emotion.SIGNS))
    clips = {"signs": torch.from_numpy(0.5 * meant + 0.2), "meant": torch.from_numpy(meant)}
    eye = recipe.imagining({"someone": clips})
    assert eye.signs(meant[:5], rng) == pytest.approx(0.5 * meant[:5] + 0.2, abs=0.02)


def test_a_gaze_reading_undoes_a_tracker_that_sees_half() -> None:
    rng = np.random.default_rng(0)
    gazes = 0.2 * rng.standard_normal((200, 2))
    readings = np.c_[0.5 * gazes, np.zeros((200, 2)), np.ones(200)]
    clips = {"readings": torch.from_numpy(readings), "gazes": torch.from_numpy(gazes)}
    assert recipe.gaze_reading({"someone": clips})(readings) == pytest.approx(gazes, abs=1e-6)


# --------------------------------------------------------------------------- the judges as a file, and their place


def test_judges_are_stored_and_found_again(tmp_path) -> None:
    judges = Judges(sync=sync.SyncJudge().eval(), capp=capp.CappJudge().eval(), emotion=emotion.EmotionJudge().eval(),
                    gaze=GazeReading(weights=np.eye(5, 2)))  # fmt: skip
    save_judges(judges, tmp_path / "judges.safetensors")
    again = load_judges(tmp_path / "judges.safetensors")
    signs = np.linspace(-1, 1, emotion.SIGNS)
    assert emotion.judged(again.emotion, signs) == pytest.approx(emotion.judged(judges.emotion, signs), abs=1e-2)
    assert emotion.judged(again.emotion, signs).shape == (len(EMOTIONS),)
    assert again.gaze.weights == pytest.approx(np.eye(5, 2))


def test_no_judge_is_needed_to_run_nor_part_of_the_generators_loss() -> None:
    allowed = ("world", "evaluate", "__main__", "train.judges")
    for path in MODULES:
        if not module_name(path).startswith(allowed):
            assert not {m for m in our_imports(path) if m.startswith("evaluate")}, module_name(path)
    assert not {m for m in our_imports(PACKAGE / "train" / "motion.py") if m.startswith(("evaluate", "train.judges"))}
