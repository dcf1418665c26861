"""The sizes of the tiny LLaVA, shared by its training, its network and the tests."""

TEXT_FILE = "tiny-llava-text-f16.gguf"
MMPROJ_FILE = "tiny-llava-mmproj-f16.gguf"

IMAGE = 96
PATCH = 12
GRID = IMAGE // PATCH
WIDTH = 96
HEADS = 3
LAYERS = 3
FEED_FORWARD = 256
PIECES = 640
CONTEXT = 2048
ROPE_BASE = 10_000.0
RMS_EPS = 1e-5
LAYER_EPS = 1e-5
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
# What llama.cpp fills the shorter side with.
PADDING = (122, 116, 104)
