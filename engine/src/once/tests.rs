//! Idempotency keys: once, alike, and forgotten in time.

use super::*;
use ironbark_storage::TenantId;

fn once(key: &str, body_hash: u128) -> Once {
    Once { key: key.parse().unwrap(), body_hash, answer: Bytes::from(format!("answer to {key}")) }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_ns(seconds * 1_000_000_000)
}

async fn mine(table: &OnceTable, logs: &TableRef, once: Once) -> Claimed {
    match table.claim(logs, once, at(0)).await.unwrap() {
        Claim::Mine(claimed) => claimed,
        Claim::Repeated(answer) => panic!("repeated: {answer:?}"),
    }
}

#[tokio::test]
async fn a_key_is_done_once_and_answered_alike() {
    let (keys, logs) = (OnceTable::new(10, 1_000), TableRef::logs(TenantId::default()));
    mine(&keys, &logs, once("a", 1)).await.done(Lsn::new(1), at(0));
    let again = keys.claim(&logs, once("a", 1), at(1)).await.unwrap();
    assert!(matches!(again, Claim::Repeated(answer) if answer == "answer to a"));
    let other_body = keys.claim(&logs, once("a", 2), at(1)).await;
    assert!(matches!(other_body, Err(Error::KeyReused { .. })));
    let other_table = TableRef { table: "audit".parse().unwrap(), ..logs.clone() };
    drop(mine(&keys, &other_table, once("a", 2)).await);
    // Two seconds later the key is no longer kept.
    assert!(matches!(keys.claim(&logs, once("a", 2), at(2)).await.unwrap(), Claim::Mine(_)));
}

#[tokio::test]
async fn a_failed_append_frees_its_key_and_wakes_who_waits() {
    let (keys, logs) = (Arc::new(OnceTable::new(10, 1_000)), TableRef::logs(TenantId::default()));
    let first = mine(&keys, &logs, once("a", 1)).await;
    let (other, table) = (Arc::clone(&keys), logs.clone());
    let waiting =
        tokio::spawn(
            async move { matches!(other.claim(&table, once("a", 1), at(0)).await, Ok(Claim::Mine(_))) },
        );
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished(), "a concurrent request with the same key waits");
    drop(first);
    assert!(waiting.await.unwrap());
}

#[tokio::test]
async fn a_concurrent_repeat_gets_the_first_answer() {
    let (keys, logs) = (Arc::new(OnceTable::new(10, 1_000)), TableRef::logs(TenantId::default()));
    let first = mine(&keys, &logs, once("a", 1)).await;
    let (other, table) = (Arc::clone(&keys), logs.clone());
    let waiting =
        tokio::spawn(async move { other.recall(&table, &"a".parse().unwrap(), 1, at(0)).await.unwrap() });
    tokio::task::yield_now().await;
    first.done(Lsn::new(4), at(0));
    assert_eq!(waiting.await.unwrap().unwrap(), "answer to a");
}

#[tokio::test]
async fn keys_are_bounded_and_saved_in_the_order_of_the_log() {
    let (keys, logs) = (OnceTable::new(2, 1_000), TableRef::logs(TenantId::default()));
    mine(&keys, &logs, once("a", 1)).await.done(Lsn::new(1), at(0));
    mine(&keys, &logs, once("b", 1)).await.done(Lsn::new(3), at(0));
    assert!(matches!(keys.claim(&logs, once("c", 1), at(0)).await, Err(Error::TooManyKeys { limit: 2 })));
    let unsaved = keys.unsaved_before(Lsn::new(3));
    assert_eq!(unsaved.iter().map(|key| key.once.key.as_str()).collect::<Vec<_>>(), ["a"]);
    keys.saved_before(Lsn::new(3));
    assert_eq!(keys.unsaved_before(Lsn::new(9)).len(), 1);
    keys.forget_expired(at(5));
    assert!(matches!(keys.claim(&logs, once("a", 7), at(5)).await.unwrap(), Claim::Mine(_)));
}

#[tokio::test]
async fn answers_are_bounded_in_bytes_and_the_oldest_go_first() {
    let (keys, logs) = (OnceTable::new(100, 1_000_000), TableRef::logs(TenantId::default()));
    let long = |key: &str| Once { answer: Bytes::from(vec![b'x'; 10_000]), ..once(key, 1) };
    let bytes_max = 3 * 11_000;
    keys.state.lock().done_bytes_max = bytes_max;
    for (number, key) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
        let claimed = mine(&keys, &logs, long(key)).await;
        let number = i64::try_from(number).unwrap();
        claimed.done(Lsn::new(number.unsigned_abs() + 1), at(number));
    }
    assert!(keys.state.lock().done_bytes <= bytes_max);
    let mut kept = Vec::new();
    for key in ["a", "b", "c", "d", "e"] {
        let answer = keys.recall(&logs, &key.parse().unwrap(), 1, at(5)).await.unwrap();
        kept.extend(answer.map(|_| key));
    }
    assert_eq!(kept, ["c", "d", "e"]);
    // What was forgotten needs no file any more, and what a file brings back is bounded too.
    let saved = keys.unsaved_before(Lsn::new(9));
    assert_eq!(saved.len(), 3);
    let other = OnceTable::new(100, 1_000_000);
    other.state.lock().done_bytes_max = 11_000;
    saved.into_iter().rev().for_each(|key| other.restore(key, None));
    assert_eq!(other.state.lock().done.values().map(|(_, key)| key.as_str()).collect::<Vec<_>>(), ["e"]);
    // One answer is kept whatever its size, and a key that ran out is free and its memory given back.
    assert!(matches!(other.claim(&logs, once("e", 7), at(5_000)).await.unwrap(), Claim::Mine(_)));
    assert_eq!(other.state.lock().done_bytes, 0);
}
