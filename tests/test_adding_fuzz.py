"""Whatever a person's files hold, they are read or refused in one sentence."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ase.io
import pytest
from added_sets import MINE, NAMES, frames, rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gbench.added import remove
from gbench.adding import Added, add
from gbench.content import user_datasets
from gbench.dataset import Dataset, load
from gbench.errors import GbenchError
from gbench.registry import dataset_card

pytestmark = pytest.mark.usefixtures("own_folders")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Ways to every part of a JSON value."""
    yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*path, key))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), value=JSON)
def test_any_change_of_a_table_is_read_or_refused(data: st.DataObject, value: Any, tmp_path: Path) -> None:
    made: Any = rows()
    *way, last = data.draw(st.sampled_from([path for path in places(made) if path]))
    part = made
    for key in way:
        part = part[key]
    part[last] = value
    (tmp_path / "set.json").write_text(json.dumps(made))
    dataset_card.cache_clear()
    try:
        add(tmp_path / "set.json", MINE)
    except GbenchError as error:
        assert "\n" not in str(error)
        assert not [entry for entry in user_datasets().rglob("*") if entry.is_file()]
    else:
        load("mine")
        remove("mine")


FIELD = st.one_of(
    st.sampled_from(
        ["NaCl", "CsCl", "MgO", "LiF", "id", "i", "j", "site", "value", "0", "1", "-1", "nan", "", '"', "1e400"]
    ),
    st.text(max_size=5),
)
TEXT = st.one_of(
    st.text(max_size=60),
    st.lists(st.lists(FIELD, min_size=1, max_size=7), max_size=8).map(lambda rows: "\n".join(map(",".join, rows))),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXT)
def test_any_label_file_is_read_or_refused(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    place = tmp_path_factory.mktemp("fuzz")
    path = place / "set"
    path.mkdir()
    for name, atoms in zip(NAMES, frames(), strict=True):
        ase.io.write(path / f"POSCAR-{name}", atoms, format="vasp")
    (path / "id_prop.csv").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GBENCH_DATASETS", str(place / "datasets"))
        dataset_card.cache_clear()
        try:
            added: Added = add(path, MINE)
        except GbenchError as error:
            assert "\n" not in str(error)
            assert not [entry for entry in (place / "datasets").rglob("*") if entry.is_file()]
        else:
            assert isinstance(load("mine"), Dataset)
            assert len(added.crystals) == 4
        dataset_card.cache_clear()
