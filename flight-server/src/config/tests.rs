//! Every sort of configuration error, as its reader sees it.

use std::path::Path;

use super::*;

fn compose(file: &str, variables: &[(&str, &str)], flags: &Flags) -> String {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    match Effective::compose(Some((Path::new("ironbark.toml"), file)), variables, flags) {
        Ok(effective) => format!("accepted {:?}", effective.origins),
        Err(problems) => problems.to_string(),
    }
}

fn file(text: &str) -> String {
    compose(text, &[], &Flags::default())
}

fn variable(name: &str, value: &str) -> String {
    compose("", &[(name, value)], &Flags::default())
}

#[test]
fn unknown_keys_are_refused_with_what_was_meant() {
    insta::assert_snapshot!(file("[http]\nlisten = \"127.0.0.1:1\"\nlistne = \"127.0.0.1:1\"\n"), @r#"ironbark.toml:3: unknown key "http.listne"; did you mean "http.listen"? Example: http.listen = "127.0.0.1:8514""#);
    insta::assert_snapshot!(file("listen = 1"), @r#"ironbark.toml:1: unknown key "listen"; did you mean "http.listen"? Example: http.listen = "127.0.0.1:8514""#);
    insta::assert_snapshot!(file("zzz = 1"), @r#"ironbark.toml:1: unknown key "zzz"; `ironbark config show` lists every key. Example: http.listen = "127.0.0.1:8514""#);
    insta::assert_snapshot!(file("\n\n[[query]]\nmemory = 1"), @r#"ironbark.toml:3: unknown key "query"; did you mean "query.spill"? Example: query.spill = "32GiB""#);
    insta::assert_snapshot!(variable("IRONBARK_QUERY_TIMEUOT", "5s"), @r#"environment variable IRONBARK_QUERY_TIMEUOT: unknown key "IRONBARK_QUERY_TIMEUOT"; did you mean "IRONBARK_QUERY_TIMEOUT"? Example: IRONBARK_QUERY_TIMEOUT=30s"#);
}

#[test]
fn bad_values_are_refused_with_the_rule() {
    insta::assert_snapshot!(file("http.listen = 8514"), @r#"ironbark.toml:1: bad value "8514" for http.listen: an address is IP:PORT, with an IPv6 address in brackets; port 0 takes a free one. Example: http.listen = "127.0.0.1:8514""#);
    insta::assert_snapshot!(file("query = { timeout = 30 }"), @r#"ironbark.toml:1: bad value "30" for query.timeout: a duration needs a unit: ms, s, m, h or d. Example: query.timeout = "30s""#);
    insta::assert_snapshot!(file("[query]\nmemory = \"1XB\""), @r#"ironbark.toml:2: bad value "1XB" for query.memory: "XB" is not a unit of size; those are B, KiB, MiB, GiB, TiB, KB, MB, GB, TB. Example: query.memory = "1GiB""#);
    insta::assert_snapshot!(file("[query]\nmemory = \"1KiB\""), @r#"ironbark.toml:2: bad value "1KiB" for query.memory: it is at least 16MiB. Example: query.memory = "1GiB""#);
    insta::assert_snapshot!(variable("IRONBARK_QUERY_ROWS_MAX", "many"), @r#"environment variable IRONBARK_QUERY_ROWS_MAX: bad value "many" for query.rows_max: it is a whole number of at least 1. Example: IRONBARK_QUERY_ROWS_MAX=1000000"#);
    let flags = Flags { compactor: Some("maybe".to_owned()), ..Flags::default() };
    insta::assert_snapshot!(compose("", &[], &flags), @r#"flag --compactor: bad value "maybe" for compactor.mode: it is on or off. Example: --compactor off"#);
}

#[test]
fn what_is_not_toml_is_refused_with_its_line() {
    insta::assert_snapshot!(file("[http]\nlisten = \n"), @r#"ironbark.toml:2: not TOML: invalid string, expected `"`, `'`. Example: [http] and below it listen = "127.0.0.1:8514""#);
}

#[test]
fn all_problems_are_told_at_once() {
    assert_eq!(file("a = 1\nb = 2\nquery.timeout = 1").lines().count(), 3);
}

#[test]
fn a_listener_that_others_reach_must_be_wished_for_twice() {
    insta::assert_snapshot!(file("http.listen = \"0.0.0.0:80\""), @r#"ironbark.toml:1: http.listen 0.0.0.0:80 can be reached from other machines, and nothing authenticates them yet: refused. Listen on a loopback address (http.listen = "127.0.0.1:80"), or accept that anybody who reaches the port can read and write with --allow-unauthenticated"#);
    assert!(file("http.listen = \"[::1]:80\"").starts_with("accepted"));
    assert!(file("http.listen = \"0.0.0.0:80\"\nallow_unauthenticated = true").starts_with("accepted"));
}

#[test]
fn flags_win_over_variables_and_those_over_the_file() {
    let text = "data_dir = \"file\"\n[query]\ntimeout = \"1s\"\nrows_max = 1\n[log]\nlevel = \"warn\"\n";
    let variables = [
        ("IRONBARK_QUERY_TIMEOUT", "2s"),
        ("IRONBARK_DATA_DIR", "env"),
        ("PATH", "x"),
        ("IRONBARK_TEST_X", "1"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let flags = Flags { data_dir: Some("flag".into()), ..Flags::default() };
    let effective = Effective::compose(Some((Path::new("f.toml"), text)), variables, &flags).unwrap();
    assert_eq!(effective.config.data_dir, Path::new("flag"));
    assert_eq!(effective.config.query.timeout_ms, 2_000);
    assert_eq!(effective.config.query.rows_max, 1);
    let shown = effective.to_toml();
    let changed: Vec<&str> = shown.lines().filter(|line| line.contains("# from")).collect();
    insta::assert_snapshot!(changed.join("\n"), @r#"
    data_dir = "flag"  # from flag --data-dir
    level = "warn"  # from f.toml:6
    timeout = "2s"  # from environment variable IRONBARK_QUERY_TIMEOUT
    rows_max = 1  # from f.toml:4
    "#);
}

#[test]
fn what_is_shown_is_a_file_that_means_the_same() {
    let flags = Flags { compactor: Some("off".to_owned()), ..Flags::default() };
    let shown = Effective::compose(None, [], &flags).unwrap().to_toml();
    let again = Effective::compose(Some((Path::new("f"), &shown)), [], &Flags::default()).unwrap();
    for key in all_keys() {
        assert!(
            shown.contains(key.about.split_whitespace().next().unwrap()),
            "{} is not documented",
            key.name
        );
        let mut config = Config::default();
        (key.set)(&mut config, key.example).unwrap_or_else(|rule| panic!("example of {}: {rule}", key.name));
    }
    assert_eq!(again.config.compactor_mode, CompactorMode::Off);
    let values = |text: &str| -> Vec<String> {
        let bare = |line: &str| line.split("  # from").next().unwrap_or_default().to_owned();
        text.lines().map(bare).collect()
    };
    assert_eq!(values(&again.to_toml()), values(&shown));
}

#[test]
fn secrets_are_masked() {
    let text = "object_store = \"s3://KEY:SECRET@bucket/prefix\"";
    if let Ok(effective) = Effective::compose(Some((Path::new("f"), text)), [], &Flags::default()) {
        assert!(effective.to_toml().contains("s3://***@bucket/prefix"));
    }
    let shown = file(text);
    assert!(!shown.contains("SECRET"), "{shown}");
}

#[test]
fn no_name_carries_the_unit_that_its_value_carries() {
    let units = ["bytes", "kib", "mib", "gib", "ns", "us", "ms", "s", "seconds", "minutes", "hours", "days"];
    for key in all_keys() {
        let unit = key.name.split(['.', '_']).find(|word| units.contains(word));
        assert_eq!(unit, None, "{}: write the unit with the value, as in {:?}", key.name, key.example);
        let leaf = key.name.rsplit('.').next().unwrap_or_default();
        assert!(!leaf.starts_with("max_") && !leaf.starts_with("min_"), "{}: qualifiers come last", key.name);
    }
    // The names of yesterday are refused with those of today.
    insta::assert_snapshot!(file("engine.wal_file_bytes = \"64MiB\""), @r#"ironbark.toml:1: unknown key "engine.wal_file_bytes"; did you mean "engine.wal_file_size"? Example: engine.wal_file_size = "64MiB""#);
}
