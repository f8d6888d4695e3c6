"""Weights of PyTorch's first format, without PyTorch: what is read, and that nothing else is called."""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.backbone.torch_weights import read_tensors
from features.errors import PictureModelDamaged

NUMBERS = np.arange(12, dtype="<f4")


class _Tensor:
    def __init__(self, start: int, size: tuple[int, ...], steps: tuple[int, ...]) -> None:
        self.place = (start, size, steps)


def written(tensors: dict[str, _Tensor], *, numbers: bytes = NUMBERS.tobytes()) -> bytes:
    """A file, with names put in by hand: pickle itself looks them up, and there is no PyTorch here."""
    head = b"".join(pickle.dumps(one, 2) for one in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}))
    body = [b"\x80\x02ccollections\nOrderedDict\n)R("]
    for name, tensor in tensors.items():
        start, size, steps = tensor.place
        store = (
            b"((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x0cNtQ"
        )
        body.append(
            b"X" + len(name).to_bytes(4, "little") + name.encode() + b"ctorch._utils\n_rebuild_tensor_v2\n"
        )
        body.append(
            store + _number(start) + _numbers(size) + _numbers(steps) + b"\x89ccollections\nOrderedDict\n)RtR"
        )
    body.append(b"u.")
    return head + b"".join(body) + pickle.dumps(["0"], 2) + (12).to_bytes(8, "little") + numbers


def _number(value: int) -> bytes:
    return b"K" + bytes([value])


def _numbers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(_number, values)) + b"t"


def read(tmp_path: Path, content: bytes) -> Any:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    return read_tensors(path)


def test_tensors_are_read_in_their_own_order_of_numbers(tmp_path: Path) -> None:
    tensors = {
        "plain": _Tensor(0, (3, 4), (4, 1)),
        "turned": _Tensor(0, (4, 3), (1, 4)),
        "part": _Tensor(8, (4,), (1,)),
    }
    found = read(tmp_path, written(tensors))
    assert (found["plain"] == NUMBERS.reshape(3, 4)).all()
    assert (found["turned"] == NUMBERS.reshape(3, 4).T).all()
    assert found["part"].tolist() == [8, 9, 10, 11]


def test_a_tensor_beyond_its_numbers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PictureModelDamaged, match="reaches beyond its numbers"):
        read(tmp_path, written({"far": _Tensor(8, (5,), (1,))}))


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_file_cut_short_is_refused(tmp_path: Path, cut: int) -> None:
    with pytest.raises(PictureModelDamaged, match="no whole file of weights"):
        read(tmp_path, written({"plain": _Tensor(0, (3, 4), (4, 1))})[:-cut])


def test_nothing_but_tensors_can_be_named(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {tmp_path / 'called'}",)

    held = io.BytesIO()
    pickle.dump(Evil(), held, 2)
    with pytest.raises(PictureModelDamaged, match="no part of a tensor"):
        read(tmp_path, held.getvalue())
    assert not (tmp_path / "called").exists()
