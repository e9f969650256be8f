"""IDX files, in which MNIST and its kin are published: a folder of images and labels."""

import math
import struct
from pathlib import Path

import numpy as np

from jaxbn.data.content import read_bytes
from jaxbn.data.sheet import Sheet, numbered
from jaxbn.errors import UserError

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def parse_idx(data: bytes, name: str) -> np.ndarray:
    """The array in an IDX file.

    Two zero bytes, a byte for the type, a byte for the number of dimensions, each dimension as four bytes,
    and the values, all big-endian (Y. LeCun, C. Cortes, C. Burges: the MNIST database).

    Args:
        data: the content of the file.
        name: what to call the file in errors.

    Returns:
        The array, a view of the content.

    Raises:
        UserError: the header is none, or promises another number of values than there are.

    Example:
        >>> parse_idx(bytes([0, 0, 8, 1, 0, 0, 0, 2, 5, 7]), "labels").tolist()
        [5, 7]
    """
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _TYPES or not data[3]:
        raise UserError(f"{name} is no IDX file: its first four bytes are {data[:4].hex(' ')}; fetch it again")
    start = 4 + 4 * data[3]
    if len(data) < start:
        raise UserError(f"{name} ends within its header: fetch it again")
    shape = struct.unpack(f">{data[3]}I", data[4:start])
    dtype = np.dtype(_TYPES[data[2]])
    if len(data) - start != math.prod(shape) * dtype.itemsize:
        raise UserError(
            f"{name} promises shape {shape} of {dtype.name} and holds {len(data) - start} bytes of values: "
            "fetch it again"
        )
    return np.frombuffer(data, dtype, offset=start).reshape(shape)


def read_idx_folder(folder: Path) -> Sheet:
    """Images and labels from a folder with MNIST's file names, plain or with `.gz`.

    Args:
        folder: holds `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, the pair with `t10k`, or both
            pairs.

    Returns:
        The sheet, images flattened; with both pairs, `t10k` is its test set.

    Raises:
        UserError: there is no pair, half a pair, or a broken file.
    """
    pairs = [pair for part in ("train", "t10k") if (pair := _pair(folder, part))]
    if not pairs:
        raise UserError(
            f"the folder {str(folder)!r} holds no data: expected train-images-idx3-ubyte and "
            "train-labels-idx1-ubyte, or those of t10k, plain or with .gz"
        )
    first, *rest = (_sheet(*pair) for pair in pairs)
    if rest and len(rest[0].names) != len(first.names):
        raise UserError(
            f"the images of the two pairs in {str(folder)!r} have {len(first.names)} and "
            f"{len(rest[0].names)} pixels: keep the pairs of one data set in a folder"
        )
    return Sheet(first.names, first.columns, False, first.labels, first.task, rest[0] if rest else None)


def _pair(folder: Path, part: str) -> tuple[Path, Path] | None:
    images, labels = (_find(folder, f"{part}-{what}") for what in ("images-idx3", "labels-idx1"))
    if images and labels:
        return images, labels
    if images or labels:
        there = images or labels
        raise UserError(
            f"{str(there)!r} has no partner: give both {part}-images-idx3-ubyte and {part}-labels-idx1-ubyte"
        )
    return None


def _find(folder: Path, stem: str) -> Path | None:
    stems = (stem, stem.replace("-idx", ".idx"))
    paths = (folder / f"{stem}-ubyte{suffix}" for stem in stems for suffix in ("", ".gz"))
    return next((path for path in paths if path.is_file()), None)


def _sheet(images_path: Path, labels_path: Path) -> Sheet:
    images = parse_idx(read_bytes(images_path), images_path.name)
    labels = parse_idx(read_bytes(labels_path), labels_path.name)
    if images.ndim < 2 or not images.size:
        raise UserError(f"{images_path.name} has shape {images.shape}: expected at least one image with a pixel")
    if labels.shape != (len(images),):
        raise UserError(
            f"{labels_path.name} has shape {labels.shape} for {len(images)} images: expected a label for each"
        )
    pixels = images.reshape(len(images), -1).astype(np.float64)
    return Sheet(numbered(pixels.shape[1]), tuple(pixels.T), False, labels.astype(np.float64), "classification")
