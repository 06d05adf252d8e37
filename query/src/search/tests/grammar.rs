//! The grammar: what is read, how errors look, and that printing and reading are inverse.

use insta::assert_snapshot;
use proptest::prelude::*;

use super::super::*;

/// One line for each query: the query and its canonical form, or the error.
fn read(queries: &[&str]) -> String {
    let lines = queries.iter().map(|query| match parse(query) {
        Ok(parsed) => format!("{query}  ⇒  {parsed}"),
        Err(error) => format!("{query}  ⇒  {error}"),
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn errors(queries: &[&str]) -> String {
    let rendered = queries.iter().map(|query| match parse(query) {
        Ok(parsed) => format!("{query} is read as {parsed:?}"),
        Err(error) => error.render(),
    });
    rendered.collect::<Vec<_>>().join("\n")
}

#[test]
fn operators() {
    assert_snapshot!(read(&[
        "a", "a b", "a AND b", "a && b c", "a OR b", "a || b", "a OR b c", "(a OR b) c", "a and b or not c",
        "NOT a b", "-a b", "!a", "--a", "NOT (a OR b)", "-(a b)", "a (b (c d))", "+a -b", "a-b", "NOT NOT a", "(a)", "AND: x",
    ]), @r#"
    a  ⇒  a
    a b  ⇒  a AND b
    a AND b  ⇒  a AND b
    a && b c  ⇒  a AND b AND c
    a OR b  ⇒  a OR b
    a || b  ⇒  a OR b
    a OR b c  ⇒  a OR b AND c
    (a OR b) c  ⇒  (a OR b) AND c
    a and b or not c  ⇒  a AND and AND b AND or AND not AND c
    NOT a b  ⇒  NOT a AND b
    -a b  ⇒  NOT a AND b
    !a  ⇒  NOT a
    --a  ⇒  NOT NOT a
    NOT (a OR b)  ⇒  NOT (a OR b)
    -(a b)  ⇒  NOT (a AND b)
    a (b (c d))  ⇒  a AND b AND c AND d
    +a -b  ⇒  a AND NOT b
    a-b  ⇒  a-b
    NOT NOT a  ⇒  NOT NOT a
    (a)  ⇒  a
    AND: x  ⇒  AND:x
    "#);
}

#[test]
fn nothing_is_everything() {
    for query in ["", "  \n"] {
        assert_eq!(parse(query).unwrap(), TextQuery::Everything);
    }
    assert_eq!(TextQuery::Everything.to_string(), "");
}

#[test]
fn values() {
    assert_snapshot!(read(&[
        "\"a phrase\"", "\"say \\\"hi\\\"\"", "f:v", "f:\"v w\"", "f:(a OR b)", "f:(a -b \"c d\")", "f:>=500", "f:> 5", "f:<-1.5",
        "f:[a TO b]", "f:{1 TO 5]", "f:[* TO 5}", "f:[2026-01-01T00:00:00Z TO now]", "f:[\"a b\" TO *]", "f:*", "*", "*:*",
        "pre*", "*in*", "*suf", "a*b**c", "**", "/re gex\\/x/", "/x/i", "f:/[0-9]+/", "=\"Exact Case\"", "f:=\"V\"", "f:=v",
        "in(a, b)", "f:in(a,\"b c\",-5)", "f:IN(a)", "in (a)", "10.0.0.0/8", "f:10.1.2.3/8", "2001:db8::/32", "f:!x", "f:!(a b)",
        "f: v", "f:-5", "f:(-5)", "f:\"\"", "\"f g\":v", "{", "[ERROR]", "a -> b => c -- d", "f:(->)", "x >= 5",
    ]), @r#"
    "a phrase"  ⇒  "a phrase"
    "say \"hi\""  ⇒  "say \"hi\""
    f:v  ⇒  f:v
    f:"v w"  ⇒  f:"v w"
    f:(a OR b)  ⇒  f:a OR f:b
    f:(a -b "c d")  ⇒  f:a AND NOT f:b AND f:"c d"
    f:>=500  ⇒  f:>=500
    f:> 5  ⇒  f:>5
    f:<-1.5  ⇒  f:<-1.5
    f:[a TO b]  ⇒  f:[a TO b]
    f:{1 TO 5]  ⇒  f:{1 TO 5]
    f:[* TO 5}  ⇒  f:[* TO 5}
    f:[2026-01-01T00:00:00Z TO now]  ⇒  f:[2026-01-01T00:00:00Z TO now]
    f:["a b" TO *]  ⇒  f:["a b" TO *]
    f:*  ⇒  f:*
    *  ⇒  *
    *:*  ⇒  *
    pre*  ⇒  pre*
    *in*  ⇒  *in*
    *suf  ⇒  *suf
    a*b**c  ⇒  a*b*c
    **  ⇒  *
    /re gex\/x/  ⇒  /re gex\/x/
    /x/i  ⇒  /x/i
    f:/[0-9]+/  ⇒  f:/[0-9]+/
    ="Exact Case"  ⇒  ="Exact Case"
    f:="V"  ⇒  f:="V"
    f:=v  ⇒  f:="v"
    in(a, b)  ⇒  in(a, b)
    f:in(a,"b c",-5)  ⇒  f:in(a, "b c", -5)
    f:IN(a)  ⇒  f:in(a)
    in (a)  ⇒  in AND a
    10.0.0.0/8  ⇒  10.0.0.0/8
    f:10.1.2.3/8  ⇒  f:10.0.0.0/8
    2001:db8::/32  ⇒  2001:db8::/32
    f:!x  ⇒  NOT f:x
    f:!(a b)  ⇒  NOT (f:a AND f:b)
    f: v  ⇒  f:v
    f:-5  ⇒  f:-5
    f:(-5)  ⇒  NOT f:5
    f:""  ⇒  f:""
    "f g":v  ⇒  \f\ g:\v
    {  ⇒  column 1: a range needs a field, as in `status:[400 TO 499]`; to search for the text itself, put it in quotes
    [ERROR]  ⇒  column 1: a range needs a field, as in `status:[400 TO 499]`; to search for the text itself, put it in quotes
    a -> b => c -- d  ⇒  a AND -> AND b AND => AND c AND -- AND d
    f:(->)  ⇒  f:->
    x >= 5  ⇒  column 3: a comparison needs a field, as in `status:>=500`; to search for the text itself, put it in quotes
    "#);
}

#[test]
fn fields_and_colons() {
    assert_snapshot!(read(&[
        "@level:warn", "tags.env:prod", "@tags.env:prod", "TAGS.env:prod", "tags\\.env:prod", "\\@x:1", "http://h/p?q=1&r=(2)",
        "url:https://h:80/", "10.0.0.1:8080", "10.0.0.1:8080/x", "localhost:8080", "localhost:up", "db-1:5432", "api.example.com:443",
        "http.status:500", "http.status:>500", "tags.db-1:5432", "db-1:99999", "redis:6379", "12:30:05", "2026-01-31T10:00:00Z",
        "std::io::Error", "fe80::1", "fe80:0::1", ":x", "/var/log/a:b", "path:/var/log", "/usr/bin/env", "a\\:b", "a\\ b:c\\ d", "f\\*:x",
    ]), @r#"
    @level:warn  ⇒  level:warn
    tags.env:prod  ⇒  tags.env:prod
    @tags.env:prod  ⇒  tags.env:prod
    TAGS.env:prod  ⇒  tags.env:prod
    tags\.env:prod  ⇒  \tags.env:\prod
    \@x:1  ⇒  \@x:\1
    http://h/p?q=1&r=(2)  ⇒  http://h/p?q=1&r= AND 2
    url:https://h:80/  ⇒  url:https://h:80/
    10.0.0.1:8080  ⇒  10.0.0.1:8080
    10.0.0.1:8080/x  ⇒  10.0.0.1:8080/x
    localhost:8080  ⇒  localhost:8080
    localhost:up  ⇒  localhost:up
    db-1:5432  ⇒  db-1:5432
    api.example.com:443  ⇒  api.example.com:443
    http.status:500  ⇒  http.status:500
    http.status:>500  ⇒  http.status:>500
    tags.db-1:5432  ⇒  tags.db-1:5432
    db-1:99999  ⇒  db-1:99999
    redis:6379  ⇒  redis:6379
    12:30:05  ⇒  12:30:05
    2026-01-31T10:00:00Z  ⇒  2026-01-31T10:00:00Z
    std::io::Error  ⇒  std::io::Error
    fe80::1  ⇒  fe80::1
    fe80:0::1  ⇒  fe80:0::1
    :x  ⇒  :x
    /var/log/a:b  ⇒  \/var\/log\/a\:b
    path:/var/log  ⇒  \path:\/var\/log
    /usr/bin/env  ⇒  \/usr\/bin\/env
    a\:b  ⇒  \a\:b
    a\ b:c\ d  ⇒  \a\ b:\c\ d
    f\*:x  ⇒  \f\*:\x
    "#);
}

#[test]
fn errors_of_operators_and_groups() {
    assert_snapshot!(errors(&[
        "AND a", "a OR", "a AND OR b", "NOT", "a -", "a - b", "()", "(a", "a)", "a (b OR (c d)", "\"a b",
    ]), @r#"
    column 1: expected a search term, found `AND`
      AND a
      ^^^
    column 5: expected a search term, found the end of the query
      a OR
          ^
    column 7: expected a search term, found `OR`
      a AND OR b
            ^^
    column 4: expected a search term, found the end of the query
      NOT
         ^
    column 4: expected a search term directly after `-`, found the end of the query
      a -
         ^
    column 4: expected a search term directly after `-`, found white space
      a - b
         ^
    column 2: expected a search term, found `)`
      ()
       ^
    column 1: this `(` is never closed, expected `)`
      (a
      ^
    column 2: expected the end of the query or an opening `(` before this, found `)`
      a)
       ^
    column 3: this `(` is never closed, expected `)`
      a (b OR (c d)
        ^
    column 1: this quote is never closed, expected `"`
      "a b
      ^
    "#);
}

#[test]
fn errors_of_values() {
    assert_snapshot!(errors(&[
        "level:warn status:", "f:(a OR)", "f:)", "f:AND", "status:> AND x", "f:\"a", "\"a\"b", "\"a b\"~5", "a\\", "@:x",
        "tags.:x", "*:x", "status >=500",
    ]), @r#"
    column 19: expected a value after `status:`, found the end of the query
      level:warn status:
                        ^
    column 8: expected a search term, found `)`
      f:(a OR)
             ^
    column 3: expected a value after `f:`, found `)`
      f:)
        ^
    column 3: expected a value after `f:`, found `AND`
      f:AND
        ^^^
    column 10: expected a value after `>`, found `AND`
      status:> AND x
               ^^^
    column 3: this quote is never closed, expected `"`
      f:"a
        ^
    column 4: expected a space or the end of the query, found `b`
      "a"b
         ^
    column 6: expected a space or the end of the query, found `~5`
      "a b"~5
           ^^
    column 3: expected a character after `\`, found the end of the query
      a\
        ^
    column 1: expected the name of a field before `:`, found `@:x`
      @:x
      ^^^
    column 1: expected the name of a field before `:`, found `tags.:x`
      tags.:x
      ^^^^^^^
    column 1: expected the name of a field before `:`, found `*:x`
      *:x
      ^^^
    column 8: a comparison needs a field, as in `status:>=500`; to search for the text itself, put it in quotes
      status >=500
             ^
    "#);
}

#[test]
fn errors_of_ranges_and_lists() {
    assert_snapshot!(errors(&[
        "f:[a b]", "f:[a TO b", "f:[ TO b]", "f:[a TO b)", "f:in(", "f:in()", "f:in(a b)", "f:in(a,)", "[1 TO 2]",
    ]), @r#"
    column 6: expected `TO`, found `b]`
      f:[a b]
           ^^
    column 3: this `[` is never closed, expected `]` or `}`
      f:[a TO b
        ^
    column 5: expected the lower end of the range or `*`, found `TO`
      f:[ TO b]
          ^^
    column 3: this `[` is never closed, expected `]` or `}`
      f:[a TO b)
        ^
    column 5: this `in(` is never closed, expected `)`
      f:in(
          ^
    column 6: expected a value, found `)`
      f:in()
           ^
    column 8: expected `,` or `)`, found `b`
      f:in(a b)
             ^
    column 8: expected a value, found `)`
      f:in(a,)
             ^
    column 1: a range needs a field, as in `status:[400 TO 499]`; to search for the text itself, put it in quotes
      [1 TO 2]
      ^
    "#);
}

#[test]
fn errors_of_regular_expressions_and_blocks() {
    assert_snapshot!(errors(&["/[a/", "f:/(/", "10.0.0.0/33", "::1/129", "größe »äöü« \"x"]), @r#"
    column 1: this regular expression is not valid: unclosed character class
      /[a/
      ^^^^
    column 3: this regular expression is not valid: unclosed group
      f:/(/
        ^^^
    column 1: `/33` is no prefix length, expected a number from 0 to 32; to search for the text itself, put it in quotes
      10.0.0.0/33
      ^^^^^^^^^^^
    column 1: `/129` is no prefix length, expected a number from 0 to 128; to search for the text itself, put it in quotes
      ::1/129
      ^^^^^^^
    column 13: this quote is never closed, expected `"`
      größe »äöü« "x
                  ^
    "#);
}

#[test]
fn long_queries_are_cut_around_the_place() {
    let query = format!("{} \"open {}", "word ".repeat(40), "word ".repeat(40));
    assert_snapshot!(parse(&query).unwrap_err().render(), @r#"
    column 202: this quote is never closed, expected `"`
      … ord word word word word word word word word word word word  "open word word word word word word word word word word word  …
                                                                    ^
    "#);
}

#[test]
fn limits_hold() {
    let deep = |n: usize| format!("{}a{}", "(".repeat(n), ")".repeat(n));
    assert!(parse(&deep(DEPTH_MAX)).is_ok());
    assert_eq!(parse(&deep(DEPTH_MAX + 1)).unwrap_err().problem(), &Problem::TooDeep);
    assert_eq!(
        parse(&format!("{}a", "NOT ".repeat(DEPTH_MAX + 1))).unwrap_err().problem(),
        &Problem::TooDeep
    );
    assert_eq!(parse(&format!("f:{}a", "!".repeat(DEPTH_MAX + 1))).unwrap_err().problem(), &Problem::TooDeep);
    assert!(parse(&"a ".repeat(TERMS_MAX)).is_ok());
    assert_eq!(parse(&"a ".repeat(TERMS_MAX + 1)).unwrap_err().problem(), &Problem::TooManyTerms);
    let list = format!("f:in({}a)", "a,".repeat(TERMS_MAX));
    assert_eq!(parse(&list).unwrap_err().problem(), &Problem::TooManyTerms);
    let long = "a".repeat(QUERY_BYTES_MAX + 1);
    assert_eq!(parse(&long).unwrap_err().problem(), &Problem::TooLong { bytes: QUERY_BYTES_MAX + 1 });
    assert!(matches!(parse("/(a{1000}){1000}/").unwrap_err().problem(), Problem::Regex { .. }));
}

#[test]
fn cidr_clears_what_is_behind_the_prefix() {
    let block = |text: &str, bits| Cidr::new(text.parse().unwrap(), bits);
    assert_eq!(block("10.1.2.3", 8), block("10.0.0.0", 8));
    assert_eq!(block("255.1.2.3", 0).unwrap().address().to_string(), "0.0.0.0");
    assert_eq!(block("2001:db8::7", 32).unwrap().address().to_string(), "2001:db8::");
    assert!(block("10.0.0.0", 33).is_none() && block("::", 129).is_none());
    assert!(!block("::", 0).unwrap().contains("10.0.0.1".parse().unwrap()));
}

/// Text that is full of signs with a meaning.
fn tricky() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "b1",
        "é",
        "AND",
        "OR",
        "NOT",
        "TO",
        "in",
        "tags.",
        "@",
        ":",
        "::",
        "/",
        "//",
        "*",
        "-",
        "!",
        "+",
        "=",
        "<",
        ">",
        "[",
        "]",
        "{",
        "}",
        "(",
        ")",
        "\"",
        "\\",
        ",",
        " ",
        "\t",
        ".",
        "10.0.0.1",
        "/8",
        "80",
        "localhost",
        "~",
        "^",
        "&&",
        "||",
        "i",
    ]);
    prop::collection::vec(piece, 1..5).prop_map(|pieces| pieces.concat())
}

fn operand() -> impl Strategy<Value = Operand> {
    prop_oneof![
        tricky().prop_map(Operand::Word),
        tricky().prop_map(Operand::Quoted),
        Just(Operand::Quoted(String::new()))
    ]
}

fn bound() -> impl Strategy<Value = Bound> {
    prop_oneof![Just(Bound::Open), operand().prop_map(Bound::Inclusive), operand().prop_map(Bound::Exclusive)]
}

fn regex() -> impl Strategy<Value = Value> {
    let pattern = prop::sample::select(vec!["a", "a b", "a/b", "^\\d+$", "\\\\/x", "[/)]", "\"", "/", "\\*"]);
    (pattern, any::<bool>()).prop_map(|(pattern, ignore_case)| {
        Value::Regex(RegexText { pattern: pattern.to_owned(), ignore_case })
    })
}

/// Values that may stand without a field.
fn plain_value() -> impl Strategy<Value = Value> {
    let pieces = prop::collection::vec(prop_oneof![tricky(), Just(String::new())], 2..5);
    let cidr = prop_oneof![
        (any::<std::net::Ipv4Addr>(), 0u8..=32).prop_map(|(ip, bits)| Cidr::new(ip.into(), bits)),
        (any::<std::net::Ipv6Addr>(), 0u8..=128).prop_map(|(ip, bits)| Cidr::new(ip.into(), bits)),
    ];
    prop_oneof![
        Just(Value::Present),
        tricky().prop_map(Value::Word),
        tricky().prop_map(Value::Phrase),
        Just(Value::Phrase(String::new())),
        pieces.prop_filter_map("text", Pattern::new).prop_map(Value::Pattern),
        regex(),
        tricky().prop_map(Value::Exact),
        cidr.prop_filter_map("block", |cidr| cidr).prop_map(Value::Cidr),
        prop::collection::vec(operand(), 1..4).prop_map(Value::In),
    ]
}

fn term() -> impl Strategy<Value = TextQuery> {
    let field = prop_oneof![tricky().prop_map(Field::Named), tricky().prop_map(Field::Tag)];
    let comparison = prop::sample::select(vec![
        Comparison::Less,
        Comparison::LessOrEqual,
        Comparison::Greater,
        Comparison::GreaterOrEqual,
    ]);
    let ordered = prop_oneof![
        (comparison, operand()).prop_map(|(comparison, operand)| Value::Compare(comparison, operand)),
        (bound(), bound()).prop_map(|(low, high)| Value::Range(Range { low, high })),
    ];
    let host_port = ("[a-z]{1,3}[.-][a-z0-9]{1,3}", any::<u16>())
        .prop_map(|(host, port)| Value::HostPort(HostPort { host, port }));
    prop_oneof![
        plain_value().prop_map(|value| (None, value)),
        host_port.prop_map(|value| (None, value)),
        (field, prop_oneof![plain_value(), ordered]).prop_map(|(field, value)| (Some(field), value)),
    ]
    .prop_map(|(field, value)| {
        TextQuery::Term(Term { field, value, span: Span::default(), value_span: Span::default() })
    })
}

fn query() -> impl Strategy<Value = TextQuery> {
    term().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(TextQuery::and),
            prop::collection::vec(inner.clone(), 2..4).prop_map(TextQuery::or),
            inner.prop_map(TextQuery::negate),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_printed_reads_back(query in query()) {
        let printed = query.to_string();
        match parse(&printed) {
            Ok(read) => prop_assert_eq!(read, query, "{}", printed),
            Err(error) => prop_assert!(false, "{}", error.render()),
        }
    }

    #[test]
    fn nothing_makes_the_parser_panic(text in prop::collection::vec(tricky(), 0..8)) {
        let text = text.concat();
        match parse(&text) {
            Ok(query) => prop_assert_eq!(parse(&query.to_string()).unwrap(), query),
            Err(error) => prop_assert!(error.render().lines().count() == 3 && error.column() <= text.chars().count() + 1),
        }
    }
}

#[test]
fn all_regular_expressions_of_a_query_are_bounded_together() {
    let large = "/(?:[a-z]{1,30}[0-9]{1,30}x){30}/ ";
    let Err(error) = parse(&large.repeat(200)) else { panic!("200 large expressions went through") };
    assert_eq!(error.problem(), &Problem::RegexesTooLarge);
    assert_eq!((error.column() - 1) % large.len(), 0, "the column is where one of them begins");
    assert!(error.column() > 10 * large.len());
    assert_snapshot!(error.problem(), @"with this one, the regular expressions and patterns of the query take more than 16777216 bytes compiled; search with fewer or simpler ones");
    let pattern = "st*r*s OR ";
    assert_eq!(
        parse(&format!("{}x", pattern.repeat(1_000))).unwrap_err().problem(),
        &Problem::RegexesTooLarge
    );
    // Many of usual size are fine.
    for usual in ["/time(d )?out/ ", "t*out ", "pre* ", "*in* "] {
        assert!(parse(&usual.repeat(20)).is_ok(), "{usual}");
    }
    assert!(parse(&"/[0-9]+ms/ ".repeat(1_000)).is_ok());
}
