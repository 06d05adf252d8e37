//! Sizes and durations as people write them: `256MiB`, `30s`.
//!
//! A duration always carries its unit, because a bare number is read as seconds by one person and as milliseconds
//! by the next. Everything prints in a form that parses back to the same value.

use std::time::Duration;

/// Units of size, largest first, so that printing finds the largest one that divides.
const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1_000),
    ("B", 1),
];

/// Units of time in milliseconds, largest first.
const TIME_UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Parses a size in bytes: a number with an optional unit.
pub(super) fn parse_bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let number = whole(number, "a size is a whole number with a unit of B, KiB, MiB, GiB or TiB")?;
    let unit = if unit.is_empty() { "B" } else { unit };
    let Some((_, factor)) = SIZE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)) else {
        return Err(format!(
            "{unit:?} is not a unit of size; those are B, KiB, MiB, GiB, TiB, KB, MB, GB, TB"
        ));
    };
    number.checked_mul(*factor).ok_or_else(|| "the size is too large".to_owned())
}

/// Prints a size with the largest unit that divides it.
pub(super) fn show_bytes(bytes: u64) -> String {
    let unit = SIZE_UNITS.iter().find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor));
    let (name, factor) = unit.copied().unwrap_or(("B", 1));
    format!("{}{name}", bytes / factor)
}

/// Parses a duration: a whole number with a unit.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let number = whole(number, "a duration is a whole number with a unit of ms, s, m, h or d")?;
    if unit.is_empty() {
        return Err("a duration needs a unit: ms, s, m, h or d".to_owned());
    }
    let Some((_, factor)) = TIME_UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(format!("{unit:?} is not a unit of time; those are ms, s, m, h, d"));
    };
    let ms = number.checked_mul(*factor).ok_or_else(|| "the duration is too long".to_owned())?;
    Ok(Duration::from_millis(ms))
}

/// Prints a duration with the largest unit that divides it.
pub(super) fn show_duration(duration: Duration) -> String {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let unit = TIME_UNITS.iter().find(|(_, factor)| ms >= *factor && ms % factor == 0);
    let (name, factor) = unit.copied().unwrap_or(("ms", 1));
    format!("{}{name}", ms / factor)
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start())
}

fn whole(number: &str, rule: &str) -> Result<u64, String> {
    number.replace('_', "").parse().map_err(|_| rule.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_print_back() {
        for text in ["256MiB", "1GiB", "3KiB", "17B", "0B", "5MB", "1025B"] {
            assert_eq!(show_bytes(parse_bytes(text).unwrap()), text);
        }
        assert_eq!(parse_bytes("1_000").unwrap(), 1_000);
        assert_eq!(parse_bytes("2 mib").unwrap(), 2 << 20);
        for bad in ["", "MiB", "1.5GiB", "-1B", "1XB", "99999999999TiB"] {
            assert!(parse_bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_print_back() {
        for text in ["30s", "250ms", "5m", "36h", "2d", "0ms"] {
            assert_eq!(show_duration(parse_duration(text).unwrap()), text);
        }
        assert_eq!(show_duration(Duration::from_secs(90)), "90s");
        for bad in ["", "30", "s", "1w", "1.5s", "-1s"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
