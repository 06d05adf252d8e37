"""ClickHouse in process (chdb): MergeTree in time order with its text index on the message and a bloom on trace_id."""

import json
import os
import time

import worker
from chdb.session import Session

TABLE = """
CREATE TABLE logs.logs (
  timestamp DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
  source LowCardinality(String), level LowCardinality(String),
  message String CODEC(ZSTD(1)), trace_id String CODEC(ZSTD(1)),
  env LowCardinality(String), region LowCardinality(String), host LowCardinality(String), pod LowCardinality(String),
  INDEX message_text message TYPE text(tokenizer = 'splitByNonAlpha'),
  INDEX trace_bloom trace_id TYPE bloom_filter(0.01) GRANULARITY 1
) ENGINE = MergeTree ORDER BY timestamp
"""
SETTLED_LOOKS = 4


class ClickHouse(worker.SqlPeer):
    def load(self, file, folder):
        self.open(folder)
        self.session.query("CREATE DATABASE IF NOT EXISTS logs")
        self.session.query(TABLE)
        self.session.query(
            "INSERT INTO logs.logs SELECT timestamp, source, level, message, trace_id,"
            " tags.1, tags.2, tags.3, tags.4"
            f" FROM file({worker.quoted(file)}, JSONEachRow, 'timestamp DateTime64(6, \\'UTC\\'), source String,"
            " level String, message String, trace_id String,"
            " tags Tuple(env String, region String, host String, pod String)')"
            " SETTINGS date_time_input_format = 'best_effort'"
        )
        looks = 0
        while looks < SETTLED_LOOKS:
            merges = self.run("SELECT count() FROM system.merges")[0][0]
            looks = 0 if int(merges) else looks + 1
            time.sleep(0.25)
        columns = self.run(
            "SELECT column, sum(column_data_compressed_bytes) FROM system.parts_columns"
            " WHERE table = 'logs' AND active GROUP BY column"
        )
        indices = self.run(
            "SELECT name, sum(data_compressed_bytes) FROM system.data_skipping_indices"
            " WHERE table = 'logs' GROUP BY name"
        )
        total = self.run("SELECT sum(bytes_on_disk) FROM system.parts WHERE table = 'logs' AND active")
        parts = {name: int(size) for name, size in columns + indices}
        return {"bytes": int(total[0][0]), "parts": parts}

    def open(self, folder):
        self.session = Session(os.path.join(folder, "chdb"))
        self.session.query("SET use_query_condition_cache = 0")

    def moment(self, us):
        return f"fromUnixTimestamp64Micro(toInt64({us}), 'UTC')"

    def us(self, column):
        return f"toUnixTimestamp64Micro({column})"

    def bucket(self, step_s):
        return f"toUnixTimestamp(toStartOfInterval(timestamp, INTERVAL {step_s} SECOND)) * 1000000"

    def word(self, word):
        return f"hasToken(message, {worker.quoted(word)})"

    def phrase(self, phrase):
        words = ", ".join(worker.quoted(word) for word in phrase.split(" "))
        return f"hasAllTokens(message, [{words}]) AND message LIKE {worker.quoted('%' + phrase + '%')}"

    def regex(self, regex):
        return f"match(message, {worker.quoted(regex)})"

    def run(self, statement):
        statement = statement.replace(" FROM logs ", " FROM logs.logs ")
        settings = " SETTINGS output_format_json_quote_64bit_integers = 0"
        answer = self.session.query(statement + settings, "JSONCompactEachRow")
        rows = [json.loads(line) for line in str(answer).splitlines() if line]
        for row in rows:
            if len(row) == 1 + len(worker.COLUMNS):
                # The table has no NULL: no trace is an empty one.
                row[4] = row[4] or None
        return rows


if __name__ == "__main__":
    worker.serve(ClickHouse())
