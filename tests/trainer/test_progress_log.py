"""A run without a progress bar says how much there is to do, and within a long epoch how far it is."""

import contextlib
import logging

import pytest

from recbole_diffusion.quick_start import run
from recbole_diffusion.storage.slow_step import told_if_slow
from recbole_diffusion.trainer import base
from recbole_diffusion.trainer import progress_log as heartbeat
from recbole_diffusion.trainer.progress_log import Heartbeat


def test_batches_are_counted_once_a_minute(monkeypatch, caplog):
    clock = iter(
        [0.0, 30.0, 61.0, 62.0, 130.0, 131.0, 140.0]
    )  # one look before the batches, one after each, one after a line
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: next(clock))
    with caplog.at_level(logging.INFO):
        assert list(Heartbeat("abcd", 7, logging.getLogger())) == list("abcd")
    assert [record.getMessage() for record in caplog.records] == [
        "epoch 7: 2 of 4 batches",
        "epoch 7: 3 of 4 batches",
    ]


def test_a_run_says_what_it_begins(checkerboard, tmp_path, monkeypatch):
    monkeypatch.setattr(heartbeat, "SECONDS", 0.0)
    options = {"epochs": 1, "embedding_size": 8, "train_batch_size": 300, "run_dir": str(tmp_path / "run")}
    run("BPR", overrides={**checkerboard.overrides, **options})
    log = (tmp_path / "run/log.txt").read_text()
    said = log.index("training: 1,000 rows, 4 batches per epoch, 816 parameters")
    assert log.index("run folder ") < said < log.index("epoch 0: 1 of 4 batches")


@pytest.mark.parametrize(("model", "unit"), [("BPR", "users"), ("NeuMF", "batches")])
def test_a_long_evaluation_says_how_far_it_is(checkerboard, tmp_path, monkeypatch, model, unit):
    seen = []

    @contextlib.contextmanager
    def kept(step, tell, **counted):
        with told_if_slow(step, tell, **counted) as progress:
            yield progress
        seen.append((step, str(progress)))

    monkeypatch.setattr(base, "told_if_slow", kept)
    # 40 items: a batch of scores has 10 users
    options = {"epochs": 1, "eval_batch_size": 400, "run_dir": str(tmp_path / "run")}
    trained = run(model, overrides={**checkerboard.overrides, **options})
    told = [words for step, words in seen if step == "evaluating"]
    assert len(told) == 2 and len(trained["test"]) > 0
    for words in told:
        done, total = words.removesuffix(f" {unit}, ").split(" of ")
        assert done == total and int(total) > 1
