#!/usr/bin/env bash
# gensim 4.4.0: `Word2Vec` over histories of items (item2vec), one of them longer than 10,000 rows.
#
# Guess: all rows of a history are trained on, however long it is.
# Seen:  the rows after the 10,000th are left out without a word. Of a log of 20,000 rows given as one session items of its second half keep
#        the random vectors that they start with: 0.11 of their ten nearest are of their genre, 1.00 where the log is cut in two.
# So:    it meets users in the lists of items (a popular item has more than 10,000), music and click logs by user, and a log given as a single
#        sequence. Vocabulary and counts are of all rows, so the items are there. Cut histories first.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check gensim==4.4.0 numpy==2.4.6 scipy==1.17.1
OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
from gensim.models import Word2Vec

print("gensim", version("gensim"), "numpy", np.__version__)
assert version("gensim") == "4.4.0"
random = np.random.default_rng(0)
ITEMS, GENRES, ROWS = 400, 8, 20_000
genre = np.arange(ITEMS) % GENRES
of_genre = [np.flatnonzero(genre == kind) for kind in range(GENRES)]
early = np.arange(ITEMS) < ITEMS // 2  # the other half of the catalog came in the second half of the log
blocks = []
for place in range(ROWS // 10):  # ten rows of one genre after another
    of = of_genre[random.integers(GENRES)]
    blocks += random.choice(of[early[of] == (place < ROWS // 20)], 10).tolist()
log = [str(item) for item in blocks]


def trained(sentences):
    model = Word2Vec(vector_size=16, window=3, min_count=1, sample=0, seed=1, workers=1)
    model.build_vocab(sentences)
    start = model.wv.vectors.copy()
    words, all_words = model.train(sentences, total_examples=len(sentences), epochs=5)
    moved = np.abs(model.wv.vectors - start).max(axis=1) > 0
    rows = [model.wv.key_to_index[str(item)] for item in range(ITEMS)]
    vectors = model.wv.get_normed_vectors()[rows]
    near = np.argsort(-(vectors @ vectors.T), axis=1, kind="stable")[:, 1:11]
    same = (genre[near] == genre[:, None]).mean(axis=1)
    shares = {name: (float(moved[rows][part].mean()), float(same[part].mean())) for name, part in (("early", early), ("late", ~early))}
    print(f"{len(sentences)} session(s), longest {max(map(len, sentences)):,}: {words // 5:,} of {all_words // 5:,} rows trained on in an epoch; " + "; ".join(
        f"{name} items: {part:.2f} moved, {right:.2f} of the ten nearest of their genre" for name, (part, right) in shares.items()))
    return words / all_words, shares


whole, shares = trained([log])
assert whole == 0.5 and shares["early"][0] == 1 and shares["late"][0] == 0 and shares["late"][1] < 0.2
cut, shares = trained([log[start : start + 10_000] for start in range(0, ROWS, 10_000)])
assert cut == 1 and shares["early"][0] == shares["late"][0] == 1 and shares["late"][1] > 0.8
PYTHON_SCRIPT
echo "as written"
