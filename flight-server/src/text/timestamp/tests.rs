//! Timestamps: a table of formats, calendars and zones, and round trips through every family.

use chrono::{DateTime, SecondsFormat, Utc};
use proptest::prelude::*;

use super::*;

/// 2024-06-15T12:00:00Z
const NOW_NS: i64 = 1_718_452_800_000_000_000;

fn found_in(zone: Zone, line: &str) -> Option<String> {
    let found = find(line, zone, NOW_NS, None);
    for hint in Family::ALL {
        assert_eq!(
            find(line, zone, NOW_NS, Some(hint)),
            found,
            "the hint {hint:?} changed the result of {line:?}"
        );
    }
    found.map(|found| {
        DateTime::<Utc>::from_timestamp_nanos(found.ns).to_rfc3339_opts(SecondsFormat::AutoSi, true)
    })
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|(line, expected)| {
            (line, expected, found_in(Zone::UTC, line).unwrap_or_else(|| "none".to_owned()))
        })
        .filter(|(_, expected, found)| *expected != found)
        .map(|(line, expected, found)| format!("{line}\n  expected {expected}\n  found    {found}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_year_comes_first() {
    check(&[
        ("2015-10-18 18:01:47,978 INFO [main] a.b.C: Created", "2015-10-18T18:01:47.978Z"),
        ("2015-07-29 17:41:44,747 - INFO  [Quorum[myid=1]/0:0:2181:F@774] - x", "2015-07-29T17:41:44.747Z"),
        ("2024-01-02T15:04:05Z x", "2024-01-02T15:04:05Z"),
        ("2024-01-02t15:04:05z x", "2024-01-02T15:04:05Z"),
        ("2024-01-02T15:04:05.123456789+01:30 x", "2024-01-02T13:34:05.123456789Z"),
        ("2024-01-02T15:04:05.1234567891234Z x", "2024-01-02T15:04:05.123456789Z"),
        ("2024-01-02 15:04:05.5-08 x", "2024-01-02T23:04:05.500Z"),
        ("2024-01-02 15:04:05 +0200 x", "2024-01-02T13:04:05Z"),
        ("2024-01-02 15:04:05 -1234 widgets", "2024-01-02T15:04:05Z"),
        ("2024-01-02 15:04:05.123 UTC [17] LOG:  ready", "2024-01-02T15:04:05.123Z"),
        ("2024-01-02 15:04:05 CEST x", "2024-01-02T13:04:05Z"),
        ("2024/01/02 15:04:05 [error] 12#0: *1 open() failed", "2024-01-02T15:04:05Z"),
        ("2024/01/02 15:04:05.000123 main.go:12: x", "2024-01-02T15:04:05.000123Z"),
        ("2005-06-03-15.42.50.675872 R02-M1-N0-C:J12-U11 RAS", "2005-06-03T15:42:50.675872Z"),
        ("2016-09-28 04:30:30, Info                  CBS    Loaded", "2016-09-28T04:30:30Z"),
        ("[2024-01-02 15:04:05] x", "2024-01-02T15:04:05Z"),
        ("[17] 2024-01-02 15:04:05 x", "2024-01-02T15:04:05Z"),
        ("web-1  | 2024-01-02 15:04:05 x", "2024-01-02T15:04:05Z"),
        (
            "nova-api.log.1.2017-05-16_13:53:08 2017-05-16 00:00:00.008 25746 INFO n",
            "2017-05-16T00:00:00.008Z",
        ),
        ("<165>1 2003-08-24T05:14:15.000003-07:00 10.0.0.1 p 8710 - - x", "2003-08-24T12:14:15.000003Z"),
        ("ERROR 2024-01-02 15:04:05 x", "2024-01-02T15:04:05Z"),
        ("2016-12-31T23:59:60Z x", "2017-01-01T00:00:00Z"),
    ]);
}

#[test]
fn a_month_or_a_day_comes_first() {
    check(&[
        ("Jun 14 15:16:01 combo sshd(pam_unix)[19939]: x", "2024-06-14T15:16:01Z"),
        ("Jun 15 12:00:00 combo sshd[1]: x", "2024-06-15T12:00:00Z"),
        ("Jun 15 12:00:01 combo sshd[1]: x", "2023-06-15T12:00:01Z"),
        ("Jul  2 04:15:43 2005 sshd[1]: x", "2023-07-02T04:15:43Z"),
        ("Feb 29 04:15:43 combo sshd[1]: x", "2024-02-29T04:15:43Z"),
        ("<34>Oct 11 22:14:15 mymachine su: x", "2023-10-11T22:14:15Z"),
        ("<34>Oct 11 22:14:15.123 mymachine su: x", "2023-10-11T22:14:15.123Z"),
        ("[Sun Dec 04 04:47:44 2005] [notice] x", "2005-12-04T04:47:44Z"),
        ("[Sun Dec 04 04:47:44.123456 2005] [core:notice] [pid 1] x", "2005-12-04T04:47:44.123456Z"),
        ("Sun Dec  4 04:47:44 UTC 2005 x", "2005-12-04T04:47:44Z"),
        ("Jan 02, 2024 3:04:05 PM a.b.C d", "2024-01-02T15:04:05Z"),
        ("Jan 02, 2024 12:04:05 AM a.b.C d", "2024-01-02T00:04:05Z"),
        ("*Mar  1 2024 18:46:11: %SYS-5-CONFIG_I: x", "2024-03-01T18:46:11Z"),
        ("1.2.3.4 - frank [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.0\" 200 1", "2000-10-10T20:55:36Z"),
        (
            "localhost - Ann Mary Lee [10/Oct/2000:13:55:36 +0000] \"GET / HTTP/1.0\" 200 1",
            "2000-10-10T13:55:36Z",
        ),
        ("1:M 02 Jan 2024 15:04:05.123 * Ready", "2024-01-02T15:04:05.123Z"),
        ("[1] 02 Jan 15:04:05.123 * Ready", "2024-01-02T15:04:05.123Z"),
        ("02-Jan-2024 15:04:05.123 INFO [main] x", "2024-01-02T15:04:05.123Z"),
        ("02.01.2024 15:04:05,123 INFO x", "2024-01-02T15:04:05.123Z"),
        ("31.12.2023 23:59:59 x", "2023-12-31T23:59:59Z"),
        ("Tue, 02 Jan 2024 15:04:05 +0100 x", "2024-01-02T14:04:05Z"),
        ("- 1131566461 2005.11.09 dn228 Nov 9 12:01:01 dn228/dn228 crond[1]: x", "2005-11-09T20:01:01Z"),
    ]);
}

#[test]
fn digits_only() {
    check(&[
        ("081109 203615 148 INFO dfs.DataNode: x", "2008-11-09T20:36:15Z"),
        ("240102  5:04:05 [Note] x", "2024-01-02T05:04:05Z"),
        ("[I 240102 15:04:05 web:2271] 200 GET", "2024-01-02T15:04:05Z"),
        ("700102 150405 x", "1970-01-02T15:04:05Z"),
        ("17/06/09 20:10:40 INFO a.B: x", "2017-06-09T20:10:40Z"),
        ("20171223-22:15:29:606|Step_LSC|30002312|x", "2017-12-23T22:15:29.606Z"),
        ("20171223-23:1:0:12|Step_LSC|30002312|x", "2017-12-23T23:01:00.012Z"),
        ("20240102T150405.250Z x", "2024-01-02T15:04:05.250Z"),
        ("20240102 15:04:05 x", "2024-01-02T15:04:05Z"),
        ("20240102150405 x", "2024-01-02T15:04:05Z"),
        ("03-17 16:13:38.811  1702  2395 D WindowManager: x", "2024-03-17T16:13:38.811Z"),
        ("12-17 16:13:38.811  1702  2395 D WindowManager: x", "2023-12-17T16:13:38.811Z"),
        ("[10.30 16:49:06] chrome.exe - x", "2023-10-30T16:49:06Z"),
        ("I0102 15:04:05.000001   12345 main.go:1] x", "2024-01-02T15:04:05.000001Z"),
        ("I20230102 15:04:05.000001 12345 main.cc:1] x", "2023-01-02T15:04:05.000001Z"),
        ("1700000000 x", "2023-11-14T22:13:20Z"),
        ("1700000000.123456 x", "2023-11-14T22:13:20.123456Z"),
        ("1700000000123 x", "2023-11-14T22:13:20.123Z"),
        ("1700000000123.5 x", "2023-11-14T22:13:20.123500Z"),
        ("1700000000123456 x", "2023-11-14T22:13:20.123456Z"),
        ("1700000000123456789", "2023-11-14T22:13:20.123456789Z"),
        ("[1700000000] x", "2023-11-14T22:13:20Z"),
        (
            "- 1117838570 2005.06.03 R02 2005-06-03-15.42.50.675363 R02 RAS KERNEL INFO x",
            "2005-06-03T22:42:50Z",
        ),
        ("APPREAD 1117869872 2005.06.04 R23 2005-06-04-00.24.32.398284 R23 x", "2005-06-04T07:24:32Z"),
    ]);
}

#[test]
fn behind_a_name() {
    check(&[
        (r#"{"msg":"at 2001-01-01 00:00:00","time":"2024-01-02T15:04:05Z"}"#, "2024-01-02T15:04:05Z"),
        (r#"{"level":"info","ts":1700000000.25,"msg":"x"}"#, "2023-11-14T22:13:20.250Z"),
        (r#"{"t":{"$date":"2024-01-02T15:04:05.123+01:00"},"s":"I"}"#, "2024-01-02T14:04:05.123Z"),
        ("level=info msg=\"hello big world\" ts=2024-01-02T15:04:05Z", "2024-01-02T15:04:05Z"),
        ("time=\"2024-01-02T15:04:05Z\" level=warning msg=x", "2024-01-02T15:04:05Z"),
        ("type=SYSCALL msg=audit(1364481363.243:24287): arch=c000003e", "2013-03-28T14:36:03.243Z"),
    ]);
}

#[test]
fn what_is_no_timestamp() {
    check(&[
        ("", "none"),
        ("\tat com.shop.Cart.total(Cart.java:12)", "none"),
        ("2023-02-29 15:04:05 no such day", "none"),
        ("2024-13-01 15:04:05 no such month", "none"),
        ("2024-01-02 24:04:05 no such hour", "none"),
        ("2024-01-02 15:60:05 no such minute", "none"),
        ("2024-01-02 15:00:60 no such second", "none"),
        ("2024-01-02 15:04:05abc", "none"),
        ("2024-01-02 15:04:05:06", "none"),
        ("2024-01-02", "none"),
        ("15:04:05.123 [main] INFO no date", "none"),
        ("Feb 30 15:04:05 combo sshd[1]: x", "none"),
        ("991309 203615 no such month", "none"),
    ]);
    check(&[
        ("03/04/2024 15:04:05 day or month first?", "none"),
        ("12.31.2023 23:59:59 no such month", "none"),
        ("10.11.2026.3 15:04:05 a version", "none"),
        ("10.11.20.26 15:04:05 an address", "none"),
        ("backup done, next run 2024-01-03 00:00:00", "none"),
        ("user 1700000000 logged in", "none"),
        ("9999999999 lies in the future", "none"),
        ("170000000 nine digits", "none"),
        ("1700000000000000000000 too many digits", "none"),
        ("session 081109 203615", "none"),
        (r#"{"msg":"2024-01-02T15:04:05Z"}"#, "none"),
        ("3000-01-01 00:00:00 after the last nanosecond", "none"),
    ]);
}

#[test]
fn a_zone_applies_where_a_line_names_none() {
    let berlin: Zone = "Europe/Berlin".parse().unwrap();
    let cases = [
        ("2024-01-02 15:04:05 winter", "2024-01-02T14:04:05Z"),
        ("2024-07-02 15:04:05 summer", "2024-07-02T13:04:05Z"),
        ("2024-01-02 15:04:05Z own zone", "2024-01-02T15:04:05Z"),
        ("2024-03-31 02:30:00 skipped", "2024-03-31T01:30:00Z"),
        ("2024-03-31 03:00:00 behind the gap", "2024-03-31T01:00:00Z"),
        ("2023-10-29 02:30:00 twice", "2023-10-29T00:30:00Z"),
        ("Jun 15 13:59:59 not yet in the future", "2024-06-15T11:59:59Z"),
        ("Jun 15 14:00:01 in the future", "2023-06-15T12:00:01Z"),
        ("1700000000 an epoch has no zone", "2023-11-14T22:13:20Z"),
    ];
    for (line, expected) in cases {
        assert_eq!(found_in(berlin, line).as_deref(), Some(expected), "{line}");
    }
    let samoa: Zone = "Pacific/Apia".parse().unwrap();
    assert_eq!(found_in(samoa, "2011-12-30 12:00:00 skipped day").as_deref(), Some("2011-12-30T22:00:00Z"));
    let offset: Zone = "-03:30".parse().unwrap();
    assert_eq!(found_in(offset, "2024-01-02 15:04:05 x").as_deref(), Some("2024-01-02T18:34:05Z"));
}

#[test]
fn an_unknown_zone_is_refused_with_an_example() {
    insta::assert_snapshot!(
        "Mars/Olympus".parse::<Zone>().unwrap_err(),
        @"`Mars/Olympus` is not a time zone; give an IANA name such as Europe/Berlin, or an offset such as +02:00"
    );
    for text in ["", "+2", "+25:00", "UTC ", "berlin"] {
        assert!(text.parse::<Zone>().is_err(), "{text:?}");
    }
    for text in ["UTC", "utc", "Z", "+02:00", "-0330", "America/New_York"] {
        assert!(text.parse::<Zone>().is_ok(), "{text:?}");
    }
}

#[test]
fn without_a_year_february_29_goes_back_to_a_leap_year() {
    let before_leap = DateTime::parse_from_rfc3339("2027-05-01T00:00:00Z").unwrap();
    let now_ns = before_leap.timestamp_nanos_opt().unwrap();
    let found = find("Feb 29 04:15:43 combo sshd[1]: x", Zone::UTC, now_ns, None).unwrap();
    assert_eq!(DateTime::from_timestamp_nanos(found.ns).to_rfc3339(), "2024-02-29T04:15:43+00:00");
}

/// Ways to write an instant: the pattern for chrono, and the finest unit in nanoseconds that it keeps.
const PATTERNS: [(&str, i64); 22] = [
    ("%Y-%m-%dT%H:%M:%S%.9fZ", 1),
    ("%Y-%m-%d %H:%M:%S,%3f", 1_000_000),
    ("%Y-%m-%d %H:%M:%S%.6f+00:00", 1_000),
    ("%Y/%m/%d %H:%M:%S", 1_000_000_000),
    ("%Y-%m-%d-%H.%M.%S%.6f", 1_000),
    ("[%d/%b/%Y:%H:%M:%S +0000]", 1_000_000_000),
    ("%d %b %Y %H:%M:%S%.3f", 1_000_000),
    ("%a, %d %b %Y %H:%M:%S +0000", 1_000_000_000),
    ("%d.%m.%Y %H:%M:%S", 1_000_000_000),
    ("[%a %b %d %H:%M:%S%.6f %Y]", 1_000),
    ("%b %e %H:%M:%S", 1_000_000_000),
    ("%y%m%d %H%M%S", 1_000_000_000),
    ("%y/%m/%d %H:%M:%S", 1_000_000_000),
    ("%Y%m%d-%H:%M:%S:%3f", 1_000_000),
    ("%Y%m%dT%H%M%S%.3fZ", 1_000_000),
    ("%m-%d %H:%M:%S%.3f", 1_000_000),
    ("[%m.%d %H:%M:%S]", 1_000_000_000),
    ("I%m%d %H:%M:%S%.6f", 1_000),
    ("%s", 1_000_000_000),
    ("%s%3f", 1_000_000),
    ("%s%6f", 1_000),
    ("%s%9f", 1),
];

const YEAR_NS: i64 = 365 * 24 * 3600 * 1_000_000_000;

proptest! {
    #[test]
    fn what_is_written_is_found(back_ns in 0..YEAR_NS, pattern in 0..PATTERNS.len(), rest in "( [a-z ]{0,20})?") {
        let (pattern, unit_ns) = PATTERNS[pattern];
        let instant_ns = NOW_NS - back_ns;
        let line = format!("{}{rest}", DateTime::from_timestamp_nanos(instant_ns).format(pattern));
        let found = find(&line, Zone::UTC, NOW_NS, None);
        prop_assert_eq!(found.map(|found| found.ns), Some(instant_ns - instant_ns.rem_euclid(unit_ns)), "{}", line);
    }

    #[test]
    fn no_hint_changes_a_result(
        before in "[\\[(<a-zI -]{0,4}",
        date in "[0-9]{1,4}[-/. :]?([0-9]{1,2}|[A-Z][a-z]{2})[-/. :]?[0-9]{1,4}",
        time in "[ T:-]{1,2}[0-9]{1,2}[:.]?[0-9]{2}[:.]?[0-9]{2}([.,:][0-9]{1,9})?",
        after in "[ Z+\\]x0-9-]{0,7}",
    ) {
        found_in(Zone::UTC, &format!("{before}{date}{time}{after}"));
    }

    #[test]
    fn no_line_panics(line in "\\PC{0,80}") {
        found_in(Zone::UTC, &line);
    }
}
