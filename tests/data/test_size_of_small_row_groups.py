import pyarrow as pa

from atomic_manifest.data.write.options import WriteOptions
from atomic_manifest.data.write.writer import write_files
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.testing.env import FakeEnv


def test_files_of_many_small_row_groups_are_about_as_large_as_they_shall_be() -> None:
    rows = pa.table({"x": range(2000)})
    target = 20_000
    staged = write_files(
        ObjectStore(MemoryDriver()),
        rows.to_reader(),
        schema=rows.schema,
        file_prefix="x",
        options=WriteOptions(max_rows_per_group=1, target_file_size=target),
        env=FakeEnv(),
    )
    # Besides the row groups a file has a footer, here about as large as they are.
    assert max(add.size for add in staged.adds) < 3 * target
