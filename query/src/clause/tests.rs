//! Clauses as texts, and the property that makes them safe: where a condition is true, its clauses hold.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;

use arrow::array::{Array, AsArray, MapBuilder, RecordBatch, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::DFSchema;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::prelude::{SessionConfig, SessionContext};
use ironbark_storage::{LogSchema, RangeSet, Term, TermKind, is_odd_number, lower, tokens};
use proptest::prelude::*;

use super::{TERMS_MAX, conjuncts, split_term};
use crate::fixture::Fixture;

/// A session's functions and rules, over tables in memory.
fn context(fixture: &Fixture) -> SessionContext {
    let state = SessionStateBuilder::new_from_existing(fixture.engine.base.clone());
    // Tables of logs get their filters before lookups of tags, and what they have in common, are computed apart.
    let config = SessionConfig::new().set_bool("datafusion.optimizer.enable_leaf_expression_pushdown", false);
    let context = SessionContext::new_with_state(state.with_config(config).build());
    assert!(context.remove_optimizer_rule("common_sub_expression_eliminate"));
    context
}

/// The filters of a scan: the condition, with the functions and the rules of a session.
fn filters(fixture: &Fixture, condition: &str) -> Vec<Expr> {
    let context = context(fixture);
    context.register_batch("logs", rows(&["x"])).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let plan = runtime.block_on(async {
        let sql = format!("SELECT * FROM logs WHERE {condition}");
        context
            .sql(&sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
            .into_optimized_plan()
            .unwrap()
    });
    found_in(&plan)
}

fn found_in(plan: &LogicalPlan) -> Vec<Expr> {
    match plan {
        LogicalPlan::Filter(filter) => {
            datafusion::logical_expr::utils::split_conjunction_owned(filter.predicate.clone())
        }
        LogicalPlan::TableScan(scan) => scan.filters.clone(),
        plan => plan.inputs().into_iter().flat_map(found_in).collect(),
    }
}

/// One row for each text: the same in all columns.
fn rows(texts: &[&str]) -> RecordBatch {
    let field = |name: &str| Field::new(name, DataType::Utf8, true);
    let mut tags = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for text in texts {
        tags.keys().append_value("k");
        tags.values().append_value(text);
        tags.append(true).unwrap();
    }
    let tags = arrow::compute::cast(&tags.finish(), &LogSchema::tags_type()).unwrap();
    let fields = ["message", "trace_id", "span_id", "level"].map(field).to_vec();
    let fields = [fields, vec![Field::new("tags", LogSchema::tags_type(), false)]].concat();
    let column: Arc<dyn Array> = Arc::new(StringArray::from(texts.to_vec()));
    let columns = [vec![column; 4], vec![tags]].concat();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn shown(fixture: &Fixture, condition: &str) -> String {
    let shown = conjuncts(&filters(fixture, condition)).iter().map(ToString::to_string).collect::<Vec<_>>();
    if shown.is_empty() { "-".to_owned() } else { shown.join(" & ") }
}

const CONDITIONS: [&str; 44] = [
    "matches(message, 'timeout')",
    "matches(message, '\"Read timeout\" user=42')",
    "matches(message, 'a (b OR c) -d')",
    "matches(message, 'conn reset*')",
    "matches(message, 'conn.reset*')",
    "matches(message, 'conn.reset-*')",
    "matches(message, '*ing.at.x')",
    "matches(message, '*b.mid.e*')",
    "matches(message, 'GET-a.log*b.x.y*c')",
    "matches(message, '=\"a Mid b\"')",
    "matches(message, 'in(alpha, \"b c\")')",
    "matches(message, 'db-1:5432')",
    "matches(message, '/get/ OR x')",
    "matches(message, '10.0.0.0/8')",
    "matches(message, '*')",
    "matches(level, 'timeout')",
    "NOT matches(message, 'a')",
    "trace_id = 'Ab-1'",
    "lower(trace_id) = 'ab-1' AND span_id IN ('x', 'Y')",
    "trace_id = 'a' OR level = 'ERROR'",
    "(trace_id = 'a' OR matches(message, 'b c')) AND level = 'ERROR'",
    "trace_id <> 'a'",
    "trace_id NOT IN ('a', 'b')",
    "message = 'Read timeout'",
    "lower(message) = 'read timeout'",
    "message LIKE '%a timeout b%'",
    "message LIKE 'start of%the end'",
    "message LIKE '%a\\_b c\\% d_e f g%'",
    "message ILIKE '%a Wait too sit b%'",
    "message NOT LIKE '%a b c%'",
    "contains(message, 'a b c')",
    "starts_with(message, 'a b')",
    "(matches(message, 'a') OR matches(message, 'b')) IS TRUE",
    "tags['Key'] = 'Ab-1'",
    "lower(tags['a.b']) IN ('x y', 'z')",
    "matches(tags['k'], '\"a b\" c*')",
    "tags['k'] LIKE '%a b c%'",
    "tags['k'] <> 'a'",
    "tags['k'] IS NULL OR tags['k'] = 'a'",
    "TRY_CAST(tags['k'] AS DOUBLE) = 48213",
    "TRY_CAST(tags['k'] AS DOUBLE) = 1.5",
    "TRY_CAST(tags['k'] AS BIGINT) = 9007199254740993",
    "coalesce(TRY_CAST(tags['k'] AS DOUBLE) = 7, matches(tags['k'], '7'))",
    "CASE WHEN level = 'a' THEN trace_id = 'x' ELSE span_id = 'y' END",
];

#[test]
fn conditions_become_clauses() {
    let fixture = Fixture::new();
    let shown: Vec<_> = CONDITIONS
        .iter()
        .map(|condition| format!("{condition}  =>  {}", shown(&fixture, condition)))
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    matches(message, 'timeout')  =>  message:timeout
    matches(message, '"Read timeout" user=42')  =>  message:read & message:timeout & message:user & message:42
    matches(message, 'a (b OR c) -d')  =>  message:a & (message:b OR message:c)
    matches(message, 'conn reset*')  =>  message:conn
    matches(message, 'conn.reset*')  =>  message:conn
    matches(message, 'conn.reset-*')  =>  message:conn & message:reset
    matches(message, '*ing.at.x')  =>  message:at & message:x
    matches(message, '*b.mid.e*')  =>  message:mid
    matches(message, 'GET-a.log*b.x.y*c')  =>  message:a & message:x
    matches(message, '="a Mid b"')  =>  message:mid
    matches(message, 'in(alpha, "b c")')  =>  (message:alpha OR (message:b AND message:c))
    matches(message, 'db-1:5432')  =>  message:db & message:1 & message:5432
    matches(message, '/get/ OR x')  =>  -
    matches(message, '10.0.0.0/8')  =>  -
    matches(message, '*')  =>  -
    matches(level, 'timeout')  =>  -
    NOT matches(message, 'a')  =>  -
    trace_id = 'Ab-1'  =>  trace_id:ab-1
    lower(trace_id) = 'ab-1' AND span_id IN ('x', 'Y')  =>  (span_id:x OR span_id:y) & trace_id:ab-1
    trace_id = 'a' OR level = 'ERROR'  =>  -
    (trace_id = 'a' OR matches(message, 'b c')) AND level = 'ERROR'  =>  (trace_id:a OR (message:b AND message:c))
    trace_id <> 'a'  =>  -
    trace_id NOT IN ('a', 'b')  =>  -
    message = 'Read timeout'  =>  message:read & message:timeout
    lower(message) = 'read timeout'  =>  message:read & message:timeout
    message LIKE '%a timeout b%'  =>  message:timeout
    message LIKE 'start of%the end'  =>  message:start & message:end
    message LIKE '%a\_b c\% d_e f g%'  =>  message:c & message:f
    message ILIKE '%a Wait too sit b%'  =>  message:wait & message:too
    message NOT LIKE '%a b c%'  =>  -
    contains(message, 'a b c')  =>  message:b
    starts_with(message, 'a b')  =>  message:a
    (matches(message, 'a') OR matches(message, 'b')) IS TRUE  =>  (message:a OR message:b)
    tags['Key'] = 'Ab-1'  =>  tags.key:ab & tags.key:1
    lower(tags['a.b']) IN ('x y', 'z')  =>  ((tags.a.b:x AND tags.a.b:y) OR tags.a.b:z)
    matches(tags['k'], '"a b" c*')  =>  tags.k:a & tags.k:b
    tags['k'] LIKE '%a b c%'  =>  tags.k:b
    tags['k'] <> 'a'  =>  -
    tags['k'] IS NULL OR tags['k'] = 'a'  =>  -
    TRY_CAST(tags['k'] AS DOUBLE) = 48213  =>  (tags.k:48213 OR tags.k:<odd number>)
    TRY_CAST(tags['k'] AS DOUBLE) = 1.5  =>  -
    TRY_CAST(tags['k'] AS BIGINT) = 9007199254740993  =>  (tags.k:9007199254740993 OR tags.k:<odd number>)
    coalesce(TRY_CAST(tags['k'] AS DOUBLE) = 7, matches(tags['k'], '7'))  =>  (tags.k:7 OR tags.k:<odd number>)
    CASE WHEN level = 'a' THEN trace_id = 'x' ELSE span_id = 'y' END  =>  (trace_id:x OR span_id:y)
    "#);
}

#[test]
fn clauses_are_bounded() {
    let fixture = Fixture::new();
    let words = |n: usize| (0..n).map(|n| format!("w{n}")).collect::<Vec<_>>();
    let all = conjuncts(&filters(&fixture, &format!("message = '{}'", words(TERMS_MAX + 9).join(" "))));
    assert_eq!(all.len(), TERMS_MAX);
    let one = |n| conjuncts(&filters(&fixture, &format!("trace_id IN ('{}')", words(n).join("','"))));
    assert_eq!(one(TERMS_MAX).first().map(|clause| clause.terms().len()), Some(TERMS_MAX));
    assert!(one(TERMS_MAX + 1).is_empty());
}

#[test]
fn one_term_is_the_whole_condition_or_nothing() {
    let fixture = Fixture::new();
    let term = |condition: &str| {
        let (term, others) = split_term(&filters(&fixture, condition))?;
        Some(format!("{} & {} others", term.text(), others.len()))
    };
    for condition in [
        "matches(message, 'Timeout')",
        "matches(message, '\"timeout\"')",
        "matches(message, 'timeout') IS TRUE",
        "matches(message, 'timeout') AND message IS NOT NULL",
        "lower(trace_id) = 'timeout'",
        "span_id IS NOT NULL AND lower(span_id) = 'timeout'",
    ] {
        assert_eq!(term(condition).as_deref(), Some("timeout & 0 others"), "{condition}");
    }
    for condition in [
        "matches(message, 'timeout') AND level = 'ERROR'",
        "matches(message, 'timeout') AND trace_id IS NOT NULL",
        "matches(message, 'timeout') AND matches(message, 'read')",
    ] {
        assert_eq!(term(condition).as_deref(), Some("timeout & 1 others"), "{condition}");
    }
    for condition in [
        "matches(message, 'read timeout')",
        "matches(message, 'time.out')",
        "matches(message, 'timeout*')",
        "matches(message, '=\"timeout\"')",
        "matches(message, 'timeout') OR level = 'ERROR'",
        "NOT matches(message, 'timeout')",
        "matches(level, 'timeout')",
        "trace_id = 'timeout'",
        "lower(trace_id) = 'Timeout'",
        "lower(trace_id) = 'σ'",
        "lower(message) = 'timeout'",
    ] {
        assert_eq!(term(condition), None, "{condition}");
    }
}

/// Texts out of few letters, those with strange cases among them.
fn text() -> impl Strategy<Value = String> {
    let pieces = vec![
        "a", "b", "i", "s", "k", "A", "I", "S", "İ", "ı", "\u{307}", "ſ", "\u{212a}", "Σ", "σ", "ς", "ß",
        "ẞ", "é", "É", "Ⓐ", "ⓐ", "ǅ", "東", "7", "_", " ", " ", " ", "-", ".", "→",
    ];
    prop::collection::vec(prop::sample::select(pieces), 0..9).prop_map(|pieces| pieces.concat())
}

/// A part of the text, and what a search or a LIKE makes of it.
fn condition(texts: &[String]) -> impl Strategy<Value = String> + use<> {
    let texts = texts.to_vec();
    let forms = vec![
        "matches(message, '{word}')",
        "matches(message, '\"{}\"')",
        "matches(message, '{word}*')",
        "matches(message, '*{word}')",
        "matches(message, '*{word}*')",
        "matches(message, '{word}*{word2}')",
        "matches(message, '*{word}*{word2}*')",
        "matches(message, '=\"{}\"')",
        "matches(message, 'in(\"{}\", \"{2}\")')",
        "NOT matches(message, '\"{}\"')",
        "message = '{}'",
        "lower(message) = lower('{}')",
        "message LIKE '%{}%'",
        "message LIKE '{}%{2}'",
        "message LIKE '{}_{2}%'",
        "message ILIKE '%{}%'",
        "message ILIKE '{}%'",
        "message ILIKE '{}'",
        "lower(message) LIKE '%{}%'",
        "lower(message) LIKE lower('%{}')",
        "contains(message, '{}')",
        "starts_with(message, '{}')",
        "trace_id = '{}'",
        "lower(trace_id) = lower('{}')",
        "lower(trace_id) = '{}'",
        "trace_id IN ('{}', '{2}')",
        "lower(span_id) IN ('{}', lower('{2}'))",
        "trace_id ILIKE '{}'",
        "tags['k'] = '{}'",
        "lower(tags['k']) = lower('{}')",
        "tags['k'] ILIKE '%{}%'",
        "matches(tags['k'], '\"{}\"')",
        "starts_with(tags['k'], '{}')",
    ];
    let part = move || {
        let texts = texts.clone();
        (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 1..6usize).prop_map(
            move |(t, at, len)| {
                let chars: Vec<char> = texts[t.index(texts.len())].chars().collect();
                chars.iter().skip(at.index(chars.len().max(1))).take(len).collect::<String>()
            },
        )
    };
    let one = (prop::sample::select(forms), part(), part()).prop_map(|(form, a, b)| {
        let word = |text: &str| {
            let kept: String = text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
            if kept.is_empty() { "x".to_owned() } else { kept }
        };
        form.replace("{}", &a).replace("{2}", &b).replace("{word}", &word(&a)).replace("{word2}", &word(&b))
    });
    let two = prop::sample::select(vec!["AND", "OR"]);
    (prop::collection::vec(one, 1..4), two).prop_map(|(conditions, operator)| {
        conditions
            .into_iter()
            .map(|one| format!("({one})"))
            .collect::<Vec<_>>()
            .join(&format!(" {operator} "))
    })
}

/// The terms of a row, as the index has them.
fn terms(text: &str) -> BTreeSet<Term> {
    let message = tokens(text).map(|token| Term::new(TermKind::Message, token.text));
    let whole = [TermKind::TraceId, TermKind::SpanId].map(|kind| Term::new(kind, &lower(text)));
    let tagged = tokens(text).map(|token| Term::of_tag("k", token.text));
    let odd = is_odd_number(text).then(|| Term::of_odd_number("k"));
    message.chain(whole).chain(tagged).chain(odd).collect()
}

fn check(texts: &[String], condition: &str) {
    let fixture = Fixture::new();
    let filters = filters(&fixture, condition);
    let clauses = conjuncts(&filters);
    let single = split_term(&filters).filter(|(_, others)| others.is_empty()).map(|(term, _)| term);
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let rows = rows(&texts);
    let context = context(&fixture);
    let filters = filters.into_iter().map(datafusion::logical_expr::expr_rewriter::unnormalize_col);
    let filter = datafusion::logical_expr::utils::conjunction(filters);
    let passes = |row: usize| -> bool {
        let Some(filter) = &filter else { return true };
        let schema = DFSchema::try_from(rows.schema().as_ref().clone()).unwrap();
        let expr = context.create_physical_expr(filter.clone(), &schema).unwrap();
        let answer = expr.evaluate(&rows.slice(row, 1)).unwrap().into_array(1).unwrap();
        answer.as_boolean().is_valid(0) && answer.as_boolean().value(0)
    };
    for (row, text) in texts.iter().enumerate() {
        let held = terms(text);
        let of_term = &mut |term: &Term| -> Result<RangeSet, Infallible> {
            Ok(if held.contains(term) { RangeSet::all(1) } else { RangeSet::none(1) })
        };
        let holds = clauses.iter().all(|clause| !clause.ranges(1, of_term).unwrap().is_empty());
        let passes = passes(row);
        assert!(holds || !passes, "{condition} is true of {text:?}, but {clauses:?} do not hold");
        if let Some(term) = &single {
            assert_eq!(held.contains(term), passes, "{condition} is {term:?} of {text:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn an_index_may_over_match_never_miss(
        (texts, condition) in prop::collection::vec(text(), 1..8)
            .prop_flat_map(|texts| (Just(texts.clone()), condition(&texts))),
    ) {
        check(&texts, &condition);
    }

    #[test]
    fn an_index_never_misses_a_number(
        texts in prop::collection::vec("[-+]?[0-9]{0,3}(\\.[0-9]{0,2}|0{14}|\\.9{16}|9{15})?([eE][-+]?[0-3])?", 1..8),
        turn in any::<prop::sample::Index>(),
        kind in prop::sample::select(vec!["DOUBLE", "BIGINT"]),
    ) {
        let numbers: Vec<f64> = texts.iter().filter_map(|text| text.parse().ok()).collect();
        if !numbers.is_empty() {
            let number = numbers[turn.index(numbers.len())];
            check(&texts, &format!("coalesce(TRY_CAST(tags['k'] AS {kind}) = {number:.0}, matches(tags['k'], '{number:.0}'))"));
        }
    }
}
