"""What stood on a retailer's shelf week by week: prices, discounts, displays and mailers, as plain arrays.

A shelf holds arrays only, so that compiled kernels can take it whole. W is weeks, P products, C categories
and S stores; all indices are those of the panel that it was made from.
"""

import os
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from regulars.errors import RegularsError, ShapeError

PLACEMENT_STORES = 128  # as many stores as the bits of one placement row


class Shelf(NamedTuple):
    """Prices and placement of every product in every week.

    Attributes
    ----------
    price : (W, P) float32, shelf price of one unit in currency units, before any discount; > 0
    depth : (W, P) float32 in [0, 1), share of the shelf price that the promotion of that week takes off
    placement_row : (W, P) int32, row of ``display`` and ``mailer``; -1 when the product is on neither that
        week
    display : (rows, 2) uint64, bit set of the stores that display the product that week
    mailer : (rows, 2) uint64, bit set of the stores whose mailer shows the product that week
    store_bit : (S,) int16, bit of a store in those sets; -1 for a store whose placement is not known
    placement_store : (bits,) uint16, the store of each bit: the inverse of ``store_bit``
    category : (P,) uint16
    private : (P,) uint8, 1 for the retailer's own brand
    popularity : (P,) float32, how many households of the panel bought it
    category_ptr : (C + 1,) int32, where a category begins in ``category_product``
    category_product : (P,) int32, products by category, the most popular first

    The bit ``b`` of a set is ``row[b >> 6] >> (b & 63) & 1``.
    """

    price: NDArray[np.float32]
    depth: NDArray[np.float32]
    placement_row: NDArray[np.int32]
    display: NDArray[np.uint64]
    mailer: NDArray[np.uint64]
    store_bit: NDArray[np.int16]
    placement_store: NDArray[np.uint16]
    category: NDArray[np.uint16]
    private: NDArray[np.uint8]
    popularity: NDArray[np.float32]
    category_ptr: NDArray[np.int32]
    category_product: NDArray[np.int32]


_DTYPES: dict[str, tuple[type[np.generic], int]] = {
    "price": (np.float32, 2),
    "depth": (np.float32, 2),
    "placement_row": (np.int32, 2),
    "display": (np.uint64, 2),
    "mailer": (np.uint64, 2),
    "store_bit": (np.int16, 1),
    "placement_store": (np.uint16, 1),
    "category": (np.uint16, 1),
    "private": (np.uint8, 1),
    "popularity": (np.float32, 1),
    "category_ptr": (np.int32, 1),
    "category_product": (np.int32, 1),
}


def by_category(
    category: NDArray[np.uint16], popularity: NDArray[np.float32], categories: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Products grouped by category, the most popular first; equals in order of their index.

    Parameters
    ----------
    category : (P,) uint16, each below ``categories``
    popularity : (P,) float32
    categories : how many categories there are

    Returns
    -------
    category_ptr : (categories + 1,) int32
    category_product : (P,) int32

    Examples
    --------
    >>> ptr, product = by_category(np.array([1, 0, 1], np.uint16), np.array([2, 5, 9], np.float32), 2)
    >>> ptr.tolist(), product.tolist()
    ([0, 1, 3], [1, 2, 0])
    """
    if len(category) != len(popularity):
        raise ShapeError(f"{len(category)} categories of products but {len(popularity)} popularities")
    if len(category) and int(category.max()) >= categories:
        raise ShapeError(f"a product has category {int(category.max())}, but there are only {categories}")
    counts = np.bincount(category, minlength=categories)
    ptr = np.zeros(categories + 1, np.int32)
    np.cumsum(counts, out=ptr[1:])
    order = np.lexsort((np.arange(len(category)), -popularity, category)).astype(np.int32)
    return ptr, order


def check(shelf: Shelf) -> None:
    """Raise ShapeError when arrays of a shelf do not fit together; kernels trust what passed here."""
    for name, (dtype, dimensions) in _DTYPES.items():
        array = getattr(shelf, name)
        if array.dtype != dtype or array.ndim != dimensions:
            raise ShapeError(
                f"shelf.{name} is {array.dtype} with {array.ndim} dimensions; "
                f"it must be {np.dtype(dtype)} with {dimensions}"
            )
    weeks, products = shelf.price.shape
    rows, bits, stores = len(shelf.display), len(shelf.placement_store), len(shelf.store_bit)
    for name, shape in {
        "depth": (weeks, products),
        "placement_row": (weeks, products),
        "display": (rows, 2),
        "mailer": (rows, 2),
        "category": (products,),
        "private": (products,),
        "popularity": (products,),
        "category_product": (products,),
    }.items():
        if getattr(shelf, name).shape != shape:
            raise ShapeError(f"shelf.{name} has shape {getattr(shelf, name).shape}; it must be {shape}")
    _check_ranges(shelf, rows, bits, stores)


def _check_ranges(shelf: Shelf, rows: int, bits: int, stores: int) -> None:
    products = shelf.price.shape[1]
    if shelf.price.size and not (np.isfinite(shelf.price).all() and float(shelf.price.min()) > 0):
        raise ShapeError("shelf.price must be finite and above 0 everywhere")
    if shelf.depth.size and not (float(shelf.depth.min()) >= 0 and float(shelf.depth.max()) < 1):
        raise ShapeError("shelf.depth must be in [0, 1) everywhere")
    row = shelf.placement_row
    if row.size and not (-1 <= int(row.min()) and int(row.max()) < rows):
        raise ShapeError(f"shelf.placement_row must be -1 or a row below {rows}")
    if bits > PLACEMENT_STORES or (bits and int(shelf.placement_store.max()) >= stores):
        raise ShapeError(f"shelf.placement_store must name at most {PLACEMENT_STORES} of the {stores} stores")
    if stores and not (-1 <= int(shelf.store_bit.min()) and int(shelf.store_bit.max()) < bits):
        raise ShapeError(f"shelf.store_bit must be -1 or a bit below {bits}")
    ptr = shelf.category_ptr
    if len(ptr) < 1 or ptr[0] != 0 or ptr[-1] != products or (np.diff(ptr) < 0).any():
        raise ShapeError(f"shelf.category_ptr must rise from 0 to {products}")
    product = shelf.category_product
    if len(product) and not (0 <= int(product.min()) and int(product.max()) < products):
        raise ShapeError(f"shelf.category_product must be a product below {products}")
    if len(shelf.category) and int(shelf.category.max()) >= len(ptr) - 1:
        raise ShapeError(f"shelf.category must be below {len(ptr) - 1}")


def save(shelf: Shelf, path: str | os.PathLike[str]) -> None:
    """Write a shelf to an ``.npz`` file, whole or not at all."""
    check(shelf)
    target = Path(path)
    # Under a passing name first, so that a run stopped halfway leaves no torn file behind.
    handle, passing = tempfile.mkstemp(suffix=".npz", dir=target.parent)
    os.close(handle)
    try:
        np.savez_compressed(passing, allow_pickle=False, **shelf._asdict())
        os.replace(passing, target)
    except BaseException:
        Path(passing).unlink(missing_ok=True)
        raise


def load(path: str | os.PathLike[str]) -> Shelf:
    """Read a shelf that ``save`` wrote.

    Raises
    ------
    RegularsError
        when the file is not there or is no such file.
    ShapeError
        when its arrays do not fit together.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            missing = [name for name in Shelf._fields if name not in stored.files]
            if missing:
                raise RegularsError(f"{path} is not a shelf: it lacks {', '.join(missing)}. Save it anew")
            shelf = Shelf(**{name: stored[name] for name in Shelf._fields})
    except FileNotFoundError as error:
        raise RegularsError(f"{path} is not there. Save a shelf first") from error
    except (ValueError, OSError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise RegularsError(f"{path} cannot be read as a shelf ({error}). Save it anew") from error
    check(shelf)
    return shelf
