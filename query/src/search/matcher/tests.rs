//! The matcher against a table, and against a model that lowers everything and compares lists of tokens.

use proptest::prelude::*;

use super::*;
use crate::search::parse;

fn matches(query: &str, text: &str) -> bool {
    let parsed = parse(query).unwrap_or_else(|error| panic!("{}", error.render()));
    Matcher::compile(&parsed, query).unwrap().is_match(Some(text), &mut String::from("left over"))
}

#[test]
fn words_phrases_and_patterns() {
    let cases: &[(&str, &[&str], &[&str])] = &[
        ("timeout", &["timeout", "Read TIMEOUT!", "x=timeout;"], &["timeouts", "time out", "timeout_ms", ""]),
        ("foo.bar", &["foo.bar", "FOO bar", "a foo--BAR b"], &["foobar", "bar foo", "foo x bar", "foo.bars"]),
        ("\"reset by peer\"", &["connection reset by peer", "Reset: by (peer)"], &["reset peer by"]),
        ("pre*", &["prefix", "a PRE-b", "pre"], &["xpre", "reprefix"]),
        ("foo.ba*", &["foo bar", "foo.ba"], &["foo b", "fooba"]),
        ("foo-*", &["foo", "foo-1"], &["food"]),
        ("*in*", &["in", "pINg", "a.in.b"], &["i n"]),
        ("*n.b*", &["in.body"], &["in body"]),
        ("*fix", &["prefix", "fix", "a.PREFIX."], &["fixed"]),
        ("*.log", &["app.log", "x.log:"], &["app.logs", "log"]),
        ("a*c", &["abc", "ac", "x a_1c y"], &["a c", "xabc", "abcd"]),
        ("*a*c*", &["xabcx"], &["a c"]),
        ("Größe", &["GRÖSSE größe", "größe=1"], &["grösse", "größer"]),
        ("ПРИВ*", &["привет", "о ПРИВЕТ"], &["непривет"]),
        ("*ВЕ*", &["привет"], &["прив ет"]),
        ("->", &["a -> b"], &["a - > b"]),
        ("=\"Exact Case\"", &["an Exact Case."], &["exact case", "Exact  Case"]),
        ("=\"\"", &[""], &["a"]),
        ("\"\"", &[""], &["a"]),
        ("*", &["", "x"], &[]),
        ("/^GET .*5\\d\\d$/", &["GET / 503"], &["get / 503", "GET / 503 "]),
        ("/get/i", &["widGET"], &["g e t"]),
        ("10.0.0.0/8", &["from 10.9.8.7:80"], &["from 110.9.8.7", "11.0.0.1"]),
        ("in(alpha, \"b c\")", &["Alpha", "b-c"], &["b", "alphabet"]),
        ("db-1:5432", &["dial db-1:5432: refused"], &["db-1 and 5432", "db-1:54321"]),
        ("a (b OR c) -d", &["a b", "c a"], &["a", "a b d"]),
        ("kelvin", &["\u{212a}ELVIN é", "kelvin"], &["kelvi\u{144}"]),
    ];
    for (query, hits, misses) in cases {
        for text in *hits {
            assert!(matches(query, text), "{query} should match {text:?}");
        }
        for text in *misses {
            assert!(!matches(query, text), "{query} should not match {text:?}");
        }
    }
}

#[test]
fn no_text_matches_negations_only() {
    for (query, expected) in
        [("a", false), ("*", false), ("-a", true), ("-*", true), ("", true), ("a OR -b", true)]
    {
        let matcher = Matcher::compile(&parse(query).unwrap(), query).unwrap();
        assert_eq!(matcher.is_match(None, &mut String::new()), expected, "{query}");
    }
}

/// A text or word of few different characters, so that matches happen.
fn text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a", "B", "b", "ab", "Ba", "_", " ", ".", "-", "é", "É", "k", "\u{212a}", "1",
    ]);
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

fn lowered_tokens(text: &str) -> Vec<String> {
    tokens(text).map(|token| lower(token.text)).collect()
}

fn node_matches(node: &Node, text: &str) -> bool {
    node.is_match(Some(text), &mut String::new())
}

proptest! {
    #[test]
    fn a_phrase_is_a_window_of_tokens(phrase in text(), text in text()) {
        let wanted = lowered_tokens(&phrase);
        let expected = if wanted.is_empty() {
            if phrase.is_empty() { text.is_empty() } else { lower(&text).contains(&lower(&phrase)) }
        } else {
            lowered_tokens(&text).windows(wanted.len()).any(|window| window == wanted)
        };
        prop_assert_eq!(node_matches(&words(&phrase), &text), expected);
    }

    #[test]
    fn a_prefix_is_a_window_whose_last_token_goes_on(phrase in "[aAbB. -]{0,4}[aAbBé]", text in text()) {
        let wanted = lowered_tokens(&phrase);
        let (last, middle) = wanted.split_last().unwrap();
        let expected = lowered_tokens(&text).windows(wanted.len()).any(|window| {
            window[..middle.len()] == *middle && window[middle.len()].starts_with(last.as_str())
        });
        let pattern = Pattern::new(vec![phrase, String::new()]).unwrap();
        prop_assert_eq!(node_matches(&stars(&pattern).unwrap(), &text), expected);
    }

    #[test]
    fn a_substring_is_one_of_the_lowered_text(inner in text().prop_filter("text", |t| !t.is_empty()), text in text()) {
        let pattern = Pattern::new(vec![String::new(), inner.clone(), String::new()]).unwrap();
        prop_assert_eq!(node_matches(&stars(&pattern).unwrap(), &text), lower(&text).contains(&lower(&inner)));
    }

    #[test]
    fn a_suffix_ends_a_token(suffix in "[aAbB]{1,2}", text in text()) {
        let pattern = Pattern::new(vec![String::new(), suffix.clone()]).unwrap();
        let expected = lowered_tokens(&text).iter().any(|token| token.ends_with(&lower(&suffix)));
        prop_assert_eq!(node_matches(&stars(&pattern).unwrap(), &text), expected);
    }

    #[test]
    fn an_inner_star_stays_in_a_token(start in "[ab]{1,2}", end in "[ab]{1,2}", text in "[abAB .é]{0,12}") {
        let pattern = Pattern::new(vec![start.clone(), end.clone()]).unwrap();
        let expected = lowered_tokens(&text).iter().any(|token| {
            token.len() >= start.len() + end.len() && token.starts_with(&start) && token.ends_with(&end)
        });
        prop_assert_eq!(node_matches(&stars(&pattern).unwrap(), &text), expected);
    }
}

#[test]
fn a_suffix_is_found_behind_an_overlapping_hit() {
    let pattern = Pattern::new(vec![String::new(), "Bb".to_owned()]).unwrap();
    assert!(node_matches(&stars(&pattern).unwrap(), "\u{e9}BBB "));
}
