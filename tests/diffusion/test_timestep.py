"""Training steps and their features against hand-computed values and a plain loop."""

import math
from collections import deque

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_diffusion.diffusion import ImportanceSteps, antithetic_steps, sinusoidal_embedding, uniform_steps

DEVICES = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])
SIZES = st.integers(1, 50)


@pytest.fixture(params=DEVICES)
def device(request):
    return torch.device(request.param)


def generator(seed, device="cpu"):
    return torch.Generator(device).manual_seed(seed)


def assert_frequencies(t, probability):
    """Each count lies within five standard deviations of its expectation."""
    expected = torch.as_tensor(probability, dtype=torch.float64)
    frequency = torch.bincount(t.cpu(), minlength=len(expected)).double() / len(t)
    assert bool(((frequency - expected).abs() <= 5 * (expected * (1 - expected) / len(t)).sqrt()).all()), (
        frequency
    )


@settings(deadline=None)
@given(steps=SIZES, batch=st.integers(0, 50), draw=st.sampled_from([uniform_steps, antithetic_steps]))
def test_steps_are_in_range_and_repeat_with_the_generator(steps, batch, draw):
    t = draw(steps, batch, generator=generator(1))
    assert t.shape == (batch,)
    assert t.dtype == torch.long
    assert bool(((t >= 0) & (t < steps)).all())
    assert torch.equal(t, draw(steps, batch, generator=generator(1)))


@pytest.mark.parametrize("draw", [uniform_steps, antithetic_steps])
def test_every_step_is_equally_likely(draw, device):
    t = draw(10, 100_000, device=device, generator=generator(2, device))
    assert t.device.type == device.type
    assert_frequencies(t, [0.1] * 10)


@settings(deadline=None)
@given(steps=SIZES, half=st.integers(1, 25))
def test_antithetic_mean_is_exact_for_an_even_batch(steps, half):
    t = antithetic_steps(steps, 2 * half, generator=generator(3))
    assert t.double().mean().item() == (steps - 1) / 2
    assert bool((t[:half] + t[half:] == steps - 1).all())


def test_antithetic_odd_batch_leaves_one_step_alone():
    t = antithetic_steps(10, 7, generator=generator(4))
    assert t.shape == (7,)
    assert (t[:3] + t[4:]).tolist() == [9, 9, 9]
    assert antithetic_steps(10, 1, generator=generator(4)).shape == (1,)


@pytest.mark.parametrize(
    "make", [lambda n: uniform_steps(n, 3), lambda n: antithetic_steps(n, 3), ImportanceSteps]
)
@pytest.mark.parametrize("steps", [0, -1, 1.5])
def test_steps_out_of_range(make, steps):
    with pytest.raises(ValueError, match="steps must be a whole number of at least 1"):
        make(steps)


def filled(device="cpu", share=0.001):
    """Three steps with histories of root mean square 1, 2 and 5."""
    module = ImportanceSteps(3, history=2, uniform_ratio=share).to(device)
    module.update(
        torch.tensor([0, 1, 2, 0, 1, 2], device=device),
        torch.tensor([1.0, 2.0, 1.0, 1.0, 2.0, 7.0], device=device),
    )
    return module


def test_importance_probabilities_by_hand(device):
    expected = torch.tensor([1 / 8, 2 / 8, 5 / 8], device=device)
    torch.testing.assert_close(filled(device).probabilities(), 0.999 * expected + 0.001 / 3)
    torch.testing.assert_close(filled(device, share=0.5).probabilities(), 0.5 * expected + 0.5 / 3)


def test_importance_draws_follow_the_probabilities_and_weights_undo_them(device):
    module = filled(device)
    t, weight = module.sample(200_000, generator(5, device))
    probability = module.probabilities()
    assert_frequencies(t, probability.double().cpu())
    torch.testing.assert_close(weight, 1 / (3 * probability)[t])
    losses = torch.tensor([3.0, -1.0, 4.0], device=device)  # the weighted mean estimates the plain mean, 2
    assert (weight * losses[t]).mean().item() == pytest.approx(2.0, abs=0.05)


def test_importance_is_uniform_until_every_history_is_full():
    module = ImportanceSteps(3, history=2)
    module.update(torch.tensor([0, 0, 1, 1, 2]), torch.tensor([9.0, 9.0, 1.0, 1.0, 1.0]))
    t, weight = module.sample(30_000, generator(6))
    assert_frequencies(t, [1 / 3] * 3)
    torch.testing.assert_close(weight, torch.ones(30_000))
    module.update(torch.tensor([2]), torch.tensor([1.0]))
    torch.testing.assert_close(module.probabilities(), 0.999 * torch.tensor([9.0, 1.0, 1.0]) / 11 + 0.001 / 3)


def test_importance_with_zero_losses_is_uniform():
    module = ImportanceSteps(4, history=1)
    module.update(torch.arange(4), torch.zeros(4))
    torch.testing.assert_close(module.probabilities(), torch.full((4,), 0.25))


@settings(deadline=None)
@given(
    kept=st.integers(1, 4),
    batches=st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9)), max_size=20), max_size=5),
)
def test_importance_history_equals_a_plain_loop(kept, batches):
    module = ImportanceSteps(4, history=kept, uniform_ratio=0.01)
    queues = [deque(maxlen=kept) for _ in range(4)]
    for batch in batches:
        module.update(
            torch.tensor([t for t, _ in batch], dtype=torch.long),
            torch.tensor([float(loss) for _, loss in batch]),
        )
        for t, loss in batch:
            queues[t].append(float(loss))
    for t, queue in enumerate(queues):
        assert sorted(module.history[t].tolist()) == sorted([*queue, *[0.0] * (kept - len(queue))])
    expected = [0.25] * 4
    if all(len(queue) == kept for queue in queues):
        sizes = [math.sqrt(sum(loss**2 for loss in queue) / kept) for queue in queues]
        expected = [0.99 * size / sum(sizes) + 0.01 / 4 for size in sizes]
    assert module.probabilities().tolist() == pytest.approx(expected, rel=1e-5)


def test_importance_update_takes_losses_with_a_gradient():
    module = ImportanceSteps(2, history=1)
    module.update(torch.tensor([1, 0]), torch.tensor([3.0, 4.0], requires_grad=True) * 2)
    assert module.history.tolist() == [[8.0], [6.0]]
    assert not module.history.requires_grad


def test_importance_resumes_exactly():
    def go_on(module, draws):
        seen = []
        for _ in range(5):
            t, weight = module.sample(8, draws)
            module.update(t, t.float() + 1)
            seen.append((t, weight))
        return seen

    whole, draws = filled(), generator(7)
    go_on(whole, draws)
    copy, copied_draws = ImportanceSteps(3, history=2), torch.Generator()
    copy.load_state_dict(whole.state_dict())
    copied_draws.set_state(draws.get_state())
    assert set(whole.state_dict()) == {"history", "seen"}
    for (t, weight), (copied_t, copied_weight) in zip(
        go_on(whole, draws), go_on(copy, copied_draws), strict=True
    ):
        assert torch.equal(t, copied_t)
        assert torch.equal(weight, copied_weight)


def test_importance_arguments_out_of_range():
    with pytest.raises(ValueError, match="history must be at least 1, got 0"):
        ImportanceSteps(3, history=0)
    for share in (0.0, 1.5):
        with pytest.raises(ValueError, match=rf"uniform_ratio must be in \(0, 1\], got {share}"):
            ImportanceSteps(3, uniform_ratio=share)
    with pytest.raises(ValueError, match=r"vectors of one length, got shapes \[2\] and \[3\]"):
        ImportanceSteps(3).update(torch.tensor([0, 1]), torch.zeros(3))


def test_embedding_cosine_first_by_hand():
    expected = [
        [1.0, 1.0, 0.0, 0.0],
        [math.cos(3), math.cos(0.03), math.sin(3), math.sin(0.03)],  # frequencies 1 and 10000 ** (-1 / 2)
    ]
    torch.testing.assert_close(sinusoidal_embedding(torch.tensor([0, 3]), 4), torch.tensor(expected))


def test_embedding_sine_first_by_hand():
    waves = [3.0, 0.3, 0.03]  # frequencies 1, 100 ** (-1 / 2) and 1 / 100
    expected = [[*map(math.sin, waves), *map(math.cos, waves)], [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]]
    ours = sinusoidal_embedding(torch.tensor([3, 0]), 6, order="sin_cos", max_period=100)
    torch.testing.assert_close(ours, torch.tensor(expected))


def test_embedding_of_odd_size_ends_in_zero():
    t = torch.tensor([1, 5])
    odd = sinusoidal_embedding(t, 5)
    assert odd.shape == (2, 5)
    assert torch.equal(odd[:, :4], sinusoidal_embedding(t, 4))
    assert odd[:, 4].tolist() == [0.0, 0.0]


@settings(deadline=None)
@given(
    size=st.integers(2, 20).map(lambda half: 2 * half),
    order=st.sampled_from(["cos_sin", "sin_cos"]),
    t=st.floats(0, 1000),
)
def test_embedding_pairs_lie_on_the_unit_circle(size, order, t):
    features = sinusoidal_embedding(torch.tensor([t], dtype=torch.float64), size, order=order)
    assert features.shape == (1, size)
    assert features.dtype == torch.float64
    first, second = features.chunk(2, -1)
    torch.testing.assert_close(first**2 + second**2, torch.ones_like(first))
    fast_sine = second[0, 0] if order == "cos_sin" else first[0, 0]
    assert fast_sine.item() == pytest.approx(math.sin(t), abs=1e-9)


def test_embedding_takes_continuous_times_on_any_device(device):
    ours = sinusoidal_embedding(torch.tensor([0.25], device=device), 4, order="sin_cos")
    assert ours.device.type == device.type
    expected = [[math.sin(0.25), math.sin(0.25e-4), math.cos(0.25), math.cos(0.25e-4)]]
    torch.testing.assert_close(ours.cpu(), torch.tensor(expected))


@pytest.mark.parametrize(
    ("size", "order", "message"),
    [
        (4, "sine", "order must be 'cos_sin' or 'sin_cos', got 'sine'"),
        (1, "cos_sin", "size must be at least 2 .*, got 1"),
        (5, "sin_cos", "size must be even and at least 4 .*, got 5"),
        (2, "sin_cos", "size must be even and at least 4 .*, got 2"),
    ],
)
def test_embedding_arguments_out_of_range(size, order, message):
    with pytest.raises(ValueError, match=message):
        sinusoidal_embedding(torch.tensor([1]), size, order=order)
