//! What may be continued, and what may not.

use super::*;

const HOUR_NS: i64 = 3_600 * 1_000_000_000;
const NOW: Timestamp = Timestamp::from_ns(1_700_000_000_000_000_000);

fn identity() -> Identity {
    let text = |text: &str| text.to_owned();
    Identity { server: text("s"), tenant: text("t"), table: text("logs"), options: text("o") }
}

/// A file, and where its journal is.
fn file() -> (tempfile::TempDir, PathBuf, Option<PathBuf>) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.log");
    fs::write(&file, "one\ntwo\n").unwrap();
    let journal = directory.path().join("state/journal.json");
    (directory, file, Some(journal))
}

#[test]
fn a_load_goes_on_with_its_keys_and_counts() {
    let (_directory, file, place) = file();
    let source = Source::open(&file).unwrap();
    let mut journal = Journal::begin(place.clone(), identity(), &source, Uuid::from_u128(7), NOW).unwrap();
    let mut report = FileReport::new(&file);
    report.restore(Counts { lines: 5, sent: 4, accepted: 3, refused: 2, replaced: 1, untimed: 0 }, false);
    journal.acknowledge(0, &report, NOW).unwrap();

    let later = NOW.plus_ns(HOUR_NS);
    let resumed = Journal::resume(place, &identity(), &file, &source, later).unwrap();
    assert_eq!((resumed.ranges_done(), resumed.is_done(), resumed.began()), (1, false, NOW));
    assert_eq!(resumed.key(1), journal.key(1));
    assert_ne!(resumed.key(1), resumed.key(2));
    let mut restored = FileReport::new(&file);
    resumed.restore(&mut restored);
    assert_eq!(restored.counts(), report.counts());
}

#[test]
fn what_cannot_be_continued_says_why() {
    let (directory, file, place) = file();
    let source = Source::open(&file).unwrap();
    let resume = |identity: &Identity, source: &Source, now| {
        let error = Journal::resume(place.clone(), identity, Path::new("a.log"), source, now).unwrap_err();
        error.to_string().replace("cannot continue the load of a.log: ", "")
    };
    let ending = "; leave --resume out to load the whole file again";
    let never = resume(&identity(), &source, NOW);
    assert_eq!(never, format!("no load of it to this server, tenant and table was begun{ending}"));

    Journal::begin(place.clone(), identity(), &source, Uuid::from_u128(7), NOW).unwrap();
    let other = Identity { options: "other".to_owned(), ..identity() };
    assert!(resume(&other, &source, NOW).starts_with("it was begun with other options"));
    assert!(resume(&identity(), &Source::stdin(), NOW).starts_with("standard input cannot be read again"));
    insta::assert_snapshot!(
        resume(&identity(), &source, NOW.plus_ns(24 * HOUR_NS)),
        @"it stopped more than 23 hours ago, at 2023-11-14T22:13:20Z, so the server may have forgotten whether the lines behind line 0 arrived; leave --resume out to load the whole file again"
    );
    fs::write(&file, "one\ntwo\nthree\n").unwrap();
    assert!(
        resume(&identity(), &Source::open(&file).unwrap(), NOW).starts_with("the file has changed since")
    );
    drop(directory);
}

#[test]
fn a_load_that_is_done_stays_done() {
    let (_directory, file, place) = file();
    let source = Source::open(&file).unwrap();
    let mut journal = Journal::begin(place.clone(), identity(), &source, Uuid::from_u128(7), NOW).unwrap();
    journal.complete(&FileReport::new(&file), NOW).unwrap();
    let much_later = NOW.plus_ns(1_000 * HOUR_NS);
    assert!(Journal::resume(place, &identity(), &file, &source, much_later).unwrap().is_done());
}

#[test]
fn journals_of_other_places_and_files_are_apart() {
    let (directory, file, _) = file();
    let source = Source::open(&file).unwrap();
    let here = location(&identity(), &source);
    let elsewhere = location(&Identity { tenant: "u".to_owned(), ..identity() }, &source);
    let other = directory.path().join("b.log");
    fs::write(&other, "").unwrap();
    let beside = location(&identity(), &Source::open(&other).unwrap());
    assert_eq!(here, location(&Identity { options: "p".to_owned(), ..identity() }, &source));
    assert!(here.is_none() || (here != elsewhere && here != beside && elsewhere != beside));
    assert_eq!(location(&identity(), &Source::stdin()), None);
}
