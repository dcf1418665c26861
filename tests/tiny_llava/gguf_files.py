"""The tiny LLaVA's files, and variants of them: torn, changed, mismatched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
from sizes import MMPROJ_FILE, TEXT_FILE

HERE = Path(__file__).resolve().parent
TEXT = HERE / TEXT_FILE
MMPROJ = HERE / MMPROJ_FILE


def rewritten(
    source: Path,
    target: Path,
    *,
    keep: Callable[[str], bool] = lambda name: True,
    change: dict[str, np.ndarray] | None = None,
    metadata: dict[str, object] | None = None,
) -> Path:
    """Write `source` anew: tensors that `keep`, changed ones, other metadata."""
    reader = gguf.GGUFReader(source)
    changed = dict(metadata or {})
    architecture = reader.get_field("general.architecture").contents()
    writer = gguf.GGUFWriter(target, str(changed.pop("general.architecture", architecture)))
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key == "general.architecture":
            continue
        value = changed.pop(key, field.contents())
        if value is not None:
            kind, item = field.types[0], field.types[1] if len(field.types) > 1 else None
            writer.add_key_value(key, value, kind, item)
    for key, value in changed.items():
        kind = {str: gguf.GGUFValueType.STRING, bool: gguf.GGUFValueType.BOOL}.get(
            type(value), gguf.GGUFValueType.UINT32
        )
        writer.add_key_value(key, value, kind)
    for tensor in reader.tensors:
        if keep(tensor.name):
            writer.add_tensor(tensor.name, (change or {}).get(tensor.name, np.array(tensor.data)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target
