#!/usr/bin/env bash
# torchdata 0.11.0 with torch 2.13.0: `StatefulDataLoader(shuffle=True, generator=...)`, resumed from its `state_dict()`.
#
# Guess: the rest of the epoch and all epochs after it have the batches of the run that was not interrupted; or, since only its own state is kept, the
#        rest of the epoch has them and the others have them where the generator's state is put back by hand.
# Seen:  with two workers all epochs have them, whatever the seed of the new generator is. Without workers the rest of the epoch has them and no epoch
#        after it, nor any after a state from between two epochs; neither the same seed nor the generator's own state, put back before or
#        after loading, mends it.
# So:    the same checkpoint is exact with `num_workers=2` and another run with 0, which is what tests and small models use. A test of resuming needs two
#        epochs more, not the rest of one.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torchdata==0.11.0 torch==2.13.0 numpy==2.4.6
cat > "$work/main.py" <<'PYTHON_SCRIPT'
from importlib.metadata import version

import torch
from torchdata.stateful_dataloader import StatefulDataLoader

ROWS, BATCH, EPOCHS = 24, 4, 4


def loader(workers, seed=0):
    generator = torch.Generator().manual_seed(seed)
    rows = StatefulDataLoader(list(range(ROWS)), batch_size=BATCH, shuffle=True, num_workers=workers, generator=generator)
    return rows, generator


def epochs(rows, number):
    return [[row for batch in rows for row in batch.tolist()] for _ in range(number)]


def interrupted(workers, complete, batches):
    """The state after some epochs and some batches, and that of the generator."""
    rows, generator = loader(workers)
    epochs(rows, complete)
    if batches:
        running = iter(rows)
        for _ in range(batches):
            next(running)
    return rows.state_dict(), generator.get_state()


def main():
    print("torchdata", version("torchdata"), "torch", torch.__version__.split("+")[0])
    assert version("torchdata").startswith("0.11.0")
    for workers in (0, 2):
        whole = epochs(loader(workers)[0], EPOCHS)
        for complete, batches in ((0, 3), (1, 3), (1, 0)):
            state, drawn = interrupted(workers, complete, batches)
            for way in ("the same seed", "another seed", "the generator's state before", "the generator's state after"):
                rows, generator = loader(workers, seed=5 if way == "another seed" else 0)
                if way.endswith("before"):
                    generator.set_state(drawn)
                rows.load_state_dict(state)
                if way.endswith("after"):
                    generator.set_state(drawn)
                right = []
                for number, epoch in enumerate(epochs(rows, EPOCHS - complete), start=complete):
                    rest = whole[number][batches * BATCH :] if number == complete else whole[number]
                    right.append(epoch == rest)
                print(f"{workers} workers, state after {complete} epochs and {batches} batches, {way}: the epochs are right: {right}")
                if workers:
                    assert all(right)
                else:
                    assert right == [bool(batches)] + [False] * (len(right) - 1)


if __name__ == "__main__":  # workers may import this file
    main()
PYTHON_SCRIPT
cd "$work"
OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "$work/venv/bin/python" -W ignore main.py
echo "as written"
