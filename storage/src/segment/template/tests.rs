//! Templates describe the messages that they were made of, and survive their encoding.

use proptest::prelude::*;

use super::miner::{Miner, TEMPLATES_MAX, UNKNOWN};
use super::*;

/// Whether a message is made of the template's parts.
fn is_of(template: &Template, message: &str) -> bool {
    let message = message.as_bytes();
    // Where the parts so far may end.
    let mut ends = vec![0];
    for part in template.parts() {
        let mut next = Vec::new();
        for end in ends {
            let rest: &[u8] = &message[end..];
            match part {
                Part::Text(text) => next.extend(rest.starts_with(text).then_some(end + text.len())),
                Part::Slot(slot) => {
                    let held = rest.iter().take_while(|byte| slot.bytes.holds(**byte)).count();
                    let (min, max) = (slot.min as usize, held.min(slot.max as usize));
                    next.extend((min..=max).map(|length| end + length));
                }
            }
        }
        next.sort_unstable();
        next.dedup();
        ends = next;
    }
    ends.contains(&message.len())
}

/// Mines row groups; returns the template of each message.
fn mine(row_groups: &[Vec<String>]) -> (Vec<Template>, Vec<Vec<u16>>) {
    let (miner, all) = mined(row_groups, 7);
    (miner.finish(), all)
}

fn mined(row_groups: &[Vec<String>], seed: u64) -> (Miner, Vec<Vec<u16>>) {
    let mut miner = Miner::new(crate::segment::seeded::Seeded(seed));
    let mut all = Vec::new();
    for messages in row_groups {
        let masks: Vec<_> = messages.iter().map(|message| miner.add(message)).collect();
        let of_masks = miner.end_row_group();
        all.push(masks.into_iter().map(|mask| of_masks.get(mask)).collect());
    }
    (miner, all)
}

fn shown(template: &Template) -> String {
    let part = |part: &Part| match part {
        Part::Text(text) => String::from_utf8_lossy(text).into_owned(),
        Part::Slot(slot) => format!("<{}-{}>", slot.min, slot.max),
    };
    template.parts().iter().map(part).collect()
}

fn repeated(count: usize, message: impl Fn(usize) -> String) -> impl Iterator<Item = String> {
    (0..count).map(message)
}

#[test]
fn words_with_digits_and_rare_words_become_slots() {
    let names = ["ada", "bob", "cleo", "dan", "eve"];
    let mut messages = Vec::new();
    messages.extend(repeated(50, |n| format!("GET /users/{n} finished in {} ms", n * n)));
    messages.extend(repeated(20, |n| format!("worker-{n} connected to 10.0.0.{n}:8080")));
    messages.extend(names.map(|name| format!("user {name} logged in")));
    messages.extend(repeated(10, |_| "cache flushed".to_owned()));
    messages.push("naïve 3rd".to_owned());
    let (templates, of_messages) = mine(&[messages]);
    let shown: Vec<_> = templates.iter().skip(1).map(shown).collect();
    assert_eq!(
        shown,
        [
            "GET /users/<1-2> finished in <1-4> ms",
            "worker-<1-2> connected to <2-2>.<1-1>.<1-1>.<1-2>:<4-4>",
            "cache flushed",
            "user <3-4> logged in",
            "naïve <3-3>",
        ]
    );
    let counts = [50, 20, 5, 10, 1];
    let expected: Vec<u16> =
        counts.iter().zip([1, 2, 4, 3, 5]).flat_map(|(count, number)| vec![number; *count]).collect();
    assert_eq!(of_messages, [expected]);
}

#[test]
fn a_template_goes_on_into_the_next_row_group() {
    let group = |from: usize| repeated(20, move |n| format!("took {} ms", from + n)).collect::<Vec<_>>();
    let (templates, of_messages) = mine(&[group(0), group(100_000)]);
    assert_eq!(templates.iter().map(shown).collect::<Vec<_>>(), ["<0-4294967295>", "took <1-6> ms"]);
    assert_eq!(of_messages, [vec![1; 20], vec![1; 20]]);
}

#[test]
fn free_text_stays_within_the_limits() {
    let word = |mut n: usize| {
        let letter = |n: usize| char::from(b'a' + u8::try_from(n % 26).unwrap());
        let mut word = String::new();
        loop {
            word.push(letter(n));
            n /= 26;
            if n == 0 {
                return word;
            }
        }
    };
    // As many shapes as messages.
    let punctuated =
        |n: usize| word(n).split_inclusive(|_| true).collect::<Vec<_>>().join(&"-".repeat(n % 400));
    let messages: Vec<String> =
        repeated(30_000, |n| format!("{}{}", ".".repeat(n % 97), punctuated(n))).collect();
    let (templates, of_messages) = mine(std::slice::from_ref(&messages));
    assert!(templates.len() <= TEMPLATES_MAX);
    assert!(of_messages[0].contains(&UNKNOWN), "there are more shapes than templates");
    // One shape: every word is another.
    let (templates, _) = mine(&[repeated(30_000, word).collect()]);
    assert!(templates.len() < 70, "{}", templates.len());
    let long = format!("start {} end", "x1 ".repeat(1_000));
    let (templates, _) = mine(&[vec![long.clone()]]);
    assert!(is_of(&templates[1], &long));
}

#[test]
fn lengths_of_named_numbers_are_told_apart() {
    let took = |n: usize| format!("GET /users/{n} took={}", 7 * 10_usize.pow(u32::try_from(n % 4).unwrap()));
    let json = |n: usize| format!("{{\"status\": 200,\"bytes\":{}}}", 100 + n * 30);
    let mut messages: Vec<String> = repeated(80, took).chain(repeated(80, json)).collect();
    messages.extend(repeated(20, |n| format!("peer 10.0.0.1:{} id=x{}", 5 * n, 5 * n)));
    let (templates, _) = mine(&[messages]);
    let mut shown: Vec<_> = templates.iter().skip(1).map(shown).collect();
    shown.sort_unstable();
    assert_eq!(
        shown,
        [
            "GET /users/<1-2> took=<1-2>",
            "GET /users/<1-2> took=<3-3>",
            "GET /users/<1-2> took=<4-4>",
            "peer <2-2>.<1-1>.<1-1>.<1-1>:<1-2> id=<2-3>",
            "{\"status\": <3-3>,\"bytes\":<3-3>}",
            "{\"status\": <3-3>,\"bytes\":<4-4>}",
        ]
    );
}

#[test]
fn rare_lengths_do_without_and_are_not_loose() {
    // Three rows of each length are too few, all of them together are not.
    let took = |n: usize| format!("took={}", 10_usize.pow(u32::try_from(2 + n % 4).unwrap()));
    let messages: Vec<String> = repeated(12, took).chain(repeated(1, |_| "alone=1000".to_owned())).collect();
    let (miner, of_messages) = mined(&[messages], 7);
    let (took, alone) = (of_messages[0][0], of_messages[0][12]);
    assert!(of_messages[0][..12].iter().all(|template| *template == took));
    assert!(!miner.is_loose(took) && miner.is_loose(alone));
    assert!(miner.comes_last(took) && miner.comes_last(alone), "neither tells how long its number is");
    let templates = miner.finish();
    assert_eq!(shown(&templates[usize::from(took)]), "took=<3-6>");
    assert_eq!(shown(&templates[usize::from(alone)]), "alone=<4-4>");
}

#[test]
fn words_that_vary_keep_their_lengths() {
    let word = |n: usize| ["ada", "bob", "cleo", "dan", "eve", "fay", "gus", "hal", "ian"][n % 9];
    let messages: Vec<String> = repeated(54, |n| {
        format!("{} {} took={}", word(n), word(n / 9), if n % 2 == 0 { 100 } else { 1_000 })
    })
    .collect();
    let (templates, of_messages) = mine(std::slice::from_ref(&messages));
    for (message, number) in messages.iter().zip(&of_messages[0]) {
        let template = shown(&templates[usize::from(*number)]);
        assert!(
            template.ends_with(if message.ends_with("=100") { "took=<3-3>" } else { "took=<4-4>" }),
            "{template}"
        );
    }
}

#[test]
fn many_numbers_of_many_lengths_make_few_templates() {
    let mut state = 7_u64;
    let mut number = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % 10_u64.pow(u32::try_from((state >> 20) % 9 + 1).unwrap())
    };
    let mut line = |_| (0..20).map(|key| format!("key_{key}={}", number())).collect::<Vec<_>>().join(" ");
    let row_groups =
        vec![(0..20_000).map(&mut line).collect::<Vec<String>>(), (0..20_000).map(line).collect()];
    let (miner, of_messages) = mined(&row_groups, 7);
    assert!(of_messages.iter().flatten().all(|number| *number != UNKNOWN && !miner.is_loose(*number)));
    let templates = miner.finish();
    assert!(templates.len() < 70, "{}", templates.len());
    assert_eq!((templates, of_messages), {
        let (miner, of_messages) = mined(&row_groups, 8);
        (miner.finish(), of_messages)
    });
}

#[test]
fn each_row_group_has_masks_anew() {
    let letters =
        |n: usize| -> String { n.to_string().bytes().map(|digit| char::from(digit + 49)).collect() };
    let group = |from: usize| repeated(30_000, move |n| format!("user {} left", letters(from + n))).collect();
    let row_groups: Vec<Vec<String>> = (0..3).map(|group_number| group(30_000 * group_number)).collect();
    let (templates, of_messages) = mine(&row_groups);
    assert!(of_messages.iter().flatten().all(|number| *number != UNKNOWN));
    assert_eq!(templates.len(), 2);
}

fn message() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        4 => "(GET|POST|user|took|ms|error)",
        2 => "[a-c]{1,2}",
        2 => "[0-9]{1,4}",
        2 => "(took=|n=|\"n\": ?)[0-9]{1,10}",
        1 => "[a-zA-Z0-9_éß]{1,6}",
        1 => "(x1 ){60,300}",
    ];
    prop::collection::vec((word, "[ :/=.\n-]{0,2}"), 0..8)
        .prop_map(|words| words.into_iter().flat_map(|(word, between)| [word, between]).collect())
}

proptest! {
    #[test]
    fn every_message_is_of_its_template(
        row_groups in prop::collection::vec(prop::collection::vec(message(), 1..60), 1..4),
    ) {
        let (templates, of_messages) = mine(&row_groups);
        for (message, number) in row_groups.iter().flatten().zip(of_messages.iter().flatten()) {
            let template = &templates[usize::from(*number)];
            prop_assert!(is_of(template, message), "{message:?} is not of {}", shown(template));
        }
    }

    #[test]
    fn they_survive_their_encoding(
        row_groups in prop::collection::vec(prop::collection::vec((0..4usize, 0..3usize, message()), 1..40), 1..4),
        damage in any::<prop::sample::Index>(),
    ) {
        let mut builder = TemplatesBuilder::new(7);
        for rows in &row_groups {
            let masks: Vec<_> = rows.iter().map(|(_, _, message)| builder.miner.add(message)).collect();
            let of_masks = builder.miner.end_row_group();
            builder.begin_row_group();
            let names = [None, Some("a"), Some(""), Some("web")];
            let mut runs: Vec<_> = rows.iter().zip(masks).map(|((source, level, _), mask)| {
                (names[*source], names[*level], of_masks.get(mask))
            }).collect();
            runs.sort_unstable();
            for run in runs.chunk_by(|one, other| one == other) {
                builder.add(run[0].0, run[0].1, run[0].2, run.len());
            }
        }
        let templates = builder.finish();
        prop_assert!(templates.sources.is_sorted() && templates.levels.is_sorted());
        for (rows, runs) in row_groups.iter().zip(&templates.row_groups) {
            prop_assert_eq!(runs.iter().map(|run| run.rows as usize).sum::<usize>(), rows.len());
        }
        let bytes = templates.encode().unwrap();
        prop_assert_eq!(Templates::decode(&bytes), Ok(templates));
        let at = damage.index(bytes.len());
        for damaged in [bytes[..at].to_vec(), [&bytes[..at], &[bytes[at] ^ 0x15], &bytes[at + 1..]].concat()] {
            // Whatever it says, it says so without a panic.
            drop(Templates::decode(&damaged));
        }
    }
}
