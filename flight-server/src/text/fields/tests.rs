//! Real logs: every line of eight systems, where they are to be had, and lines of their kind always.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use chrono::DateTime;

use super::*;
use crate::text::{LineReader, decompress};

/// 2024-06-15T12:00:00Z
const NOW_NS: i64 = 1_718_452_800_000_000_000;

/// Lines as eight systems write them, ending as the files of the corpus do.
const FIXTURE: &str = "\
[Fri Mar 07 10:11:12 2008] [error] worker 7 left in state 4\r\n\
080307 101112 148 INFO fs.Store$Sender: sent blk_17 to /10.0.0.7:50010\r\n\
2008-03-07 10:11:12,345 WARN [main] org.example.Job: slow task\r\n\
20080307-10:11:12:345|Step_Count|30002312|steps 3579\r\n\
Mar  7 10:11:12 box sshd(pam_unix)[19939]: session opened\r\n\
Mar  7 10:11:12 box sshd[24200]: Invalid user guest from 10.0.0.7\r\n\
08/03/07 10:11:12 INFO exec.Backend: registered\r\n\
2008-03-07 10:11:12,345 - INFO  [Peer[id=1]/0:0:0:0:0:0:0:0:2181:Vote@774] - time out";

#[test]
fn lines_of_eight_kinds() {
    let mut lines = LineReader::new(FIXTURE.as_bytes());
    let mut recogniser = Recogniser::new(Zone::UTC);
    let mut seen = String::new();
    while let Some(line) = lines.next_line().unwrap() {
        let text = line.text.unwrap().text;
        let fields = recogniser.fields(&text, NOW_NS);
        let time = fields.timestamp_ns.map(|ns| DateTime::from_timestamp_nanos(ns).to_rfc3339());
        writeln!(seen, "{} {}", time.as_deref().unwrap_or("none"), fields.level.unwrap_or("none")).unwrap();
    }
    insta::assert_snapshot!(seen, @r"
    2008-03-07T10:11:12+00:00 error
    2008-03-07T10:11:12+00:00 INFO
    2008-03-07T10:11:12.345+00:00 WARN
    2008-03-07T10:11:12.345+00:00 none
    2024-03-07T10:11:12+00:00 none
    2024-03-07T10:11:12+00:00 none
    2008-03-07T10:11:12+00:00 INFO
    2008-03-07T10:11:12.345+00:00 INFO
    ");
}

#[test]
fn loghub_lines_are_recognised() {
    let Ok(directory) = std::env::var("IRONBARK_LOGHUB_DIR") else {
        println!(
            "loghub_lines_are_recognised skipped: IRONBARK_LOGHUB_DIR does not name a directory of loghub logs"
        );
        return;
    };
    let mut seen = String::new();
    for system in ["Apache", "HDFS", "Hadoop", "HealthApp", "Linux", "OpenSSH", "Spark", "Zookeeper"] {
        let path = Path::new(&directory).join(format!("{system}_2k.log"));
        writeln!(seen, "{system} {}", summary(&path)).unwrap();
    }
    insta::assert_snapshot!(seen, @r#"
    Apache 2000 lines, 2000 timed, {"error": 595, "notice": 1405}
    HDFS 2000 lines, 2000 timed, {"INFO": 1920, "WARN": 80}
    Hadoop 2000 lines, 2000 timed, {"ERROR": 150, "FATAL": 2, "INFO": 1040, "WARN": 808}
    HealthApp 2000 lines, 2000 timed, {"none": 2000}
    Linux 2000 lines, 2000 timed, {"ALERT": 43, "none": 1955, "warning": 2}
    OpenSSH 2000 lines, 2000 timed, {"error": 47, "fatal": 1, "none": 1952}
    Spark 2000 lines, 2000 timed, {"INFO": 2000}
    Zookeeper 2000 lines, 2000 timed, {"ERROR": 13, "INFO": 669, "WARN": 1318}
    "#);
}

/// How many lines a log has, how many of them have a timestamp, and the count of each level.
fn summary(path: &Path) -> String {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut lines = LineReader::new(decompress(BufReader::new(file)).unwrap());
    let mut recogniser = Recogniser::new(Zone::UTC);
    let (mut count, mut timed) = (0, 0);
    let mut levels: BTreeMap<String, u32> = BTreeMap::new();
    while let Some(line) = lines.next_line().unwrap() {
        let text = line.text.unwrap().text;
        let fields = recogniser.fields(&text, NOW_NS);
        count += 1;
        timed += u32::from(fields.timestamp_ns.is_some());
        *levels.entry(fields.level.unwrap_or("none").to_owned()).or_default() += 1;
    }
    format!("{count} lines, {timed} timed, {levels:?}")
}
