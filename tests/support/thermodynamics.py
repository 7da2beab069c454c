"""Energy and entropy over all users of a data set, as the paper has them: sums of those by user."""

from dataclasses import dataclass

import torch

from recbole_diffusion.evaluation.thermodynamics import by_reading, original_by_user


@dataclass(frozen=True)
class Thermodynamics:
    """Sums over users; divide by ``users`` to compare data sets.

    Attributes:
        energy: U of Eq. 7, at most users x items; in the other readings the interactions have their number.
        entropy: S of Eq. 8, in nats; in bits in the other readings.
        users: number of users with a training interaction; the others are left out.
    """

    energy: float
    entropy: float
    users: int


def thermodynamics(score, positives, *, how="l1", reading="equations", block=256):
    """Return energy and entropy of a model; arguments as of ``by_reading``."""
    users = _with_interactions(positives)
    return _sums(*by_reading(score, positives, users, (reading,), how=how, block=block)[reading])


def original_thermodynamics(positives, reading="equations"):
    """Return energy and entropy of the interactions themselves."""
    return _sums(*original_by_user(positives, _with_interactions(positives), reading))


def _with_interactions(positives):
    return torch.nonzero(positives.offsets.diff() > 0).squeeze(1)


def _sums(energy, entropy):
    return Thermodynamics(float(energy.sum()), float(entropy.sum()), len(energy))
