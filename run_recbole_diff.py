"""The command line: ``python run_recbole_diff.py --model=TVDiff --dataset=ml-100k``."""

import sys

from recbole_diffusion.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
