"""The phases of a sweep: what a search without a score ends with."""

import io
from dataclasses import replace

import pytest

from recbole_diffusion.errors import RunError
from recbole_diffusion.tuning.context import SweepContext
from recbole_diffusion.tuning.display import SweepDisplay
from recbole_diffusion.tuning.driver import read_settings
from recbole_diffusion.tuning.folder import SweepFolder
from recbole_diffusion.tuning.phases import run_winner, search_is_open
from recbole_diffusion.tuning.record import FINISHED, SweepRecord, Trial


@pytest.mark.parametrize("score", [float("nan"), float("inf"), None])
def test_a_resume_says_that_no_trial_has_a_score_when_all_have_ended_without_one(tmp_path, score):
    trial = Trial(0, "trials/000", {}, 1, state=FINISHED, score=score)
    settings = {"num_samples": None}
    record = SweepRecord(
        "TVDiff", "toy", {}, {}, "file", settings, "recall@20", True, 10, 0, "", trials=[trial]
    )
    options = replace(read_settings({}), search="grid")
    assert not search_is_open(record, options)  # so that a resume goes on with the winner
    context = SweepContext(SweepFolder(tmp_path), record, options, SweepDisplay(record, io.StringIO()))
    with pytest.raises(
        RunError, match=r"no trial has given a score; all have ended with a score that is not"
    ):
        run_winner(context)
