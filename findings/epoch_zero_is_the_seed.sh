#!/usr/bin/env bash
# numpy 2.4.6: `default_rng([seed, epoch])`, a stream for each part of a run.
#
# Guess: different lists of whole numbers seed different streams.
# Seen:  zeros at the end do not count, up to four numbers: [7, 0], [7, 0, 0] and [7, 0, 0, 0] are 7, and [7, 0, 0, 0, 0] is the first child that
#        SeedSequence(7) spawns. [7, 1] is 7 + 2^32. Users' held-out items drawn by default_rng(7), and negatives of epoch 0 by
#        default_rng([7, 0]): all 1,000 negatives are the held-out items, and in epoch 1 about one in 200, which is chance. Factors started by 7
#        and the noise of epoch 0, or of (epoch 0, user 0), are the same numbers.
# So:    the first epoch, fold, worker or user repeats what the run's own stream has drawn: a split, a start, a permutation. Put the seed last
#        ([epoch, 7]), count from 1, or use SeedSequence(7).spawn.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON_SCRIPT'
import numpy as np

SEED, USERS, ITEMS = 7, 1000, 200


def stream(entropy):
    return np.random.default_rng(entropy).integers(0, 2**62, 8).tolist()


print("numpy", np.__version__)
assert np.__version__ == "2.4.6"
own = stream(SEED)
for entropy in ([SEED], [SEED, 0], [SEED, 0, 0], [SEED, 0, 0, 0], [SEED, 0, 0, 0, 0], [SEED, 1], [0, SEED]):
    same = stream(entropy) == own
    print(f"{entropy}: {'the stream of 7' if same else 'another stream'}")
    assert same == (entropy[0] == SEED and not any(entropy[1:]) and len(entropy) <= 4)
first, second = (stream(child) for child in np.random.SeedSequence(SEED).spawn(2))
assert stream([SEED, 0, 0, 0, 0]) == first != own and second not in (own, first)
assert stream([SEED, 1]) == stream(SEED + 2**32) and stream([SEED, 0, 1]) == stream([SEED, 2**32])
print("[7, 0, 0, 0, 0]: the first child that SeedSequence(7) spawns; [7, 1]: 7 + 2^32; [7, 0, 1]: [7, 2^32]")

held_out = np.random.default_rng(SEED).integers(0, ITEMS, USERS)
for epoch in range(3):
    for name, entropy in (("seed first", [SEED, epoch]), ("seed last", [epoch, SEED])):
        negatives = np.random.default_rng(entropy).integers(0, ITEMS, USERS)
        share = float((negatives == held_out).mean())
        print(f"epoch {epoch}, {name}: {share:.1%} of the users' negatives are their held-out item")
        assert share == 1.0 if (epoch, name) == (0, "seed first") else share < 0.02

started = np.random.default_rng(SEED).normal(size=(50, 16))
assert np.array_equal(started, np.random.default_rng([SEED, 0, 0]).normal(size=(50, 16)))
assert not np.array_equal(started, np.random.default_rng([SEED, 0, 1]).normal(size=(50, 16)))
PYTHON_SCRIPT
echo "as written"
