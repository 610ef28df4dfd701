"""The table of elements, coloured by how many crystals hold each."""

import xml.etree.ElementTree as ET

import pytest

from gbench.cli.dataset_info import histogram
from gbench.periodic_table import SHADES, brief, cells, shade, svg, text


class TestPeriodicTable:
    def test_every_element_has_a_place_of_its_own(self) -> None:
        places = {(cell.row, cell.column) for cell in cells()}
        assert len(places) == 103
        assert {(cell.symbol, cell.row, cell.column) for cell in cells()} >= {
            ("H", 0, 0), ("He", 0, 17), ("Fe", 3, 7), ("La", 7, 2), ("Lu", 7, 16), ("Hf", 5, 3), ("Lr", 8, 16),
        }  # fmt: skip

    def test_counts_stand_beside_colours(self) -> None:
        for width, widest in ((80, 72), (120, 108)):
            plain = text({"Fe": 1234, "O": 99_600}, width).plain
            assert max(len(line.rstrip()) for line in plain.splitlines()) <= widest
            assert ("1234" if width > 100 else "1k") in plain

    def test_shades_grow_with_the_count(self) -> None:
        shades = [shade(count, 10_000) for count in (0, 1, 10, 100, 1000, 10_000)]
        assert shades == sorted(shades)
        assert (shades[0], shades[-1]) == (0, SHADES)
        assert shade(1, 1) == SHADES

    @pytest.mark.parametrize(
        ("count", "shown"), [(7, "7"), (999, "999"), (1000, "1k"), (99_499, "99k"), (130_000, ".1M"), (2_000_000, "2M")]
    )
    def test_counts_fit_into_three_characters(self, count: int, shown: str) -> None:
        assert brief(count) == shown

    def test_titles_are_escaped(self) -> None:
        ET.fromstring(svg({}, 'a < b & "c"'))

    def test_a_histogram_shows_every_bin_that_holds_anything(self) -> None:
        assert histogram((0, 1, 1000)) == " ▁█"
