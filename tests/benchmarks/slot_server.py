"""llama-server on a GGUF pair, from the wheel `xllamacpp`, which photosearch itself does not need.

    PYTHON-WITH-XLLAMACPP tests/benchmarks/slot_server.py MODEL MMPROJ --slots 9 --threads 2

Prints its address and serves until its input ends.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import Any

xllamacpp: Any = importlib.import_module("xllamacpp")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("mmproj")
    parser.add_argument("--slots", type=int, default=1)
    parser.add_argument("--slot-tokens", type=int, default=1024, help="context of a slot")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--gpu-layers", type=int, default=0)
    arguments = parser.parse_args()
    parameters = xllamacpp.CommonParams()
    parameters.model.path = arguments.model
    parameters.mmproj.path = arguments.mmproj
    parameters.n_parallel = arguments.slots
    parameters.n_ctx = arguments.slots * arguments.slot_tokens
    parameters.kv_unified = False
    parameters.cpuparams.n_threads = arguments.threads
    parameters.cpuparams_batch.n_threads = arguments.threads
    parameters.n_gpu_layers = arguments.gpu_layers
    parameters.mmproj_use_gpu = arguments.gpu_layers != 0
    # No answer is asked for twice, so a cache of prompts would only cost memory.
    parameters.cache_ram_mib = 0
    parameters.fit_params = False
    parameters.warmup = False
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.n_threads_http = arguments.slots + 2
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
