"""tantivy: an index with positions and stored rows, asked in process by one thread: a library's floor, not a server."""

import datetime
import json
import os

import tantivy
import worker

HEAP_BYTES = 400_000_000
THREADS = 2
LATER = 1 << 62


class Tantivy:
    def load(self, file, folder):
        path = os.path.join(folder, "tantivy")
        os.makedirs(path)
        builder = tantivy.SchemaBuilder()
        builder.add_integer_field("timestamp", fast=True, indexed=True)
        for name in ("source", "level", "host"):
            builder.add_text_field(name, tokenizer_name="raw", fast=True, index_option="basic")
        builder.add_text_field("message", tokenizer_name="default", index_option="position")
        builder.add_text_field("trace_id", tokenizer_name="raw", index_option="basic")
        builder.add_bytes_field("row", stored=True)
        index = tantivy.Index(builder.build(), path=path)
        writer = index.writer(HEAP_BYTES, THREADS)
        with open(file, encoding="utf-8") as lines:
            for line in lines:
                add(writer, json.loads(line))
        writer.commit()
        writer.wait_merging_threads()
        return {"bytes": worker.folder_bytes(path)}

    def open(self, folder):
        self.index = tantivy.Index.open(os.path.join(folder, "tantivy"))
        self.index.reload()
        self.searcher = self.index.searcher()
        self.schema = self.index.schema

    def term(self, field, value):
        return tantivy.Query.term_query(self.schema, field, value)

    def since(self, from_us, until_us=LATER):
        kind = tantivy.FieldType.Integer
        return tantivy.Query.range_query(self.schema, "timestamp", kind, from_us, until_us, include_upper=False)

    def both(self, *queries):
        return tantivy.Query.boolean_query([(tantivy.Occur.Must, query) for query in queries])

    def latest(self, query, limit):
        hits = self.searcher.search(query, limit, count=False, order_by_field="timestamp").hits
        return [json.loads(bytes(self.searcher.doc(address)["row"][0])) for _, address in hits]

    def count(self, query):
        return [[self.searcher.search(query, 1, count=True).count]]

    def buckets(self, query, aggregation):
        return self.searcher.aggregate(query, {"of": aggregation})["of"]["buckets"]

    def ask(self, q):
        errors = self.term("level", "ERROR")
        match q["kind"]:
            case "rows_with_word":
                return self.latest(self.term("message", q["word"]), 1000)
            case "count_word":
                return self.count(self.term("message", q["word"]))
            case "errors_of_source":
                source = self.term("source", q["source"])
                return self.latest(self.both(source, errors, self.since(q["from_us"], q["until_us"])), q["limit"])
            case "histogram":
                levels = {"levels": {"terms": {"field": "level"}}}
                over = {"field": "timestamp", "interval": q["step_s"] * 1_000_000, "min_doc_count": 1}
                found = self.buckets(self.since(q["from_us"]), {"histogram": over, "aggs": levels})
                return [
                    [int(bucket["key"]), level["key"], level["doc_count"]]
                    for bucket in found
                    for level in bucket["levels"]["buckets"]
                ]
            case "sources_with_errors":
                found = self.buckets(errors, {"terms": {"field": "source", "size": 1000}})
                rows = sorted(([one["key"], one["doc_count"]] for one in found), key=lambda row: (-row[1], row[0]))
                return rows[: q["limit"]]
            case "phrase":
                return self.latest(tantivy.Query.phrase_query(self.schema, "message", q["phrase"].split(" ")), q["limit"])
            case "count_substring":
                return self.count(tantivy.Query.regex_query(self.schema, "message", f".*{q['text'].lower()}.*"))
            case "trace":
                return self.latest(self.term("trace_id", q["trace_id"]), 1000)
            case "latest":
                return self.latest(tantivy.Query.all_query(), q["limit"])
            case "hosts_with_errors":
                query = self.both(errors, self.since(q["from_us"]))
                return [[one["key"]] for one in self.buckets(query, {"terms": {"field": "host", "size": 10000}})]
            case "source_without_words":
                without = [(tantivy.Occur.MustNot, self.term("message", word)) for word in q["words"]]
                must = [(tantivy.Occur.Must, self.term("source", q["source"]))]
                return self.latest(tantivy.Query.boolean_query(must + without), q["limit"])
        # Regular expressions over several tokens are beyond it.
        return None


def add(writer, row):
    tags = row["tags"]
    us = micros(row["timestamp"])
    trace = row.get("trace_id")
    document = tantivy.Document()
    document.add_integer("timestamp", us)
    document.add_text("source", row["source"])
    document.add_text("level", row["level"])
    document.add_text("host", tags["host"])
    document.add_text("message", row["message"])
    if trace:
        document.add_text("trace_id", trace)
    stored = [us, row["source"], row["level"], row["message"], trace, tags["env"], tags["region"], tags["host"], tags["pod"]]
    document.add_bytes("row", json.dumps(stored, ensure_ascii=False).encode())
    writer.add_document(document)


DAYS = {}


def micros(timestamp):
    """Microseconds since 1970 of `2026-03-02T13:45:10.123456Z`."""
    day = timestamp[:10]
    if day not in DAYS:
        DAYS[day] = int(datetime.datetime.fromisoformat(day + "T00:00:00+00:00").timestamp()) * 1_000_000
    hours, minutes, seconds, us = int(timestamp[11:13]), int(timestamp[14:16]), int(timestamp[17:19]), int(timestamp[20:26])
    return DAYS[day] + ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + us


if __name__ == "__main__":
    worker.serve(Tantivy())
