"""Which packages are installed: all that are found, and the top-level properties/ as one of them.

setup.cfg holds the rest; its ``find:`` cannot find a package in a folder of another name.
"""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["recbole_diffusion", "recbole_diffusion.*"]),
        "recbole_diffusion.properties",
    ]
)
