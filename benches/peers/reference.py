"""The right answers: DuckDB over the raw NDJSON. `reference.py FILE FOLDER` reads questions (a JSON list) from standard
input and writes their answers (a JSON list of lists of rows) to standard output.

Questions of a kind are answered together where the scan would otherwise be repeated: rows that hold any of the rare words
are set apart first, and all counts are taken in one pass.
"""

import json
import os
import sys

import duckdb
import worker


class Reference(worker.SqlPeer):
    def __init__(self, file, folder):
        path = os.path.join(folder, "reference.duckdb")
        for old in (path, path + ".wal"):
            if os.path.exists(old):
                os.remove(old)
        self.connection = duckdb.connect(path)
        self.connection.execute(f"CREATE TABLE logs AS {worker.json_rows(file)}")

    def run(self, statement):
        return [list(row) for row in self.connection.execute(statement).fetchall()]

    def rare_words(self, questions):
        """A table of the rows that hold a word which occurs rarely, or None."""
        words = {q["word"] for q in questions if q["kind"] == "rows_with_word"}
        words |= {q["word"] for q in questions if q["kind"] == "count_word" and q["is_rare"]}
        if words:
            any_of = worker.quoted("|".join(sorted(words)))
            self.run(f"CREATE TEMP TABLE rare AS SELECT * FROM logs WHERE regexp_matches(message, {any_of})")

    def counts(self, conditions):
        """How many rows meet each condition, in one pass."""
        if not conditions:
            return []
        filters = ", ".join(f"count(*) FILTER (WHERE {condition})" for condition in conditions)
        return self.run(f"SELECT {filters} FROM logs")[0]


def condition(reference, q):
    match q["kind"]:
        case "count_word" if not q["is_rare"]:
            return reference.word(q["word"])
        case "count_substring":
            return reference.substring(q["text"])
        case "count_regex":
            return f"contains(message, {worker.quoted(q['regex'].split('=')[0])}) AND {reference.regex(q['regex'])}"
    return None


def answers(reference, questions):
    reference.rare_words(questions)
    conditions = sorted({condition(reference, q) for q in questions} - {None})
    counted = dict(zip(conditions, reference.counts(conditions)))
    latest = {}
    for q in questions:
        wanted = condition(reference, q)
        if wanted is not None:
            yield [[counted[wanted]]]
        elif q["kind"] in ("phrase", "latest"):
            # The same rows for each limit: the longest answer holds the others.
            key = (q["kind"], q.get("phrase"))
            if key not in latest:
                limits = [one["limit"] for one in questions if (one["kind"], one.get("phrase")) == key]
                latest[key] = reference.run(reference.statement(q | {"limit": max(limits)}))
            yield latest[key][: q["limit"]]
        else:
            statement = reference.statement(q)
            if "word" in q:
                statement = statement.replace(" FROM logs ", " FROM rare ")
            yield reference.run(statement)


def main():
    questions = json.load(sys.stdin)
    reference = Reference(sys.argv[1], sys.argv[2])
    json.dump(list(answers(reference, questions)), sys.stdout, ensure_ascii=False)


if __name__ == "__main__":
    main()
