"""Refinement: known blends, bounds and volumes."""

import numpy as np
import pytest
import torch

from vasa_core.errors import MissingWeights
from vasa_core.refinement import (
    FEATURES,
    MOUTH_PAINTED,
    VOLUME,
    Answer,
    Appearance,
    FaceNetworks,
    Refinement,
    Seen,
    bounded,
    composed,
    load_networks,
    shares,
)
from vasa_core.sight import COARSE, FINE, MOVED_PX
from vasa_core.train.face import save_networks

WARPED, UNMOVED, PAINTED = range(3)


def answer(share: int, size: int = 32, flow: float = 0.0, gain: float = 0.0) -> Answer:
    logits = torch.full((1, 3, size, size), -30.0)
    logits[:, share] = 30.0
    return Answer(
        logits=logits,
        painted=torch.full((1, 3, size, size), 0.25),
        flow=torch.full((1, 2, size // 4, size // 4), flow),
        gain=torch.full((1, 3, size // 4, size // 4), gain),
        unmoved_within=torch.ones(1, 1, size, size),
        painted_within=torch.ones(1, 1, size, size),
    )


@pytest.fixture
def pictures():
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(1, 3, 32, 32, generator=generator) * 2 - 1 for _ in range(2)]


def test_each_source_alone_is_that_source(pictures):
    warped, portrait = pictures
    torch.testing.assert_close(composed(answer(WARPED), warped, portrait)[0], warped)
    torch.testing.assert_close(composed(answer(UNMOVED), warped, portrait)[0], portrait)
    torch.testing.assert_close(composed(answer(PAINTED), warped, portrait)[0], torch.full_like(warped, 0.25))


def test_flow_moves_the_warp_and_gain_lights_it(pictures):
    warped, portrait = pictures
    moved = composed(answer(WARPED, flow=2.0), warped, portrait)[0]
    torch.testing.assert_close(moved[..., :-2, :-2], warped[..., 2:, 2:])
    lit = composed(answer(WARPED, gain=float(np.log(0.5))), warped, portrait)[0]
    torch.testing.assert_close(lit + 1, (warped + 1) / 2)


def test_no_ghost_of_a_head_that_has_moved_on_and_no_flow_where_skin_is_shown():
    fine, coarse, matte = torch.zeros(1, 5, 32, 32), torch.zeros(1, 12, 16, 16), torch.ones(1, 1, 32, 32)
    said = answer(UNMOVED, flow=2.0)
    torch.testing.assert_close(shares(bounded(said, fine, coarse, matte)), shares(said))
    coarse[:, 0], coarse[:, -1] = 10 / MOVED_PX, 1.0  # the head has moved by 10 pixels
    assert shares(bounded(said, fine, coarse, matte))[:, WARPED].min() == 1
    assert shares(bounded(said, fine, coarse, 0 * matte))[:, UNMOVED].min() == 1  # background stays
    coarse[:, -1] = 0.0  # it is the chest that moved
    assert shares(bounded(said, fine, coarse, matte))[:, UNMOVED].min() == 1
    fine[:, 2] = 1.0
    assert bounded(said, fine, coarse, matte).flow.abs().max() == 0


@pytest.mark.parametrize(("opening", "painted", "gain"), [("mouth", MOUTH_PAINTED, 0.5), ("eyes", 0.0, 0.0)])
def test_of_what_is_drawn_between_lips_and_lids_so_much_may_be_painted_and_lit(opening, painted, gain):
    fine, still, matte = torch.zeros(1, 5, 32, 32), torch.zeros(1, 12, 16, 16), torch.ones(1, 1, 32, 32)
    fine[:, FINE.index("person")] = fine[:, FINE.index(opening), 14:18, 8:24] = 1.0
    for source, allowed in ((UNMOVED, 0.0), (PAINTED, painted)):
        said = bounded(answer(source, gain=0.5), fine, still, matte)
        assert shares(said)[:, WARPED, 14:18, 8:24].min() == pytest.approx(1 - allowed)
        assert shares(said)[:, source, 14:18, 8:24].max() == pytest.approx(allowed)
        assert shares(said)[:, source, :4].min() == 1
        assert said.gain[..., 4, 3:5].abs().max() == pytest.approx(gain)


def test_features_are_lifted_where_the_portrait_shows_them():
    depth = torch.full((1, 1, 128, 128), 5.0)
    seen = Seen(
        crop=torch.zeros(1, 3, 256, 256),
        matte=torch.ones(1, 1, 256, 256),
        depth=depth,
        rotation=torch.eye(3)[None],
        translation=torch.zeros(1, 3),
        scale_px=torch.tensor([15.0]),
    )
    encoder = Appearance()
    lifted = encoder.lift(torch.ones(1, FEATURES, 64, 64), seen)[0]
    at = encoder.voxels.reshape(*VOLUME, 3)
    near, far = (at[..., 2] - 5).abs() < 0.8, (at[..., 2] - 5).abs() > 5
    inside = (at[..., 0].abs() < 8) & (at[..., 1].abs() < 8)
    assert lifted[-1][near & inside].min() > 0.75
    assert lifted[-1][far].max() < 1e-3
    torch.testing.assert_close(lifted[0], lifted[-1])  # features of one everywhere are lifted as the weight itself


def test_the_network_costs_less_than_six_gflop():
    from torch.utils.flop_counter import FlopCounterMode

    planes = [torch.zeros(1, n, 256, 256) for n in (3, 3, 5)]
    coarse = [torch.zeros(1, n, 128, 128) for n in (len(COARSE), FEATURES)]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        Refinement()(*planes, *coarse)
    assert counter.get_total_flops() < 6e9


def test_weights_come_back_and_foreign_files_are_refused(tmp_path):
    networks = FaceNetworks()
    save_networks(networks, tmp_path / "face.safetensors")
    again = load_networks(tmp_path / "face.safetensors").state_dict()
    for name, value in networks.state_dict().items():
        torch.testing.assert_close(again[name].float(), value.half().float(), atol=1e-3, rtol=1e-2)  # perhaps bfloat16
    with pytest.raises(MissingWeights, match="restore it"):
        load_networks(tmp_path / "nothing.safetensors")
