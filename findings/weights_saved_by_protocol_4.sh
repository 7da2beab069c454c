#!/usr/bin/env bash
# torch 2.13.0: weights saved with another pickle protocol.
#
# Guess: torch.load refuses RecBole's checkpoints for the configuration that lies in them; a file of nothing but tensors is read by default,
#        whichever protocol it was written with, and torch.serialization.add_safe_globals admits the rest.
# Seen:  torch.save takes pickle_protocol 4 and 5 without a word, and torch.load's default reader knows neither: a dictionary of one tensor is
#        refused as if it held code, and there is no class that a list of safe ones could admit. Protocols 2 and 3 are read. The error blames
#        weights_only and proposes to switch it off.
# So:    RecBole 1.2.1 writes its checkpoints with pickle_protocol=4. Since torch 2.6 its evaluation with the best weights, its resume and its
#        load_data_and_model fail, and no list of allowed classes helps; the file has to be trusted, or written with the default protocol.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'PYTHON_SCRIPT'
import pickle
import warnings

import torch

warnings.filterwarnings("ignore")
print("torch", torch.__version__)


def read(protocol, **options):
    """Whether a dictionary of one tensor comes back from a file of this protocol."""
    torch.save({"weight": torch.ones(2)}, f"{protocol}.pt", pickle_protocol=protocol)
    try:
        return torch.equal(torch.load(f"{protocol}.pt", **options)["weight"], torch.ones(2))
    except pickle.UnpicklingError:
        return False


seen = {protocol: read(protocol) for protocol in (2, 3, 4, 5)}
for protocol, back in seen.items():
    print(f"pickle_protocol={protocol}:", "read" if back else "refused")
assert list(seen.values()) == [True, True, False, False], seen
with torch.serialization.safe_globals([dict, torch.Tensor, torch.FloatStorage]):
    admitted = read(4)
print("protocol 4 with a list of safe classes:", "read" if admitted else "refused")
assert not admitted
assert read(4, weights_only=False)
print("protocol 4 with weights_only=False: read")
PYTHON_SCRIPT
