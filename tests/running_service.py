"""A service at work, and waiting for what it does."""

import threading
import time
from contextlib import contextmanager


@contextmanager
def running(service):
    """Run a watching service in a thread, and close it afterwards."""
    with service:
        thread = threading.Thread(target=service.run)
        thread.start()
        try:
            yield service
        finally:
            service.stop()
            thread.join(20)
            assert not thread.is_alive()


def wait_for(condition, within_s=30):
    deadline = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return value
