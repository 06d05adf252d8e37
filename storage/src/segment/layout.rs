//! How many rows each row group of a segment holds: few at the newest end of time, many in the past.
//!
//! ```text
//!   time ────────────────────────────────────────────────────────────────►
//!   │ rest │ 262,144 │ … │ 262,144 │ 131,072 │ 65,536 │ 32,768 │ 16,384 │ 8,192 │
//! ```
//!
//! Whoever asks for the latest rows reads a row group from its begin, however few rows he wants; long row groups
//! compress better. So row groups double from the newest end until they are full. See
//! `docs/adr/040-row-groups-by-age.md`.

/// Rows of a full row group.
pub const ROW_GROUP_ROWS: usize = 262_144;

/// Rows of the newest row group: one page.
const NEWEST_ROWS: usize = 8_192;
/// What is left over at the oldest end joins its neighbour if it is smaller than this fraction of it.
const REST_JOINS_BELOW: usize = 4;

/// The numbers of rows of a segment's row groups, oldest first: together `rows`. A row group has at most `full_rows`
/// rows (at least 1), the oldest a quarter more.
pub fn row_group_sizes(rows: usize, full_rows: usize) -> Vec<usize> {
    let full_rows = full_rows.max(1);
    let (mut sizes, mut rest, mut next) = (Vec::new(), rows, NEWEST_ROWS.min(full_rows));
    while rest > 0 {
        match sizes.last_mut() {
            Some(newer) if rest < *newer / REST_JOINS_BELOW => {
                *newer += rest;
                break;
            }
            _ => sizes.push(next.min(rest)),
        }
        rest = rest.saturating_sub(next);
        next = next.saturating_mul(2).min(full_rows);
    }
    sizes.reverse();
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_groups_double_into_the_past() {
        assert_eq!(row_group_sizes(0, ROW_GROUP_ROWS), [0; 0]);
        assert_eq!(row_group_sizes(1, ROW_GROUP_ROWS), [1]);
        assert_eq!(row_group_sizes(8_192, ROW_GROUP_ROWS), [8_192]);
        assert_eq!(row_group_sizes(9_000, ROW_GROUP_ROWS), [9_000], "a small rest joins");
        assert_eq!(row_group_sizes(12_192, ROW_GROUP_ROWS), [4_000, 8_192]);
        let newest = [131_072, 65_536, 32_768, 16_384, 8_192];
        assert_eq!(row_group_sizes(253_952, ROW_GROUP_ROWS), newest);
        let million = row_group_sizes(1_000_000, ROW_GROUP_ROWS);
        assert_eq!(million[..3], [221_760, 262_144, 262_144]);
        assert_eq!(million[3..], newest);
    }

    #[test]
    fn no_row_is_left_out_and_no_row_group_is_too_large() {
        for full in [1, 3, 7, 8_192, 10_000, ROW_GROUP_ROWS] {
            for rows in (0..60).chain([8_191, 8_193, 70_000]) {
                let sizes = row_group_sizes(rows, full);
                assert_eq!(sizes.iter().sum::<usize>(), rows);
                assert!(
                    sizes.iter().all(|size| (1..=full + full / 4).contains(size)),
                    "{rows} {full} {sizes:?}"
                );
            }
        }
    }
}
