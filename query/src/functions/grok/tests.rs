//! Tests of grok patterns: the library, what matches, and what is refused.

use super::*;

/// The fields of a message, `-` if it does not match.
fn fields(pattern: &str, message: &str) -> String {
    let grok = Grok::compile(pattern).unwrap();
    let mut places = grok.regex.capture_locations();
    let Some(message) = grok.find(message, &mut places) else { return "-".to_owned() };
    let found = grok.fields.iter().filter_map(|(field, groups)| {
        value(message, groups, &places).map(|value| format!("{field}={value}"))
    });
    found.collect::<Vec<_>>().join(" | ")
}

fn mistake(pattern: &str) -> String {
    crate::Error::from(Grok::compile(pattern).unwrap_err()).to_string()
}

#[test]
fn every_pattern_of_the_library_compiles() {
    for (place, (name, _)) in library::PATTERNS.iter().enumerate() {
        let grok = Grok::compile(&format!("%{{{name}:x}}"));
        assert!(grok.is_ok(), "{name}: {:?}", grok.err());
        assert!(!library::PATTERNS[..place].iter().any(|(other, _)| other == name), "{name} twice");
    }
}

#[test]
fn every_pattern_matches_what_it_is_for_and_nothing_else() {
    for (name, whole, not) in [
        ("USERNAME", "j.doe-2", "a b"),
        ("EMAILADDRESS", "ann+x@mail.example", "ann@"),
        ("INT", "-42", "4.2"),
        ("NUMBER", "-4.25", "4."),
        ("BASE10NUM", ".5", "x"),
        ("BASE16NUM", "0xDEADbeef", "0xg"),
        ("POSINT", "17", "0"),
        ("NONNEGINT", "0", "-1"),
        ("WORD", "größe_1", "a-b"),
        ("NOTSPACE", "a/b,c", "a b"),
        ("SPACE", " \t", "x"),
        ("DATA", "any thing", "two\nlines"),
        ("GREEDYDATA", "any thing", "two\nlines"),
        ("QUOTEDSTRING", r#""a \" b""#, r#""a" b""#),
        ("QS", "'x'", "x"),
        ("UUID", "123e4567-e89b-12d3-a456-426614174000", "123e4567-e89b-12d3-a456-42661417400"),
        ("MAC", "00:1A:2b:3c:4d:5e", "00:1A:2b:3c:4d"),
        ("MAC", "001a.2b3c.4d5e", "001a.2b3c"),
        ("IPV4", "192.168.0.1", "192.168.0.256"),
        ("IPV6", "2001:db8::7", "12:30:45"),
        ("IPV6", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7"),
        ("IPV6", "::ffff:10.0.0.1", "1::2::3"),
        ("IPV6", "fe80::1:2%eth0", "fe80:1"),
        ("IPV6", "::", ":"),
        ("IP", "10.0.0.1", "10.0.0"),
        ("HOSTNAME", "db-1.example.com", "-x"),
        ("IPORHOST", "db-1", ""),
        ("HOSTPORT", "db-1:5432", "db-1"),
        ("UNIXPATH", "/var/log/app.log", "var"),
        ("PATH", r"C:\logs\app.log", "logs"),
        ("URI", "https://ann:pw@shop.example:8080/cart?id=7&x=[1]", "shop.example"),
        ("URIPATHPARAM", "/cart?id=7", "cart"),
        ("MONTH", "Sep", "Sept"),
        ("MONTHDAY", "31", "32"),
        ("DAY", "Tuesday", "Tues"),
        ("YEAR", "2026", "202"),
        ("TIME", "23:59:60.123", "24:00"),
        ("TIMESTAMP_ISO8601", "2026-11-23T12:30:45.123+01:00", "2026-11-23"),
        ("TIMESTAMP_ISO8601", "2026-11-23 12:30:45,123", "26-13-01 00:00"),
        ("HTTPDATE", "23/Nov/2026:12:30:45 +0000", "23/11/2026:12:30:45 +0000"),
        ("SYSLOGTIMESTAMP", "Nov  3 12:30:45", "11 3 12:30:45"),
        ("DATESTAMP", "11/23/2026 12:30", "2026 12:30"),
        ("LOGLEVEL", "Warning", "warned"),
        ("LOGLEVEL", "ERROR", "errors"),
        ("JAVACLASS", "com.example.Main$Inner", "com."),
    ] {
        let matches = |text: &str| fields(&format!("^%{{{name}:x}}$"), text) == format!("x={text}");
        assert!(matches(whole), "{name} is {whole}");
        assert!(!matches(not), "{name} is not {not}");
    }
}

#[test]
fn logs_of_web_servers_and_syslog_are_read() {
    let combined = r#"10.0.0.1 - ann [23/Nov/2026:12:30:45 +0000] "GET /cart?id=7 HTTP/1.1" 200 512 "https://x.example/" "curl/8.0 \"q\"""#;
    insta::assert_snapshot!(fields("%{COMBINEDAPACHELOG}", combined), @r#"clientip=10.0.0.1 | ident=- | auth=ann | timestamp=23/Nov/2026:12:30:45 +0000 | verb=GET | request=/cart?id=7 | httpversion=1.1 | response=200 | bytes=512 | referrer="https://x.example/" | agent="curl/8.0 \"q\"""#);
    let common = r#"db-1.example - - [23/Nov/2026:12:30:45 +0000] "-" 408 -"#;
    insta::assert_snapshot!(fields("%{HTTPD_COMMONLOG}", common), @"clientip=db-1.example | ident=- | auth=- | timestamp=23/Nov/2026:12:30:45 +0000 | rawrequest=- | response=408");
    insta::assert_snapshot!(fields("%{COMMONAPACHELOG}", "no access log"), @"-");
    let error = "[Mon Nov 23 12:30:45.123456 2026] [core:error] [pid 4711:tid 139] [client 10.0.0.1:55120] AH00126: Invalid URI";
    insta::assert_snapshot!(fields("%{HTTPD_ERRORLOG}", error), @"timestamp=Mon Nov 23 12:30:45.123456 2026 | module=core | loglevel=error | pid=4711 | tid=139 | clientip=10.0.0.1 | clientport=55120 | errorcode=AH00126 | message=Invalid URI");
    let old = "[Mon Nov 23 12:30:45 2026] [error] [client 10.0.0.1] File does not exist: /x";
    insta::assert_snapshot!(fields("%{HTTPD_ERRORLOG}", old), @"timestamp=Mon Nov 23 12:30:45 2026 | loglevel=error | clientip=10.0.0.1 | message=File does not exist: /x");
    let syslog = "Nov  3 12:30:45 db-1 sshd[4711]: Accepted publickey for ann";
    insta::assert_snapshot!(fields("%{SYSLOGLINE}", syslog), @"timestamp=Nov  3 12:30:45 | logsource=db-1 | program=sshd | pid=4711 | message=Accepted publickey for ann");
}

#[test]
fn fields_are_named_as_they_are_written() {
    for (pattern, message, expected) in [
        (
            "%{IP:client} %{WORD:verb} %{INT:ms:int}",
            "at 10.0.0.1 GET 17 x",
            "client=10.0.0.1 | verb=GET | ms=17",
        ),
        ("%{INT:[http][status]}", "status 200", "http.status=200"),
        ("%{INT:größe}", "5", "größe=5"),
        ("%{INT:x.y-z @1}", "5", "x.y-z @1=5"),
        ("(?<own>[a-z]+)=(?P<other>.)", "key=v", "own=key | other=v"),
        ("(a|b) %{INT:n}", "b 5", "n=5"),
        ("(?:-|%{INT:n}) %{WORD:w}", "- x", "w=x"),
        ("(?:a%{INT:n}|b%{INT:n})", "b7", "n=7"),
        ("%{DATA:empty}%{INT:n}", "5", "empty= | n=5"),
        ("100%{SPACE}%{WORD:w} %", "100 x %", "w=x"),
        ("^%{INT:n}$", "5 6", "-"),
        ("%{INT:n}", "", "-"),
        ("%{GREEDYDATA:g}", "", "g="),
    ] {
        assert_eq!(fields(pattern, message), expected, "{pattern}");
    }
}

#[test]
fn mistakes_are_explained() {
    let mut all = [
        "%{IPP:client}",
        "größe %{HOTSNAME:h}",
        "%{nothing like it:h}",
        "%{}",
        "%{IP:client",
        "%{IP}",
        "plain",
        "",
        "%{IP:c} (",
        "%{IP:c} (?=x)",
        r"%{IP:c} \1",
        "%{IP:c}{1000}",
        "(?<a>x)(?<a>y)",
    ]
    .map(|pattern| format!("{pattern} ► {}", mistake(pattern)))
    .to_vec();
    all.push(mistake(&"%{COMBINEDAPACHELOG}".repeat(100)));
    all.push(mistake(&"(a)".repeat(GROUPS_MAX)));
    let unknown = Arc::new(Grok::compile("%{IP:client} %{WORD:verb}").unwrap()).field("clients").unwrap_err();
    all.push(crate::Error::from(unknown).to_string());
    insta::assert_snapshot!(all.join("\n"), @r#"
    %{IPP:client} ► grok(): column 1 of the pattern: there is no pattern IPP; did you mean IP?
    größe %{HOTSNAME:h} ► grok(): column 7 of the pattern: there is no pattern HOTSNAME; did you mean HOSTNAME?
    %{nothing like it:h} ► grok(): column 1 of the pattern: there is no pattern nothing like it
    %{} ► grok(): column 1 of the pattern: there is no pattern 
    %{IP:client ► grok(): column 1 of the pattern: %{ is not closed; write %{NAME} or %{NAME:field}
    %{IP} ► grok(): the pattern names no field; write %{NAME:field} for what is to be taken out, as in %{IP:client}
    plain ► grok(): the pattern names no field; write %{NAME:field} for what is to be taken out, as in %{IP:client}
     ► grok(): the pattern names no field; write %{NAME:field} for what is to be taken out, as in %{IP:client}
    %{IP:c} ( ► grok(): the pattern is no regular expression: unclosed group
    %{IP:c} (?=x) ► grok(): the pattern is no regular expression: look-around, including look-ahead and look-behind, is not supported
    %{IP:c} \1 ► grok(): the pattern is no regular expression: backreferences are not supported
    %{IP:c}{1000} ► grok(): the pattern is too large or has more than 128 groups; write it shorter
    (?<a>x)(?<a>y) ► grok(): the pattern is no regular expression: duplicate capture group name
    grok(): the pattern is too large or has more than 128 groups; write it shorter
    grok(): the pattern is too large or has more than 128 groups; write it shorter
    grok(): the pattern has no field clients, only client, verb; did you mean client?
    "#);
}

#[test]
fn a_statement_compiles_each_pattern_once_and_so_many() {
    let mut groks = Groks::default();
    for n in 0..PATTERNS_MAX {
        groks.get(&format!("%{{INT:n}} {n}")).unwrap();
    }
    assert!(groks.get("%{INT:n} 0").is_ok(), "a known one costs nothing");
    assert_eq!(groks.get("%{INT:n} x").unwrap_err(), Mistake::GrokMany);
}

#[test]
fn long_messages_are_looked_at_up_to_a_limit() {
    let long = format!("{} 10.0.0.1", "é".repeat(1 << 19));
    assert_eq!(fields("%{IPV4:ip}", &long), "-");
    let grok = Grok::compile("%{GREEDYDATA:all}").unwrap();
    let mut places = grok.regex.capture_locations();
    assert_eq!(grok.find(&long, &mut places).map(str::len), Some(MESSAGE_BYTES_MAX));
    assert_eq!(fields("%{COMBINEDAPACHELOG}", &"1:".repeat(1 << 19)), "-");
}
