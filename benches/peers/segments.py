"""Bytes of segments by part: reads the paths of Parquet files, one a line, and writes a JSON object of part and bytes.
What lies in a file and is neither a column, nor a page index, nor the footer is the index that Ironbark embeds.
"""

import json
import os
import sys
from collections import Counter

import pyarrow.parquet

MAGIC_BYTES = 12


def main():
    parts = Counter()
    for path in sys.stdin.read().split("\n"):
        if not path:
            continue
        size = os.path.getsize(path)
        with open(path, "rb") as file:
            file.seek(size - 8)
            footer = int.from_bytes(file.read(4), "little")
        metadata = pyarrow.parquet.read_metadata(path)
        columns = Counter()
        for group in range(metadata.num_row_groups):
            row_group = metadata.row_group(group)
            for at in range(row_group.num_columns):
                column = row_group.column(at)
                columns[column.path_in_schema.replace("key_value.", "")] += column.total_compressed_size
        parts.update(columns)
        parts["footer"] += footer + MAGIC_BYTES
        parts["index"] += size - footer - MAGIC_BYTES - sum(columns.values())
    json.dump(parts, sys.stdout)


if __name__ == "__main__":
    main()
