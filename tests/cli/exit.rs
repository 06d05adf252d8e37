//! Exit codes, on which scripts rely: `ironbark --help` says what they mean, and each is held to that here.

use crate::run::{Place, Ran, alone};

/// An address where nobody listens.
const NOBODY: &str = "http://127.0.0.1:1";

#[track_caller]
fn check(ran: &Ran, code: i32, told: &str) {
    assert_eq!(ran.code, code, "{told}: {ran:?}");
    assert!(ran.errors.contains(told), "standard error does not say {told:?}: {ran:?}");
    assert!(!ran.errors.contains("panicked"), "{ran:?}");
}

#[test]
fn exit_codes_are_told() {
    let help = alone(&["--help"]).good();
    for code in [
        "0  done; a load took lines, or there were none (its report counts the refused ones)",
        "1  failed, as standard error says; also a load whose lines were all refused",
        "2  the command line or the configuration is wrong, and nothing was done",
    ] {
        assert!(help.text().contains(code), "{help:?}");
    }
    assert!(help.text().starts_with("A columnar analytics database for logs\n"), "{help:?}");
}

#[test]
fn a_wrong_command_line_is_2() {
    let wrong: [(&[&str], &str); 15] = [
        (&[], "Usage: ironbark <COMMAND>"),
        (&["nonsense"], "unrecognized subcommand 'nonsense'"),
        (&["ingest", "--nope"], "unexpected argument '--nope'"),
        (
            &["sql", "SELECT 1", "--format", "xml"],
            "[possible values: table, json, ndjson, csv, arrow, parquet]",
        ),
        (&["sql", ""], "there is no statement in it"),
        (&["sql", "SELECT 1", "--tenant", "one"], "a tenant is customer/project/environment"),
        (&["sql", "SELECT 1", "--server", "127.0.0.1:8515"], "the address begins with http://"),
        (&["sql", "SELECT 1", "--server", "https://127.0.0.1:8515"], "TLS is not supported yet"),
        (&["search", "x", "--since", "5x"], "\"x\" is not a unit of time"),
        (&["search", "x", "--from", "yesterday"], "is not a point in time"),
        (&["search", "x", "--since", "1h", "--from", "2024-01-01"], "cannot be used with"),
        (&["search", "x", "--follow", "--format", "csv"], "with --follow the answer has no end"),
        (&["ingest", "a.log", "--timezone", "Mars"], "is not a time zone"),
        (&["ingest", "a.log", "--tag", "prod"], "a tag is KEY=VALUE"),
        (&["config", "check", "--http", "nonsense"], "an address is IP:PORT"),
    ];
    for (arguments, told) in wrong {
        check(&alone(arguments), 2, told);
    }
}

#[test]
fn no_server_is_1_and_says_how_to_get_one() {
    let told = "no server answers at http://127.0.0.1:1";
    check(&alone(&["sql", "SELECT 1", "--server", NOBODY]), 1, told);
    check(&alone(&["search", "x", "--server", NOBODY]), 1, told);
    check(&alone(&["admin", "check", "--server", NOBODY]), 1, "start one with `ironbark serve`");
    let place = Place::new();
    check(&place.run_with(&["ingest", "--server", NOBODY], b"a line\n"), 1, told);
    let http = place.server.http().to_owned();
    check(&place.run(&["sql", "SELECT 1", "--server", &http]), 1, "answers, but not as Flight does");
}

#[test]
fn what_a_server_refuses_is_1() {
    let place = Place::new();
    let refused: [(&[&str], &str); 6] = [
        (&["sql", "SELEC 1"], "SQL syntax error at line 1, column 1"),
        (&["sql", "SELECT nope FROM logs"], "there is no column nope"),
        (&["sql", "SELECT * FROM nope"], "there is no table nope"),
        (&["sql", "DROP TABLE logs"], "DROP TABLE is not allowed here"),
        (&["search", "a AND (b"], "this `(` is never closed"),
        (&["search", "x", "--table", "nope"], "there is no table nope"),
    ];
    for (arguments, told) in refused {
        check(&place.run(arguments), 1, told);
    }
    check(&place.run_with(&["ingest", "--table", "nope"], b"a line\n"), 1, "table nope does not exist");
}

#[test]
fn loads_are_0_unless_nothing_was_taken() {
    let place = Place::new();
    check(&place.run(&["ingest", "missing.log"]), 1, "cannot read missing.log: No such file");
    check(&place.run(&["ingest", "."]), 1, "it is a directory");
    place.file("empty.log", b"");
    let empty = place.run(&["ingest", "empty.log"]);
    check(&empty, 0, "");
    assert_eq!(empty.text(), "empty.log: 0 lines, 0 rows sent, 0 accepted, 0 refused\n");
    let some = place.run_with(&["ingest", "--format", "ndjson"], b"{\"message\":\"a\"}\nb\n");
    check(&some, 0, "");
    assert!(some.text().contains("1 accepted, 1 refused"), "{some:?}");
    let none = place.run_with(&["ingest", "--format", "ndjson"], b"a\nb\n");
    check(&none, 1, "");
    assert!(none.text().contains("0 accepted, 2 refused"), "{none:?}");
    // What came before a missing file is loaded, and its report is printed.
    let second = place.run(&["ingest", "empty.log", "missing.log"]);
    check(&second, 1, "cannot read missing.log");
    check(&place.run_with(&["ingest", "--resume"], b"x\n"), 1, "standard input cannot be read again");
    assert_eq!(place.count("true"), 1);
}

#[test]
fn an_empty_database_answers() {
    let place = Place::new();
    assert_eq!(place.run(&["search"]).good().text(), "");
    assert_eq!(place.run(&["search", "x", "--format", "json"]).good().text().trim(), "[]");
    assert_eq!(place.count("true"), 0);
    place.run(&["admin", "flush", "--wait"]).good();
    assert!(place.run(&["admin", "check"]).good().text().contains("ok: true"));
}
