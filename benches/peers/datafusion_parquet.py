"""Plain DataFusion, filters pushed down, on the Parquet file that DuckDB writes: without any index of ours."""

import os

import datafusion
import worker
from duckdb_parquet import write_parquet


class DataFusion(worker.SqlPeer):
    def load(self, file, folder):
        return write_parquet(file, folder)

    def open(self, folder):
        config = datafusion.SessionConfig()
        config.set("datafusion.execution.parquet.pushdown_filters", "true")
        config.set("datafusion.execution.parquet.reorder_filters", "true")
        self.context = datafusion.SessionContext(config)
        self.context.register_parquet("logs", os.path.join(folder, "logs.parquet"))

    def moment(self, us):
        return f"to_timestamp_micros({us})"

    def us(self, column):
        return f"CAST({column} AS BIGINT)"

    def bucket(self, step_s):
        return f"CAST(date_bin(INTERVAL '{step_s} seconds', timestamp) AS BIGINT)"

    def word(self, word):
        # Both, because LIKE is far faster than the expression and rules most rows out.
        return f"message LIKE {worker.quoted('%' + word + '%')} AND message ~ {worker.quoted(worker.word_regex(word))}"

    def regex(self, regex):
        return f"message ~ {worker.quoted(regex)}"

    def run(self, statement):
        batches = self.context.sql(statement).collect()
        return [list(row) for batch in batches for row in zip(*(column.to_pylist() for column in batch.columns))]


if __name__ == "__main__":
    worker.serve(DataFusion())
