"""Both orders of the axes, compared pixel by pixel and taken back."""

import numpy as np

from ops.datasets.axes import to_nchw, to_nhwc

IMAGES = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)


def test_each_pixel_is_found_under_its_channel_row_and_column() -> None:
    turned = to_nchw(IMAGES)
    assert turned.shape == (2, 5, 3, 4)
    assert turned.dtype == np.uint8
    assert turned.flags.c_contiguous
    for i, y, x, c in np.ndindex(IMAGES.shape):
        assert turned[i, c, y, x] == IMAGES[i, y, x, c]


def test_one_order_is_the_other_undone() -> None:
    back = to_nhwc(to_nchw(IMAGES))
    assert back.flags.c_contiguous
    np.testing.assert_array_equal(back, IMAGES)
    assert to_nchw(IMAGES[:0]).shape == (0, 5, 3, 4)
