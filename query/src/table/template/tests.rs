//! What is said of templates holds for every message of theirs.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::DFSchema;
use datafusion::functions::regex::expr_fn::regexp_like;
use datafusion::functions::string::expr_fn::{contains, ends_with, lower, starts_with};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, col, lit};
use datafusion::prelude::SessionContext;
use ironbark_storage::{ByteSet, Part, Slot, Template, column};
use proptest::prelude::*;

use super::answers::Answers;
use super::automaton::Automaton;
use super::condition::{Condition, Node};
use super::text::AsciiRegex;
use crate::search::{self, TextQuery, Value};
use crate::table::tally::Verdict;

fn slot(samples: &[&str]) -> Part {
    let bytes = ByteSet::of(samples.concat().as_bytes());
    let lengths = || samples.iter().map(|sample| u32::try_from(sample.len()).unwrap());
    Part::Slot(Slot { bytes, min: lengths().min().unwrap(), max: lengths().max().unwrap() })
}

fn text(text: &str) -> Part {
    Part::Text(text.as_bytes().into())
}

/// The one condition on the message in this search.
fn of_search(query: &str) -> Automaton {
    let TextQuery::Term(term) = search::parse(query).unwrap() else {
        panic!("{query} is more than one term")
    };
    Automaton::new(&AsciiRegex::of_search(&term.value).unwrap()[0]).unwrap()
}

#[test]
fn constants_and_slots_decide() {
    let template = Template::new(vec![
        text("ReplicaStreamer: connection to 10.0.0."),
        slot(&["1", "17"]),
        text(" refused after duration_ms="),
        slot(&["5", "99999"]),
        text(" id "),
        slot(&["a7", "deadbeef00"]),
        text(" status="),
        slot(&["200", "503"]),
    ]);
    for (query, expected) in [
        ("connection", Verdict::All),
        ("\"refused after\"", Verdict::All),
        ("connect", Verdict::Nothing),
        ("connect*", Verdict::All),
        ("*eplicaStreame*", Verdict::All),
        ("*xeplicaStreame*", Verdict::Nothing),
        ("17", Verdict::Undecided),
        ("\"10.0.0.17\"", Verdict::Undecided),
        ("177", Verdict::Nothing),
        ("95", Verdict::Undecided),
        ("zebra", Verdict::Nothing),
        ("deadbeef", Verdict::Undecided),
        ("deadbeef000", Verdict::Nothing),
        ("/duration_ms=[0-9]{5,}/", Verdict::Undecided),
        ("/duration_ms=[0-9]+/", Verdict::All),
        ("/duration_ms=[0-9]{6,}/", Verdict::Nothing),
        ("/status=[0-9]{3}/", Verdict::All),
        ("/status=[0-9]{4,}/", Verdict::Nothing),
        ("/^replica/", Verdict::Nothing),
        ("/^replica/i", Verdict::All),
        ("=\"refused after\"", Verdict::All),
        ("=\"Refused after\"", Verdict::Nothing),
    ] {
        assert_eq!(of_search(query).verdict(&template), expected, "{query}");
    }
}

#[test]
fn other_alphabets_are_left_to_the_scan() {
    let template = Template::new(vec![text("connection größe lost")]);
    assert_eq!(of_search("connection").verdict(&template), Verdict::All);
    assert_eq!(of_search("lost").verdict(&template), Verdict::Undecided);
    assert_eq!(of_search("/^x/").verdict(&template), Verdict::Nothing);
    assert_eq!(AsciiRegex::like("größe%", false), None);
}

/// A template as a list of parts, each with what three messages have there.
type Drawn = Vec<Result<String, [String; 3]>>;

fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "(conn|refused|a|b|k=|id|ab_c|s|K)",
        4 => "[ .:/=-]{1,2}",
        2 => "[0-9]{1,3}",
        1 => "[A-Z][a-z]{0,2}",
        1 => "(é|ſ|İ|ς|\n|東)",
    ]
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let part = prop_oneof![
        3 => fragment().prop_map(Ok),
        2 => prop::array::uniform3("[0-9a-c]{0,3}").prop_map(Err),
        1 => "[0-9]{6}".prop_map(|n| Err([&n[..2], &n[2..4], &n[4..]].map(str::to_owned))),
        1 => prop::array::uniform3(fragment()).prop_map(Err),
    ];
    prop::collection::vec(part, 0..7)
}

fn template(drawn: &Drawn) -> Template {
    let part = |part: &Result<String, [String; 3]>| match part {
        Ok(constant) => text(constant),
        Err(samples) => slot(&samples.each_ref().map(String::as_str)),
    };
    Template::new(drawn.iter().map(part).collect())
}

/// Messages of the template: slots take turns in what they hold.
fn messages(drawn: &Drawn) -> Vec<String> {
    let message = |turn: usize| {
        let of_part = |(place, part): (usize, &Result<String, [String; 3]>)| match part {
            Ok(constant) => constant.clone(),
            Err(samples) => samples[(turn / 3usize.pow(u32::try_from(place % 3).unwrap())) % 3].clone(),
        };
        drawn.iter().enumerate().map(of_part).collect()
    };
    (0..27).map(message).collect()
}

fn query() -> impl Strategy<Value = String> {
    prop_oneof![
        fragment(),
        (fragment(), fragment()).prop_map(|(a, b)| format!("\"{a} {b}\"")),
        (fragment(), fragment()).prop_map(|(a, b)| format!("\"{a}{b}\"")),
        fragment().prop_map(|a| format!("{a}*")),
        fragment().prop_map(|a| format!("*{a}")),
        fragment().prop_map(|a| format!("*{a}*")),
        (fragment(), fragment()).prop_map(|(a, b)| format!("{a}*{b}")),
        fragment().prop_map(|a| format!("=\"{a}\"")),
        (fragment(), fragment()).prop_map(|(a, b)| format!("in({a}, {b})")),
        "(\\^)?[a-c]?(\\[0-9\\]\\{1,2\\}|\\\\d\\+|\\\\w\\*|\\\\b|\\.)[a-c ]?(\\$)?"
            .prop_map(|r| format!("/{r}/")),
        "[a-c]?(k|s|\\.\\*)[a-c]?".prop_map(|r| format!("/{r}/i")),
        "k=\\[0-9\\]\\{[1-4],\\}[a-c ]?".prop_map(|r| format!("/{r}/")),
    ]
}

fn sql() -> impl Strategy<Value = Expr> {
    let message = || prop_oneof![3 => Just(col(column::MESSAGE)), 1 => Just(lower(col(column::MESSAGE)))];
    let pattern =
        prop::collection::vec(prop_oneof![fragment(), Just("%".to_owned()), Just("_".to_owned())], 1..5);
    let like = (message(), pattern, any::<bool>(), any::<bool>()).prop_map(
        |(message, pattern, negated, ignore_case)| {
            let pattern = lit(pattern.concat());
            match (negated, ignore_case) {
                (false, false) => message.like(pattern),
                (true, false) => message.not_like(pattern),
                (false, true) => message.ilike(pattern),
                (true, true) => message.not_ilike(pattern),
            }
        },
    );
    let regex = |op| {
        let of = move |regex: String| {
            Expr::BinaryExpr(BinaryExpr::new(Box::new(col(column::MESSAGE)), op, Box::new(lit(regex))))
        };
        "[a-c]?(k|s|\\.\\*|\\[0-9\\]|\\^a)[a-c]?".prop_map(of)
    };
    let leaf = prop_oneof![
        3 => like,
        1 => (message(), fragment()).prop_map(|(message, held)| contains(message, lit(held))),
        1 => (message(), fragment()).prop_map(|(message, start)| starts_with(message, lit(start))),
        1 => (message(), fragment()).prop_map(|(message, end)| ends_with(message, lit(end))),
        1 => (message(), fragment()).prop_map(|(message, all)| message.eq(lit(all))),
        1 => (message(), fragment()).prop_map(|(message, all)| message.not_eq(lit(all))),
        1 => (fragment(), fragment()).prop_map(|(a, b)| col(column::MESSAGE).in_list(vec![lit(a), lit(b)], false)),
        1 => regex(Operator::RegexMatch),
        1 => regex(Operator::RegexNotIMatch),
        1 => "[a-c]?(k|\\.\\*)[a-c]?".prop_map(|regex| regexp_like(col(column::MESSAGE), lit(regex), None)),
        1 => fragment().prop_map(|bound| col(column::MESSAGE).lt(lit(bound))),
    ];
    leaf.prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| a.and(b)),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| a.or(b)),
            inner.clone().prop_map(|a| !a),
            inner.prop_map(Expr::is_true),
        ]
    })
}

/// What DataFusion says of each message.
fn evaluate(expr: &Expr, messages: &[String]) -> Vec<bool> {
    let schema = Arc::new(Schema::new(vec![Field::new(column::MESSAGE, DataType::Utf8, false)]));
    let names = DFSchema::try_from(schema.as_ref().clone()).unwrap();
    let state = SessionContext::new();
    let expr = state.create_physical_expr(expr.clone(), &names).unwrap();
    let texts: StringArray = messages.iter().map(|message| Some(message.as_str())).collect();
    let batch = RecordBatch::try_new(schema, vec![Arc::new(texts)]).unwrap();
    let found = expr.evaluate(&batch).unwrap().into_array(messages.len()).unwrap();
    found.as_boolean().iter().map(|found| found == Some(true)).collect()
}

/// Without leaves on other columns.
fn verdict(condition: &Condition, node: &Node, template: &Template) -> Answers {
    let of = |node: &Node| verdict(condition, node, template);
    match node {
        Node::Fixed(answers) => *answers,
        Node::Text(leaf) => match Automaton::new(&condition.texts[*leaf]) {
            Some(text) => Answers::of_text(text.verdict(template)),
            None => Answers::ANY,
        },
        Node::Other(_) => Answers::ANY,
        Node::And(nodes) => nodes.iter().map(of).fold(Answers::TRUE, Answers::and),
        Node::Or(nodes) => nodes.iter().map(of).fold(Answers::FALSE, Answers::or),
        Node::Not(node) => of(node).not(),
        Node::IsTrue(node) => of(node).is_true(),
    }
}

fn check(verdict: Verdict, found: &[bool]) -> bool {
    match verdict {
        Verdict::All => found.iter().all(|found| *found),
        Verdict::Nothing => !found.iter().any(|found| *found),
        Verdict::Undecided => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn searches_agree_with_every_message(drawn in drawn(), query in query()) {
        let parsed = search::parse(&query);
        prop_assume!(matches!(&parsed, Ok(TextQuery::Term(term)) if term.field.is_none()));
        let TextQuery::Term(term) = parsed.unwrap() else { unreachable!() };
        prop_assume!(!matches!(term.value, Value::Cidr(_)));
        let Some(regexes) = AsciiRegex::of_search(&term.value) else { return Ok(()) };
        let template = template(&drawn);
        let answers = regexes.iter().map(|regex| match Automaton::new(regex) {
            Some(automaton) => Answers::of_text(automaton.verdict(&template)),
            None => Answers::ANY,
        });
        let answers = answers.fold(Answers::FALSE, Answers::or);
        let matcher = search::Matcher::compile(&TextQuery::Term(term), &query).unwrap();
        let messages = messages(&drawn);
        let found: Vec<bool> =
            messages.iter().map(|message| matcher.is_match(Some(message), &mut String::new())).collect();
        prop_assert!(check(answers.verdict(), &found), "{query}: {answers:?}, {messages:?}, {found:?}");
    }

    #[test]
    fn sql_agrees_with_every_message(drawn in drawn(), expr in sql()) {
        let Some(condition) = Condition::of(std::slice::from_ref(&expr)) else { return Ok(()) };
        let answers = verdict(&condition, &condition.root, &template(&drawn));
        let messages = messages(&drawn);
        let found = evaluate(&expr, &messages);
        prop_assert!(check(answers.verdict(), &found), "{expr}: {answers:?}, {messages:?}, {found:?}");
    }
}
