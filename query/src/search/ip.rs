//! Finds IP addresses in text.
//!
//! An IPv4 address is four numbers from 0 to 255 with dots between them that is not part of a longer word or
//! number (`v10.0.0.1`, `1.2.3.4.5` are none, `10.0.0.1:80` and `10.0.0.1.` hold one). An IPv6 address is a run
//! of letters, digits, `_`, colons and dots that parses as one. Nothing is allocated.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::ast::Cidr;

/// The longest spelling: eight groups, the last two as IPv4.
const IPV6_BYTES_MAX: usize = 45;

/// Whether the text holds an address of the block.
pub(super) fn holds_address_in(text: &str, block: Cidr) -> bool {
    match block.address() {
        IpAddr::V4(_) => ipv4_addresses(text.as_bytes()).any(|address| block.contains(address.into())),
        IpAddr::V6(_) => ipv6_addresses(text).any(|address| block.contains(address.into())),
    }
}

fn is_word_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || !b.is_ascii()
}

fn ipv4_addresses(text: &[u8]) -> impl Iterator<Item = Ipv4Addr> + '_ {
    // Every address has a first dot; it is found fast, and the digits before it are at most three.
    memchr::memchr_iter(b'.', text).filter_map(move |dot| {
        let digits = text.get(..dot)?.iter().rev().take_while(|b| b.is_ascii_digit()).count();
        let start = dot.checked_sub(digits)?;
        let before = start.checked_sub(1).and_then(|at| text.get(at));
        if before.is_some_and(|b| is_word_byte(*b) || *b == b'.') {
            return None;
        }
        ipv4_at(text.get(start..)?)
    })
}

/// The address that the text starts with, if nothing belongs to it any more.
fn ipv4_at(text: &[u8]) -> Option<Ipv4Addr> {
    let mut rest = text;
    let mut octets = [0u8; 4];
    for (i, octet) in octets.iter_mut().enumerate() {
        if i > 0 {
            rest = rest.strip_prefix(b".")?;
        }
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let (number, after) = rest.split_at_checked(digits).filter(|_| (1..=3).contains(&digits))?;
        *octet = std::str::from_utf8(number).ok()?.parse().ok()?;
        rest = after;
    }
    let goes_on = match rest {
        [b'.', next, ..] | [next, ..] => is_word_byte(*next),
        [] => false,
    };
    (!goes_on).then(|| octets.into())
}

fn ipv6_addresses(text: &str) -> impl Iterator<Item = Ipv6Addr> + '_ {
    // Letters that are no digits stay in the run and spoil it: `std::a` holds no `d::a`.
    let runs = text.split(|c: char| !(c.is_alphanumeric() || matches!(c, ':' | '.' | '_')));
    runs.filter(|run| run.len() <= IPV6_BYTES_MAX && run.bytes().filter(|b| *b == b':').count() > 1)
        .filter_map(|run| run.trim_end_matches('.').parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(text: &str, block: &str) -> bool {
        let (address, bits) = block.split_once('/').unwrap();
        holds_address_in(text, Cidr::new(address.parse().unwrap(), bits.parse().unwrap()).unwrap())
    }

    #[test]
    fn ipv4_is_found_where_it_stands_alone() {
        for text in [
            "10.1.2.3",
            "from 10.1.2.3:8080 to",
            "ip=10.1.2.3,",
            "(10.1.2.3)",
            "at 10.1.2.3.",
            "1.2 10.1.2.3",
            "10.1.2.3/24",
            "x.10 10.1.2.3",
            "10.1.2.3-a",
            "é 10.1.2.3",
            "::ffff:10.1.2.3",
        ] {
            assert!(holds(text, "10.0.0.0/8"), "{text}");
            assert!(
                holds(text, "10.1.2.3/32") && holds(text, "99.0.0.0/0") && !holds(text, "10.1.2.2/32"),
                "{text}"
            );
        }
        for text in [
            "v10.1.2.3",
            "10.1.2.3.4",
            "10.1.2.300",
            "10.1.2",
            "10.1.2.3a",
            "0010.1.2.3",
            "é10.1.2.3",
            "",
            "...",
        ] {
            assert!(!holds(text, "0.0.0.0/0"), "{text}");
        }
    }

    #[test]
    fn ipv6_is_found() {
        for text in ["2001:db8::7", "peer [2001:DB8:0:0::7]:443 gone", "to 2001:db8::7."] {
            assert!(holds(text, "2001:db8::/32") && !holds(text, "2001:db9::/32"), "{text}");
        }
        assert!(!holds("std::vec 12:30:45 10.0.0.1", "::/0"));
    }
}
