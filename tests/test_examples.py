"""The scripts of ``examples/`` run, each in its own process, and leave what they say."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_own_data_goes_from_a_csv_file_to_a_report(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, ROOT / "examples/own_data.py", tmp_path],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "size     6,000 rows, 300 users, " in done.stdout
    files = ["sales.html", "report.html", "lists.csv", "runs/from_table/data/data/data.inter.parquet"]
    assert [name for name in files if not (tmp_path / name).is_file()] == []
    assert len((tmp_path / "lists.csv").read_text().splitlines()) == 1 + 300 * 5
    table = [line for line in done.stdout.splitlines() if line.startswith("| ") and " EASE" in line]
    pop = [line for line in done.stdout.splitlines() if line.startswith("| ") and " Pop" in line]
    assert table and pop
