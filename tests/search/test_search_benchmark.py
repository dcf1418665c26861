import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_search_benchmark_runs(tmp_path):
    if not (ROOT.parent / "shared" / "eval").is_dir():
        pytest.skip(f"needs the captions in {ROOT.parent / 'shared' / 'eval'}")
    command = [sys.executable, "tests/benchmarks/search_speed.py", "--photos", "200"]
    command += ["--queries", "20", "--repeats", "1", "--json", str(tmp_path / "figures.json")]
    printed = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["photos"] == 200
    ours = {"ours with refinement", "ours, related, too", "ours, hits only"}
    assert set(figures["times"]) == ours | {"FTS5, hits only"}
    assert all(rows["all"]["median_ms"] > 0 for rows in figures["times"].values())
    assert "FTS5 names no refinement words" in printed


@pytest.mark.slow
def test_the_benchmark_of_refinement_words_runs(tmp_path):
    if not (ROOT.parent / "shared" / "eval").is_dir():
        pytest.skip(f"needs the captions in {ROOT.parent / 'shared' / 'eval'}")
    command = [sys.executable, "tests/benchmarks/chips_quality.py", "--targets", "40"]
    subprocess.run(
        [*command, "--json", str(tmp_path / "figures.json")],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
    )
    for rows in json.loads((tmp_path / "figures.json").read_text()).values():
        clicks = {offer: row["mean clicks to ten"] for offer, row in rows.items()}
        assert clicks["as shipped"] < min(clicks["frequent"], clicks["significant"])
