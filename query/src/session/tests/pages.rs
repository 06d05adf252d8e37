//! Pages of a search: together they are what one page would have been.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use ironbark_storage::{TimeRange, Timestamp};
use proptest::prelude::*;

use super::super::page;
use super::few;
use crate::fixture::{Fixture, Row, SECOND, START};
use crate::{Order, SearchPage, SearchRequest};

fn ids(page: &SearchPage) -> Vec<i64> {
    let ids = |batch: &arrow::array::RecordBatch| {
        batch.column_by_name("_row_id").unwrap().as_primitive::<Int64Type>().values().to_vec()
    };
    page.batches.iter().flat_map(ids).collect()
}

/// Reads all pages, and between them adds rows that no page may show.
async fn all_pages(fixture: &Fixture, request: &SearchRequest, limit: usize, bytes_max: usize) -> Vec<i64> {
    let mut found = Vec::new();
    let mut request = SearchRequest { limit, ..request.clone() };
    loop {
        let page = page::search(&fixture.session(), &request, bytes_max).await.unwrap();
        assert!(bytes(&page) <= bytes_max || ids(&page).len() == 1, "{} bytes", bytes(&page));
        assert!(page.batches.iter().map(RecordBatch::num_rows).sum::<usize>() <= limit);
        found.extend(ids(&page));
        fixture.buffer(&[Row::new(1, "web", "INFO", "late"), Row::new(1_000, "web", "INFO", "late")]);
        match page.cursor {
            Some(cursor) => request.cursor = Some(cursor),
            None => return found,
        }
    }
}

/// What the records take as JSON.
fn bytes(page: &SearchPage) -> usize {
    let mut out = Vec::new();
    for batch in &page.batches {
        crate::json::write_records(batch, &mut out, |_, _| ()).unwrap();
    }
    out.len()
}

async fn check(steps: Vec<(i64, bool)>, limit: usize, bytes_max: usize, order: Order) {
    let fixture = Fixture::new();
    for piece in steps.chunks(5) {
        let rows: Vec<_> = piece
            .iter()
            .map(|(at, _)| Row::new(*at, "web", "INFO", &"\n".repeat(usize::try_from(*at * 40).unwrap())))
            .collect();
        if piece[0].1 { fixture.buffer(&rows) } else { fixture.segment(&rows, 2).await }
    }
    let request = SearchRequest { order, limit: 1_000, ..SearchRequest::default() };
    let whole = fixture.session().search(&request).await.unwrap();
    assert_eq!(whole.cursor, None);
    let whole = ids(&whole);
    assert_eq!(whole.len(), steps.len());
    assert_eq!(all_pages(&fixture, &request, limit, bytes_max).await, whole);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn pages_together_are_the_whole(
        steps in prop::collection::vec((0..6i64, any::<bool>()), 0..30),
        limit in 1..8usize,
        bytes_max in 1..2_000usize,
        ascending in any::<bool>(),
    ) {
        let order = if ascending { Order::Ascending } else { Order::Descending };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check(steps, limit, bytes_max, order));
    }
}

#[tokio::test]
async fn a_page_ends_where_its_bytes_end() {
    let fixture = Fixture::new();
    let long = "x".repeat(1 << 20);
    let rows: Vec<_> = (0..40).map(|at| Row::new(at, "web", "INFO", &long)).collect();
    fixture.buffer(&rows);
    let request = SearchRequest { limit: 1_000, ..SearchRequest::default() };
    let first = fixture.session().search(&request).await.unwrap();
    assert_eq!(ids(&first).len(), 31);
    let rest = SearchRequest { cursor: first.cursor.clone(), ..request.clone() };
    let rest = fixture.session().search(&rest).await.unwrap();
    assert_eq!((ids(&rest).len(), &rest.cursor), (9, &None));
    // A record that is longer than a page is one.
    let one = page::search(&fixture.session(), &request, 10).await.unwrap();
    assert_eq!((ids(&one).len(), one.cursor.is_some()), (1, true));
}

#[tokio::test]
async fn a_cursor_belongs_to_its_search() {
    let fixture = few();
    let request = SearchRequest { limit: 1, ..SearchRequest::default() };
    let cursor = fixture.session().search(&request).await.unwrap().cursor.unwrap();
    let search = |request: SearchRequest| {
        let session = fixture.session();
        async move { session.search(&request).await.map(|page| ids(&page).len()).map_err(|e| e.to_string()) }
    };
    let with = |cursor: &str| SearchRequest { cursor: Some(cursor.to_owned()), ..request.clone() };
    assert_eq!(search(SearchRequest { limit: 2, ..with(&cursor) }).await, Ok(2));
    let other = SearchRequest { source: Some("web".to_owned()), ..with(&cursor) };
    insta::assert_snapshot!(search(other).await.unwrap_err(), @"cursor: it is of another search (only the limit may change from page to page); start again without one");
    let other = SearchRequest { order: Order::Ascending, ..with(&cursor) };
    assert!(search(other).await.is_err());
    let mut damaged = cursor.clone().into_bytes();
    damaged[60] = if damaged[60] == b'A' { b'B' } else { b'A' };
    let damaged = String::from_utf8(damaged).unwrap();
    for bad in
        [damaged.as_str(), &cursor[..cursor.len() - 2], "", "x", "%%%%", &"A".repeat(76), &"A".repeat(200)]
    {
        let error = search(with(bad)).await.unwrap_err();
        assert!(error.starts_with("cursor: it is") && error.ends_with("start again without one"), "{error}");
    }
}

#[tokio::test]
async fn a_search_narrows_by_all_of_its_parts() {
    let fixture = few();
    let search = |request: SearchRequest| {
        let session = fixture.session();
        async move { session.search(&SearchRequest { limit: 10, ..request }).await.map(|page| ids(&page).len()) }
    };
    let none = SearchRequest::default();
    let at = |second: i64| Timestamp::from_ns(START + second * SECOND);
    assert_eq!(search(none.clone()).await.unwrap(), 3);
    assert_eq!(search(SearchRequest { source: Some("web".into()), ..none.clone() }).await.unwrap(), 2);
    assert_eq!(search(SearchRequest { level: Some("err".into()), ..none.clone() }).await.unwrap(), 1);
    let tags = vec![("env".to_owned(), "prod".to_owned())];
    assert_eq!(search(SearchRequest { tags, ..none.clone() }).await.unwrap(), 1);
    let time = Some(TimeRange::new(at(2), at(3)));
    assert_eq!(search(SearchRequest { time, ..none.clone() }).await.unwrap(), 2);
    let request = SearchRequest { table: "nothing".parse().unwrap(), ..none.clone() };
    assert!(search(request).await.is_err());
    for limit in [0, SearchRequest::LIMIT_MAX + 1] {
        let request = SearchRequest { limit, ..none.clone() };
        assert!(fixture.session().search(&request).await.is_err());
    }
}
