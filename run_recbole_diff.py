"""The command line: ``python run_recbole_diff.py --model=TVDiff --dataset=ml-100k``."""

import sys

from recbole_diffusion.cli.main import entry_point

if __name__ == "__main__":
    sys.exit(entry_point())
