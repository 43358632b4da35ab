"""Claims about the shelf."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regulars import shelf as shelves
from regulars.errors import RegularsError, ShapeError
from regulars.shelf import Shelf, by_category


def example():
    ptr, product = by_category(np.array([1, 0, 1], np.uint16), np.array([2, 5, 9], np.float32), 2)
    return Shelf(
        price=np.full((2, 3), 1.5, np.float32),
        depth=np.zeros((2, 3), np.float32),
        placement_row=np.array([[-1, 0, -1], [-1, -1, 1]], np.int32),
        display=np.array([[1, 0], [2, 0]], np.uint64),
        mailer=np.array([[0, 0], [3, 0]], np.uint64),
        store_bit=np.array([0, -1, 1], np.int16),
        placement_store=np.array([0, 2], np.uint16),
        category=np.array([1, 0, 1], np.uint16),
        private=np.array([0, 1, 0], np.uint8),
        popularity=np.array([2, 5, 9], np.float32),
        category_ptr=ptr,
        category_product=product,
    )


def test_a_saved_shelf_comes_back_to_the_bit(tmp_path):
    shelf = example()
    shelves.save(shelf, tmp_path / "shelf.npz")
    back = shelves.load(tmp_path / "shelf.npz")
    for name in Shelf._fields:
        assert getattr(back, name).dtype == getattr(shelf, name).dtype
        np.testing.assert_array_equal(getattr(back, name), getattr(shelf, name))
    assert [path.name for path in tmp_path.iterdir()] == ["shelf.npz"]


def test_a_file_that_is_no_shelf_is_named(tmp_path):
    with pytest.raises(RegularsError, match=r"none\.npz is not there"):
        shelves.load(tmp_path / "none.npz")
    (tmp_path / "junk.npz").write_bytes(b"junk")
    with pytest.raises(RegularsError, match=r"junk\.npz cannot be read as a shelf"):
        shelves.load(tmp_path / "junk.npz")
    np.savez(tmp_path / "other.npz", price=np.ones(3))
    with pytest.raises(RegularsError, match=r"other\.npz is not a shelf: it lacks depth"):
        shelves.load(tmp_path / "other.npz")


def test_a_shelf_file_never_runs_code(tmp_path):
    objects = {name: np.array([object()], dtype=object) for name in Shelf._fields}
    np.savez(tmp_path / "pickled.npz", **objects)
    with pytest.raises(RegularsError, match="cannot be read as a shelf"):
        shelves.load(tmp_path / "pickled.npz")


def test_a_torn_shelf_is_refused(tmp_path):
    shelves.save(example(), tmp_path / "shelf.npz")
    whole = (tmp_path / "shelf.npz").read_bytes()
    for cut in (10, len(whole) // 2, len(whole) - 5):
        (tmp_path / "torn.npz").write_bytes(whole[:cut])
        with pytest.raises(RegularsError):
            shelves.load(tmp_path / "torn.npz")


WRONG = {
    "price": (np.ones((2, 3)), "float32"),
    "depth": (np.ones((2, 3), np.float32), r"\[0, 1\)"),
    "placement_row": (np.full((2, 3), 2, np.int32), "below 2"),
    "display": (np.zeros((2, 3), np.uint64), "display"),
    "store_bit": (np.array([5, 5, 5], np.int16), "below 2"),
    "placement_store": (np.array([7], np.uint16), "3 stores"),
    "category": (np.array([9, 0, 0], np.uint16), "below 2"),
    "private": (np.zeros(4, np.uint8), "private"),
    "category_ptr": (np.array([0, 5, 3], np.int32), "rise"),
    "category_product": (np.array([0, 1, 9], np.int32), "below 3"),
}


@pytest.mark.parametrize("name", WRONG)
def test_arrays_that_do_not_fit_are_refused(name):
    array, message = WRONG[name]
    shelves.check(example())
    with pytest.raises(ShapeError, match=message):
        shelves.check(example()._replace(**{name: array}))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=30))
def test_each_category_lists_its_products_the_most_popular_first(products):
    category = np.array([c for c, _ in products], np.uint16)
    popularity = np.array([p for _, p in products], np.float32)
    ptr, product = by_category(category, popularity, 5)
    assert sorted(product) == list(range(len(products)))
    for c in range(5):
        inside = product[ptr[c] : ptr[c + 1]]
        assert (category[inside] == c).all()
        keys = [(-popularity[p], p) for p in inside]
        assert keys == sorted(keys)
