import importlib.util

import pytest


@pytest.fixture(scope="session", autouse=True)
def no_monitor_of_progress_bars():
    """Keeps tqdm, which bm25s uses where it is installed, from starting a thread for good."""
    if importlib.util.find_spec("tqdm"):
        from tqdm import tqdm  # noqa: PLC0415

        tqdm.monitor_interval = 0
