"""Which packages are installed: all that are there, and properties/, which lies at the top level, as one of them.

setup.cfg holds the rest; its ``find:`` cannot find a package in a folder of another name.
"""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["recbole_diffusion", "recbole_diffusion.*"]),
        "recbole_diffusion.properties",
    ]
)
