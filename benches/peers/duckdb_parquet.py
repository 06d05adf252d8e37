"""DuckDB on zstd Parquet in time order."""

import os

import duckdb
import worker


def write_parquet(file, folder):
    path = os.path.join(folder, "logs.parquet")
    duckdb.sql(f"COPY ({worker.json_rows(file)}) TO {worker.quoted(path)} (FORMAT parquet, COMPRESSION zstd)")
    return {"bytes": os.path.getsize(path)}


class DuckDb(worker.SqlPeer):
    def load(self, file, folder):
        return write_parquet(file, folder)

    def open(self, folder):
        self.connection = duckdb.connect()
        path = worker.quoted(os.path.join(folder, "logs.parquet"))
        self.connection.execute("SET enable_object_cache = true")
        self.connection.execute(f"CREATE VIEW logs AS SELECT * FROM read_parquet({path})")

    def run(self, statement):
        return [list(row) for row in self.connection.execute(statement).fetchall()]


if __name__ == "__main__":
    worker.serve(DuckDb())
