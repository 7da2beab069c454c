"""The door: ``python run_recbole_diff.py --model=TVDiff --dataset=ml-100k``."""

import sys

from recbole_diffusion.cli import door

if __name__ == "__main__":
    sys.exit(door())
