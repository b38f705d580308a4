"""Sampling with denoisers whose answers are known: a Gaussian has an exact one in one line."""

from __future__ import annotations

import pytest
import torch

from vasa_core.diffusion import cosine, straight
from vasa_core.sampler import (
    ddim_step,
    guided,
    held,
    mean_way,
    sample,
    sample_deis,
    sample_multistep,
    settled,
    time_grid,
)

MEAN, STD = 3.0, 0.5


def gaussian_denoiser(schedule):
    """E[x_0 | x_t] for x_0 ~ N(3, 1/2): the exact denoiser."""

    def denoise(noisy, time):
        alpha, sigma = (part[:, None] for part in schedule(time))
        gain = alpha * STD**2 / (alpha**2 * STD**2 + sigma**2)
        return MEAN + gain * (noisy - alpha * MEAN)

    return denoise


@pytest.mark.parametrize("schedule", [cosine, straight])
def test_an_exact_denoiser_gives_back_its_distribution(schedule) -> None:
    noise = torch.randn(5_000, 1, generator=torch.Generator().manual_seed(0))
    drawn = sample(gaussian_denoiser(schedule), noise, 200, schedule)
    assert drawn.mean().item() == pytest.approx(MEAN, abs=0.03)
    assert drawn.std().item() == pytest.approx(STD, abs=0.03)


def test_with_one_known_answer_every_step_count_arrives_there() -> None:
    answer = torch.tensor([[1.0, -2.0]])
    for steps in (1, 2, 10):
        assert torch.allclose(sample(lambda x, t: answer, torch.randn(1, 2), steps), answer, atol=1e-6)


@pytest.mark.parametrize("schedule", [cosine, straight])
def test_two_answers_together_need_fewer_steps(schedule) -> None:
    """The flow of an exact denoiser keeps every noise's place: x_0 = 3 + noise / 2."""
    noise = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    exact, denoiser = MEAN + STD * noise, gaussian_denoiser(schedule)

    def error(solver, steps):
        return (solver(denoiser, noise, steps, schedule) - exact).abs().max()

    assert error(sample_multistep, 10) < 0.3 * error(sample, 10)
    assert error(sample_multistep, 160) < error(sample_multistep, 40) / 6  # second order: a sixteenth, when fine
    assert error(sample, 160) > error(sample, 40) / 6  # first order: a quarter


def test_a_walk_even_in_time_is_second_order_and_keeps_small_motion_in_ten_steps() -> None:
    def scaled(std, steps, solver=sample_deis):
        def denoise(noisy, time):
            alpha, sigma = (part[:, None] for part in cosine(time))
            return alpha * std**2 / (alpha**2 * std**2 + sigma**2) * noisy

        return solver(denoise, torch.ones(1, 1, dtype=torch.float64), steps).item() / std  # 1 is exact

    assert abs(scaled(1.0, 160) - 1) < abs(scaled(1.0, 40) - 1) / 6
    assert scaled(0.2, 10) == pytest.approx(1, abs=0.03)
    assert scaled(0.2, 10, sample_multistep) < 0.8
    assert scaled(2.0, 10) == pytest.approx(1, abs=0.01)
    assert scaled(2.0, 10, sample_multistep) < 0.94


def test_a_clean_sample_that_changes_evenly_in_time_is_walked_exactly() -> None:
    """Answers 2 + 3 t whatever the noise: only the first step, which knows no answer before, may err."""
    denoiser = lambda noisy, time: (2 + 3 * time)[:, None].expand_as(noisy)  # noqa: E731
    few, many = (sample_deis(denoiser, torch.zeros(1, 1, dtype=torch.float64), steps) for steps in (10, 40))
    assert few.item() == pytest.approx(2, abs=1e-6) and many.item() == pytest.approx(2, abs=1e-6)


def test_how_far_into_a_step_its_clean_sample_counts() -> None:
    now, then = torch.tensor(0.5), torch.tensor(0.4)
    # straight: signal over noise is 1/t - 1, and the mean of t under d(1/t) is ln(now/then) / (1/then - 1/now)
    expected = 0.5 - torch.log(now / then) / (1 / then - 1 / now)
    assert mean_way(now, then, straight).item() == pytest.approx(expected.item(), abs=1e-5)
    assert mean_way(torch.tensor(0.1), torch.tensor(0.0), cosine).item() == pytest.approx(0.1)


def test_small_motion_needs_small_last_steps() -> None:
    """What moves a twentieth of its channel's spread is nearly lost in equal steps, and kept by late ones."""

    def small(noisy, time):
        alpha, sigma = (part[:, None] for part in cosine(time))
        return alpha * 0.05**2 / (alpha**2 * 0.05**2 + sigma**2) * noisy

    noise = torch.ones(1, 1, dtype=torch.float64)
    assert sample_multistep(small, noise, 10).item() < 0.35 * 0.05
    assert sample_multistep(small, noise, 10, late=1.75).item() > 0.75 * 0.05
    assert time_grid(4, 2.0).tolist() == [1, 0.5625, 0.25, 0.0625, 0]


def test_multistep_arrives_at_one_known_answer_too() -> None:
    answer = torch.tensor([[1.0, -2.0]])
    for steps in (1, 2, 10):
        assert torch.allclose(sample_multistep(lambda x, t: answer, torch.randn(1, 2), steps), answer, atol=1e-6)


def test_on_the_straight_schedule_a_step_is_eulers_on_the_flow() -> None:
    denoiser, noisy = gaussian_denoiser(straight), torch.randn(6, 1)
    now, then = torch.full((6,), 0.8), torch.full((6,), 0.7)
    velocity = (noisy - denoiser(noisy, now)) / 0.8  # dx/dt of x_t = (1 - t) x_0 + t noise
    assert torch.allclose(ddim_step(denoiser, noisy, now, then, straight), noisy - 0.1 * velocity, atol=1e-5)


def test_a_lambda_of_its_own_for_each_channel() -> None:
    clean = guided(Toy(), {"audio": torch.tensor([0.5, 2.0]), "gaze": torch.zeros(2)})(torch.zeros(3, 2), torch.ones(3))
    assert clean.tolist() == [[10 + 0.5 * 6, 10 + 2 * 6]] * 3


class Toy:
    """H(C) = 10, without audio 4, without gaze 7; counts its calls and batch sizes."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, noisy, time, without):
        self.sizes.append(len(noisy))
        answer = {None: 10.0, "audio": 4.0, "gaze": 7.0}
        return torch.cat([torch.full((len(noisy) // len(without), 2), answer[name]) for name in without])


def test_guidance_is_the_papers_equation_2_in_one_batch() -> None:
    toy = Toy()
    clean = guided(toy, {"audio": 0.5, "gaze": 1.0})(torch.zeros(3, 2), torch.ones(3))
    assert torch.allclose(clean, torch.full((3, 2), (1 + 0.5 + 1.0) * 10 - 0.5 * 4 - 1.0 * 7))
    assert toy.sizes == [9]


def test_a_condition_pushes_only_once_its_time_has_come() -> None:
    toy = Toy()
    denoiser = guided(toy, {"audio": 1.0, "gaze": 1.0}, until={"gaze": 0.6})
    assert denoiser(torch.zeros(1, 2), torch.tensor([0.7])).tolist() == [[16, 16]]
    assert denoiser(torch.zeros(1, 2), torch.tensor([0.5])).tolist() == [[19, 19]]
    assert toy.sizes == [2, 3]


def test_guidance_0_is_the_plain_denoiser() -> None:
    toy = Toy()
    clean = guided(toy, {"audio": 0.0, "gaze": 0.0})(torch.zeros(3, 2), torch.ones(3))
    assert torch.equal(clean, torch.full((3, 2), 10.0))
    assert toy.sizes == [3]


def test_held_frames_arrive_where_they_are_wanted_and_others_are_free() -> None:
    wanted, weight = torch.tensor([[5.0, 0.0]]), torch.tensor([[1.0, 0.0]])
    drawn = sample(held(lambda x, t: torch.tensor([[1.0, 2.0]]), wanted, weight), torch.randn(1, 2), 10)
    assert torch.allclose(drawn, torch.tensor([[5.0, 2.0]]), atol=1e-6)


def test_settled_directions_keep_their_share_of_the_first_answer_and_others_none() -> None:
    answers = iter([[0.0, 5.0], [4.0, 1.0], [8.0, 3.0]])
    slope = torch.tensor([[0.6], [0.8]])  # 0.6 x + 0.8 y of the answers: 4, 3.2, 7.2; across it -3, 2.6, 4.6
    denoiser = settled(lambda x, t: torch.tensor([next(answers)]), slope, 0.5)
    across = torch.tensor([0.8, -0.6])
    for along_known, across_known in ((4.0, -3.0), (3.6, 2.6), (5.6, 4.6)):
        clean = denoiser(torch.zeros(1, 2), torch.ones(1))
        assert (clean @ slope).item() == pytest.approx(along_known, abs=1e-5)
        assert (clean @ across).item() == pytest.approx(across_known, abs=1e-5)
