"""Tables joined from their parts: all rows in order, whatever the parts are, without holding them all."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flatminima import record
from flatminima.errors import UserError
from flatminima.record import join_tables, read_table


def table(count, start=0):
    numbers = np.arange(start, start + count)
    return pd.DataFrame(
        {"study": "digits", "seed": numbers, "value": np.where(numbers % 3, np.sqrt(numbers), np.nan), "final": True}
    )


def written(folder, parts):
    paths = [folder / f"{index}.parquet" for index in range(len(parts))]
    for part, path in zip(parts, paths, strict=True):
        part.to_parquet(path, index=False)
    return paths


def joined(folder, parts):
    join_tables(written(folder, parts), folder / "all.parquet")
    return folder / "all.parquet"


def test_as_pandas_joins_them(tmp_path):
    """Columns in another order too, and an empty part whose columns have no type."""
    parts = [table(5), table(4, 5)[["value", "seed", "final", "study"]], pd.DataFrame(columns=table(0).columns)]
    found = read_table(joined(tmp_path, parts))
    pd.testing.assert_frame_equal(found, pd.concat(parts[:2], ignore_index=True))


def test_a_column_without_values_takes_the_type_of_the_others(tmp_path):
    none = table(3).assign(value=None)
    found = read_table(joined(tmp_path, [none, table(4)]))
    pd.testing.assert_frame_equal(found, pd.concat([none.assign(value=np.nan), table(4)], ignore_index=True))


def test_parts_without_rows_make_a_table_without_rows(tmp_path):
    found = read_table(joined(tmp_path, [table(0), table(0)]))
    assert found.empty
    assert found.columns.tolist() == table(0).columns.tolist()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(sizes=st.lists(st.integers(0, 9), min_size=1, max_size=6))
def test_the_bytes_do_not_depend_on_the_division(tmp_path, monkeypatch, sizes):
    monkeypatch.setattr(record, "ROWS", 4)
    total = sum(sizes)
    starts = np.cumsum([0, *sizes[:-1]])
    divided = joined(tmp_path, [table(size, start) for size, start in zip(sizes, starts, strict=True)]).read_bytes()
    whole = joined(tmp_path, [table(total)])
    assert whole.read_bytes() == divided
    pd.testing.assert_frame_equal(read_table(whole), table(total))
    groups = pq.ParquetFile(whole).metadata
    assert [groups.row_group(k).num_rows for k in range(groups.num_row_groups)][:-1] == [4] * max((total - 1) // 4, 0)


def test_memory_does_not_grow_with_the_number_of_parts(tmp_path, monkeypatch):
    """Fifty times the parts, and Arrow's high-water mark stays where it was."""
    monkeypatch.setattr(record, "ROWS", 1000)
    (part,) = written(tmp_path, [table(1000)])

    def peak(count):
        pool = pa.proxy_memory_pool(pa.default_memory_pool())
        before = pa.default_memory_pool()
        pa.set_memory_pool(pool)
        try:
            join_tables([part] * count, tmp_path / "all.parquet")
        finally:
            pa.set_memory_pool(before)
        return pool.max_memory()

    few, many = peak(2), peak(100)
    assert many < 1.5 * few
    assert len(read_table(tmp_path / "all.parquet")) == 100_000


def test_a_text_among_numbers_is_named(tmp_path):
    with pytest.raises(UserError, match=r"0\.parquet and other parts: .*; delete them and run `make reproduce`$"):
        joined(tmp_path, [table(2), table(2).assign(value="none")])


@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_damaged_part_is_named(tmp_path, damage):
    first, second = written(tmp_path, [table(3), table(3)])
    if damage == "missing":
        second.unlink()
    else:
        second.write_bytes(second.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"1\.parquet: .*run `make reproduce`"):
        join_tables([first, second], tmp_path / "all.parquet")
