"""``python -m recbole_diffusion``: the command line."""

import sys

from recbole_diffusion.cli.main import entry_point

if __name__ == "__main__":
    sys.exit(entry_point())
