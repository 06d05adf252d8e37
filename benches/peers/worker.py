"""What the peers have in common: one JSON request a line on standard input, one JSON answer a line on standard output.

A peer is an object with

    load(file, folder)   reads the NDJSON into a database in the folder and settles it; returns figures of its own
    open(folder)         opens that database, cold
    ask(question)        answers with rows as lists, or None if it cannot

Rows of logs are [timestamp in us, source, level, message, trace_id, env, region, host, pod]. The harness measures from
outside; nothing here measures or checks.
"""

import json
import os
import sys

COLUMNS = ["source", "level", "message", "trace_id", "env", "region", "host", "pod"]
JSON_COLUMNS = {
    "timestamp": "TIMESTAMP",
    "source": "VARCHAR",
    "level": "VARCHAR",
    "message": "VARCHAR",
    "tags": "STRUCT(env VARCHAR, region VARCHAR, host VARCHAR, pod VARCHAR)",
    "trace_id": "VARCHAR",
}


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def json_rows(file):
    """A statement of DuckDB's: the rows of an NDJSON file, with a column for each tag."""
    columns = ", ".join(f"{name}: '{kind}'" for name, kind in JSON_COLUMNS.items())
    return (
        "SELECT timestamp, source, level, message, trace_id, tags.env, tags.region, tags.host, tags.pod"
        f" FROM read_json({quoted(file)}, format='newline_delimited', columns={{{columns}}})"
    )


def folder_bytes(folder):
    return sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(folder) for name in names)


def serve(peer):
    """Answers until standard input ends. An error is an answer, too."""
    # Libraries write to standard output as they like; the answers have a descriptor of their own.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            match request["do"]:
                case "load":
                    answer = {"figures": peer.load(request["file"], request["folder"]) or {}}
                case "open":
                    peer.open(request["folder"])
                    answer = {}
                case "ask":
                    answer = {"rows": peer.ask(request["question"])}
                case other:
                    answer = {"error": f"unknown request {other}"}
        except Exception as error:  # whatever a library raises is told to the harness, which fails by name
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer, ensure_ascii=False) + "\n")
        answers.flush()


class SqlPeer:
    """The questions in SQL. A dialect says how it writes a moment, a word and so on, and runs the statement."""

    def moment(self, us):
        return f"make_timestamp({us})"

    def us(self, column):
        return f"epoch_us({column})"

    def bucket(self, step_s):
        return f"epoch_us(timestamp) // {step_s * 1_000_000} * {step_s * 1_000_000}"

    def word(self, word):
        return f"contains(message, {quoted(word)}) AND regexp_matches(message, {quoted(word_regex(word))})"

    def without_word(self, word):
        return f"NOT ({self.word(word)})"

    def phrase(self, phrase):
        return self.word(phrase)

    def substring(self, text):
        return f"message LIKE {quoted('%' + text + '%')}"

    def regex(self, regex):
        return f"regexp_matches(message, {quoted(regex)})"

    def run(self, statement):
        raise NotImplementedError

    def rows(self, where, tail=""):
        columns = ", ".join(COLUMNS)
        return f"SELECT {self.us('timestamp')} AS us, {columns} FROM logs {where} {tail}"

    def latest(self, where, limit):
        return self.rows(where, f"ORDER BY timestamp DESC LIMIT {limit}")

    def statement(self, q):
        match q["kind"]:
            case "rows_with_word":
                return self.rows(f"WHERE {self.word(q['word'])}")
            case "count_word":
                return f"SELECT count(*) FROM logs WHERE {self.word(q['word'])}"
            case "errors_of_source":
                return self.latest(
                    f"WHERE source = {quoted(q['source'])} AND level = 'ERROR'"
                    f" AND timestamp >= {self.moment(q['from_us'])} AND timestamp < {self.moment(q['until_us'])}",
                    q["limit"],
                )
            case "histogram":
                return (
                    f"SELECT {self.bucket(q['step_s'])} AS bucket, level, count(*) FROM logs"
                    f" WHERE timestamp >= {self.moment(q['from_us'])} GROUP BY 1, 2"
                )
            case "sources_with_errors":
                return (
                    "SELECT source, count(*) AS n FROM logs WHERE level = 'ERROR'"
                    f" GROUP BY source ORDER BY n DESC, source LIMIT {q['limit']}"
                )
            case "phrase":
                return self.latest(f"WHERE {self.phrase(q['phrase'])}", q["limit"])
            case "count_substring":
                return f"SELECT count(*) FROM logs WHERE {self.substring(q['text'])}"
            case "count_regex":
                return f"SELECT count(*) FROM logs WHERE {self.regex(q['regex'])}"
            case "trace":
                return self.rows(f"WHERE trace_id = {quoted(q['trace_id'])}")
            case "latest":
                return self.latest("", q["limit"])
            case "hosts_with_errors":
                return (
                    "SELECT DISTINCT host FROM logs WHERE level = 'ERROR'"
                    f" AND timestamp >= {self.moment(q['from_us'])}"
                )
            case "source_without_words":
                without = " AND ".join(self.without_word(word) for word in q["words"])
                return self.latest(f"WHERE source = {quoted(q['source'])} AND {without}", q["limit"])
        return None

    def ask(self, question):
        statement = self.statement(question)
        return None if statement is None else self.run(statement)


def word_regex(word):
    return f"(^|[^A-Za-z0-9_]){word}($|[^A-Za-z0-9_])"
