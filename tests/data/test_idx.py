"""IDX files, written here byte by byte."""

import gzip

import numpy as np
import pytest

from jaxbn.data import load_data
from jaxbn.data.idx import parse_idx
from jaxbn.errors import UserError


def idx(array, code=8):
    head = bytes([0, 0, code, array.ndim]) + b"".join(int(size).to_bytes(4, "big") for size in array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write_pair(folder, part, num_rows, *, gz=False, dot=False, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (num_rows, 3, 4)).astype(np.uint8)
    labels = (np.arange(num_rows) % 3).astype(np.uint8)
    for name, array in (("images-idx3", images), ("labels-idx1", labels)):
        path = folder / f"{part}-{name.replace('-', '.') if dot else name}-ubyte{'.gz' if gz else ''}"
        path.write_bytes(gzip.compress(idx(array)) if gz else idx(array))
    return images, labels


@pytest.mark.parametrize(("code", "dtype"), [(8, "u1"), (9, "i1"), (11, "i2"), (12, "i4"), (13, "f4"), (14, "f8")])
def test_every_type(code, dtype):
    array = np.arange(-6, 6).astype(dtype).reshape(2, 3, 2)
    np.testing.assert_array_equal(parse_idx(idx(array, code), "file"), array)


@pytest.mark.parametrize("gz", [False, True])
@pytest.mark.parametrize("dot", [False, True])
def test_two_pairs_are_data_and_test_set(tmp_path, gz, dot):
    images, labels = write_pair(tmp_path, "train", 30, gz=gz, dot=dot)
    test_images, test_labels = write_pair(tmp_path, "t10k", 12, gz=gz, dot=dot, seed=1)
    dataset = load_data(tmp_path)
    np.testing.assert_array_equal(dataset.features.numeric, images.reshape(30, 12))
    np.testing.assert_array_equal(dataset.target, labels)
    assert dataset.task == "classification"
    assert dataset.classes == (0, 1, 2)
    assert dataset.test is not None
    np.testing.assert_array_equal(dataset.test.features.numeric, test_images.reshape(12, 12))
    np.testing.assert_array_equal(dataset.test.target, test_labels)


@pytest.mark.parametrize("part", ["t10k", "train"])
def test_a_lone_pair_is_all_there_is(tmp_path, part):
    write_pair(tmp_path, part, 30, gz=True)
    dataset = load_data(str(tmp_path))
    assert dataset.features.num_rows == 30
    assert dataset.test is None


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("train-labels-idx1-ubyte", b"", "is empty"),
        ("train-labels-idx1-ubyte", b"\0\0", "no IDX file"),
        ("train-labels-idx1-ubyte", b"PK\x03\x04abcdefgh", "no IDX file"),
        ("train-labels-idx1-ubyte", b"\0\0\x08\x01\0\0", "ends within its header"),
        ("train-labels-idx1-ubyte", b"\0\0\x08\x01\xff\xff\xff\xff12", "promises shape (4294967295,)"),
        ("train-images-idx3-ubyte", b"\0\0\x0e\x03" + b"\xff" * 12 + b"12", "promises"),
        ("train-labels-idx1-ubyte", idx(np.zeros(29, np.uint8)), "for 30 images"),
        ("train-labels-idx1-ubyte", idx(np.zeros((30, 2), np.uint8)), "for 30 images"),
        ("train-images-idx3-ubyte", idx(np.zeros(30, np.uint8)), "at least one image"),
        ("train-images-idx3-ubyte", b"\x1f\x8b" + b"not gzip at all", "broken gzip"),
        ("train-images-idx3-ubyte", gzip.compress(idx(np.zeros((30, 3, 4), np.uint8)), mtime=0)[:-9], "broken gzip"),
        ("t10k-labels-idx1-ubyte", idx(np.zeros(29, np.uint8)), "no partner"),
    ],
)
def test_broken_files(tmp_path, name, content, said):
    write_pair(tmp_path, "train", 30)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as error:
        load_data(tmp_path)
    assert said in str(error.value)


def test_pairs_of_two_data_sets(tmp_path):
    write_pair(tmp_path, "train", 30)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(np.zeros((3, 5, 5), np.uint8)))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(3, np.uint8)))
    with pytest.raises(UserError, match="12 and 25 pixels"):
        load_data(tmp_path)


def test_a_folder_of_something_else(tmp_path):
    with pytest.raises(UserError, match="holds no data"):
        load_data(tmp_path)


def test_an_idx_file_alone_names_the_folder(tmp_path):
    write_pair(tmp_path, "train", 30)
    with pytest.raises(UserError, match="give the folder"):
        load_data(tmp_path / "train-images-idx3-ubyte")
