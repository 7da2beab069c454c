"""The items that are drawn beside held-out ones (``eval_args.mode: uniN``, ``popN``)."""

import zlib
from typing import Any

import numpy as np

from recbole_diffusion.compat import NegSampleEvalDataLoader


class FixedCandidates(NegSampleEvalDataLoader):
    """RecBole's loader of sampled candidates, with the same draws in every evaluation and for every model.

    RecBole draws from the generator that training uses too: other items in each epoch and for each model, so
    that the best epoch may be the one with the easiest candidates, and other batches of training after an
    evaluation. Here a user's candidates depend on the seed, the part and the user alone.

    Args:
        config: as RecBole's.
        dataset: the held-out part.
        sampler: as RecBole's.
        seed: of the draws.
        part: name of the part.
    """

    def __init__(self, config: Any, dataset: Any, sampler: Any, seed: int, part: str) -> None:
        self.seed = seed
        self._seeds = seed, zlib.crc32(part.encode())
        super().__init__(config, dataset, sampler, shuffle=False)

    @property
    def draws(self) -> bool:
        """Return whether items are drawn; of labelled rows none are."""
        return self.neg_sample_args["distribution"] != "none"

    def _neg_sampling(self, inter_feat: Any) -> Any:
        """Return a user's rows with those of the drawn items; the global generator stays as it is."""
        user = int(inter_feat[self.uid_field][0])
        own = np.random.MT19937(np.random.SeedSequence([*self._seeds, user]))
        before = np.random.get_state()  # noqa: NPY002, the generator of RecBole's samplers
        np.random.set_state(dict(own.state))  # noqa: NPY002
        try:
            return super()._neg_sampling(inter_feat)
        finally:
            np.random.set_state(before)  # noqa: NPY002
