//! Levels: where they are found, and where a word is only a word.

use super::super::{Fields, Recogniser, Zone};

/// 2024-06-15T12:00:00Z
const NOW_NS: i64 = 1_718_452_800_000_000_000;

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|(line, expected)| {
            let Fields { level, .. } = Recogniser::new(Zone::UTC).fields(line, NOW_NS);
            (line, expected, level.unwrap_or("none").to_owned())
        })
        .filter(|(_, expected, found)| *expected != found)
        .map(|(line, expected, found)| format!("{line}\n  expected {expected}\n  found    {found}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn behind_the_timestamp() {
    check(&[
        ("2015-10-18 18:01:47,978 INFO [main] a.b.C: Created", "INFO"),
        ("2015-07-29 17:41:44,747 - WARN  [Quorum[myid=1]/0:0:2181:F@774] - x", "WARN"),
        ("081109 203615 148 INFO dfs.DataNode$PacketResponder: x", "INFO"),
        ("17/06/09 20:10:40 ERROR executor.Backend: x", "ERROR"),
        ("2016-09-28 04:30:30, Info                  CBS    Loaded", "Info"),
        ("2024-01-02T15:04:05Z warning: low disk", "warning"),
        ("2024-01-02 15:04:05 info starting", "info"),
        ("2024-01-02 15:04:05.123 UTC [17] ERROR:  relation missing", "ERROR"),
        ("2024-01-02 15:04:05.123 UTC [17] u@db FATAL:  no password", "FATAL"),
        ("2024-01-02 15:04:05,123 - worker - ERROR - x", "ERROR"),
        ("2024-01-02 15:04:05.123 [main] DEBUG c.e.App - x", "DEBUG"),
        ("2024-01-02 15:04:05.123 [pool 1 thread 2] DEBUG c.e.App - x", "DEBUG"),
        ("2024-01-02|SEVERE|x", "SEVERE"),
        ("2017-05-16 00:00:00.008 25746 INFO nova.osapi [req-1] x", "INFO"),
        (
            "- 1117838570 2005.06.03 R02-M1 2005-06-03-15.42.50.675363 R02-M1 RAS KERNEL FATAL data TLB",
            "FATAL",
        ),
        ("Jun 14 15:16:01 combo logrotate: ALERT exited abnormally with [1]", "ALERT"),
        ("Jun 14 15:16:01 combo sshd[24200]: error: Received disconnect", "error"),
        ("[2024-01-02 15:04:05,123: INFO/MainProcess] task", "INFO"),
        ("[2024-01-02 15:04:05 NOTICE main] x", "NOTICE"),
    ]);
}

#[test]
fn in_brackets_and_before_the_timestamp() {
    check(&[
        ("[Sun Dec 04 04:47:44 2005] [error] mod_jk child", "error"),
        ("[Sun Dec 04 04:47:44.123456 2005] [core:warn] [pid 1:tid 2] x", "warn"),
        ("2024/01/02 15:04:05 [crit] 12#0: *1 x", "crit"),
        ("2024-01-02 15:04:05 [main] [INFO ] x", "INFO"),
        ("[INFO] Scanning for projects", "INFO"),
        ("INFO:root:message", "INFO"),
        ("ERROR 2024-01-02 15:04:05 x", "ERROR"),
        ("[WARN  2024-01-02 15:04:05] x", "WARN"),
        ("WARN  [2024-01-02 15:04:05,123] a.b.C: x", "WARN"),
        ("I, [2024-01-02T15:04:05.123456 #123]  INFO -- : x", "INFO"),
        ("FATAL: out of memory", "FATAL"),
        ("panic: runtime error: index out of range", "panic"),
        ("error: no such file", "error"),
        ("DEBUG starting", "DEBUG"),
        ("240102  5:04:05 [Warning] x", "Warning"),
    ]);
}

#[test]
fn letters_signs_and_priorities() {
    check(&[
        ("I0102 15:04:05.000001   12345 main.go:1] x", "I"),
        ("E0102 15:04:05.000001   12345 main.go:1] x", "E"),
        ("03-17 16:13:38.811  1702  2395 D WindowManager: x", "D"),
        ("D/dalvikvm(  379): x", "D"),
        ("[W 240102 15:04:05 web:2271] 404 GET", "W"),
        ("2024-01-02T15:04:05.123+0000 I NETWORK  [conn1] x", "I"),
        ("1:M 02 Jan 2024 15:04:05.123 # WARNING overcommit", "warning"),
        ("[1] 02 Jan 15:04:05.123 * Ready", "notice"),
        ("<34>Oct 11 22:14:15 mymachine su: 'su root' failed", "crit"),
        ("<165>1 2003-08-24T05:14:15.000003-07:00 10.0.0.1 p 8710 - - x", "notice"),
        ("<0>x", "emerg"),
    ]);
}

#[test]
fn behind_a_name() {
    check(&[
        (r#"{"ts":1700000000,"level":"error","msg":"INFO"}"#, "error"),
        (r#"{"severity":"WARNING","message":"x"}"#, "WARNING"),
        (r#"{"level":3,"msg":"x"}"#, "3"),
        (r#"{"msg":"{\"level\":\"error\"}","lvl":"dbug"}"#, "dbug"),
        ("time=\"2024-01-02T15:04:05Z\" level=warning msg=\"no error\"", "warning"),
        ("Jun 14 15:16:01 host app[1]: time=x level=debug msg=x", "debug"),
    ]);
}

#[test]
fn in_the_line_that_a_container_wrote() {
    check(&[
        ("2024-01-02T15:04:05.123456789Z stdout F 2024-01-02 15:04:05 INFO hello", "INFO"),
        ("2024-01-02T15:04:05.123456789Z stderr F ERROR: no disk", "ERROR"),
        ("2024-01-02T15:04:05.123456789Z stderr F E0102 15:04:05.000000       7 main.go:12] x", "E"),
        (r#"2024-01-02T15:04:05.123456789Z stderr P {"level":"warn","msg":"x"#, "warn"),
        ("2024-01-02T15:04:05.123456789Z stderr F no ERROR found", "none"),
        ("2024-01-02T15:04:05.123456789Z stdout F ", "none"),
    ]);
}

#[test]
fn in_columns_and_behind_colons() {
    check(&[
        ("2024-01-02T15:04:05Z,ERROR,\"boom\"", "ERROR"),
        ("\"2024-01-02 15:04:05\",\"info\",\"y\"", "info"),
        ("2024-01-02 15:04:05 UTC:10.0.0.1(5000):app@shop:[77]:ERROR:  no relation", "ERROR"),
        ("2024-01-02 15:04:05 UTC:10.0.0.1(5000):app@shop:[77]:LOG:  ready", "LOG"),
        ("fail: Microsoft.Hosting[0]", "fail"),
        ("2024-01-02 15:04:05 log of the day", "none"),
    ]);
}

#[test]
fn as_known_programs_write_it() {
    check(&[
        ("[2024-01-02 15:04:05] production.ERROR: no user {\"id\":1}", "ERROR"),
        ("[2024-01-02T15:04:05.123456+01:00] app.CRITICAL: x [] []", "CRITICAL"),
        ("[15:04:05 INF] Now listening on: http://[::]:80", "INF"),
        ("[15:04:05 the end] x", "none"),
        ("2024-01-02 15:04:05 0 [Note] mariadbd: ready for connections", "Note"),
        (r#"{"t":{"$date":"2024-01-02T15:04:05.123+00:00"},"s":"E",  "c":"NETWORK","msg":"x"}"#, "E"),
        (r#"{"s":"E","msg":"x"}"#, "none"),
        ("Jan  2 15:04:05 fw %ASA-3-106014: Deny inbound icmp", "err"),
        ("*Jan  2 15:04:05.123: %LINEPROTO-5-UPDOWN: Line protocol is up", "notice"),
        ("Jan  2 15:04:05 host app: %d-3-x: no code", "none"),
    ]);
}

#[test]
fn prose_has_no_level() {
    check(&[
        ("no error found", "none"),
        ("2024-01-02 15:04:05 no error found", "none"),
        ("2024-01-02 15:04:05 no ERROR found", "none"),
        ("Error handling was improved", "none"),
        ("error found in x", "none"),
        ("Jun 14 15:16:01 combo sshd[1]: authentication failure; info=none", "none"),
        ("Jun 14 15:16:01 combo sshd[1]: got an error: x", "none"),
        ("1.2.3.4 - frank [10/Oct/2000:13:55:36 -0700] \"GET /error HTTP/1.0\" 500 ERROR", "none"),
        ("20171223-22:15:29:606|Step_LSC|30002312|onStandStepChanged 3579", "none"),
        ("2024-01-02 15:04:05 I AM here", "I"),
        ("2024-01-02 15:04:05 I am here", "none"),
        ("info@example.com wrote", "none"),
        ("error.log was rotated", "none"),
        ("<999>not syslog", "none"),
        ("<html>", "none"),
        ("", "none"),
        ("Caused by: java.lang.Error: x", "none"),
    ]);
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    let fields = Recogniser::new(Zone::UTC).fields("\u{feff}2024-01-02T15:04:05Z ERROR x", NOW_NS);
    assert_eq!(fields, Fields { timestamp_ns: Some(1_704_207_845_000_000_000), level: Some("ERROR") });
}
