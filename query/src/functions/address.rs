//! `parse_ip(text)` and `cidr_match(ip, 'block')`: texts that are an IP address, and nothing beside it.
//!
//! An IPv4 address that is written as IPv6 (`::ffff:10.0.0.1`) is the IPv4 address. For addresses within a longer text
//! there is the search `10.0.0.0/8`.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::datatypes::DataType;
use datafusion::common::Result;

use super::call::{Kernel, Spec};
use super::mistake::Mistake;
use super::texts::{TextOut, Texts};
use crate::search::Cidr;

const PARSE: &str = "parse_ip";
/// The longest spelling of an address, in bytes; longer texts are not looked at.
const ADDRESS_BYTES_MAX: usize = 45;

pub(super) static PARSE_IP: Spec = Spec {
    name: PARSE,
    example: "parse_ip(tags['client'])",
    literals: 0..=0,
    called: &[],
    answer: |_| DataType::Utf8,
    compile: |_, _| Ok(Arc::new(ParseIp)),
};

pub(super) static CIDR_MATCH: Spec = Spec {
    name: "cidr_match",
    example: "cidr_match(tags['client'], '10.0.0.0/8')",
    literals: 1..=1,
    called: &["the block"],
    answer: |_| DataType::Boolean,
    compile: |literals, _| Ok(Arc::new(CidrMatch(block(literals.first().copied().unwrap_or_default())?))),
};

fn address(text: &str) -> Option<IpAddr> {
    if text.len() > ADDRESS_BYTES_MAX {
        return None;
    }
    text.parse().ok().map(|address: IpAddr| address.to_canonical())
}

fn block(text: &str) -> Result<Cidr, Mistake> {
    let wrong = || Mistake::Cidr { text: text.to_owned() };
    let (address, bits) = text.trim().split_once('/').ok_or_else(wrong)?;
    let given: IpAddr = address.parse().map_err(|_| wrong())?;
    let bits: u8 = bits.parse().map_err(|_| wrong())?;
    // The block of IPv4 addresses that are written as IPv6, and so compared as IPv4.
    let mapped_bits = 128 - 32;
    let block = match given.to_canonical() {
        IpAddr::V4(v4) if given.is_ipv6() && bits >= mapped_bits => Cidr::new(v4.into(), bits - mapped_bits),
        _ => Cidr::new(given, bits),
    };
    block.ok_or_else(wrong)
}

#[derive(Debug)]
struct ParseIp;

impl Kernel for ParseIp {
    fn run(&self, texts: Texts<'_>) -> Result<ArrayRef> {
        let mut out = TextOut::new(PARSE, texts);
        let mut lent = String::new();
        for text in texts.iter() {
            lent.clear();
            let known = text.and_then(address).filter(|address| write!(lent, "{address}").is_ok());
            out.push(known.map(|_| lent.as_str()))?;
        }
        Ok(out.finish())
    }
}

#[derive(Debug)]
struct CidrMatch(Cidr);

impl Kernel for CidrMatch {
    fn run(&self, texts: Texts<'_>) -> Result<ArrayRef> {
        let lies_within = |text| address(text).is_some_and(|address| self.0.contains(address));
        Ok(Arc::new(texts.iter().map(|text| text.map(lies_within)).collect::<BooleanArray>()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_canonical() {
        for (text, expected) in [
            ("10.0.0.1", Some("10.0.0.1")),
            ("::ffff:10.0.0.1", Some("10.0.0.1")),
            ("::FFFF:0a00:0001", Some("10.0.0.1")),
            ("2001:0DB8:0:0:0:0:0:7", Some("2001:db8::7")),
            ("::", Some("::")),
            ("", None),
            (" 10.0.0.1", None),
            ("10.0.0.1:80", None),
            ("10.0.0", None),
            ("10.0.0.256", None),
            ("010.0.0.1", None),
            ("fe80::1%eth0", None),
            ("[::1]", None),
            ("１０.0.0.1", None),
            ("localhost", None),
        ] {
            assert_eq!(address(text).map(|a| a.to_string()).as_deref(), expected, "{text}");
        }
        assert_eq!(address(&"1".repeat(1 << 20)), None);
    }

    #[test]
    fn blocks_hold_addresses() {
        let holds =
            |block_text: &str, text: &str| block(block_text).unwrap().contains(address(text).unwrap());
        assert!(holds("10.0.0.0/8", "10.255.0.1") && !holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("10.1.2.3/8", "10.9.9.9"), "bits behind the prefix do not count");
        assert!(holds("0.0.0.0/0", "1.2.3.4") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("2001:db8::/32", "2001:db8:1::1") && !holds("2001:db8::/32", "2001:db9::1"));
        assert!(holds("10.0.0.0/8", "::ffff:10.0.0.1"));
        assert!(holds("::ffff:10.0.0.0/104", "10.200.0.1") && !holds("::ffff:10.0.0.0/104", "11.0.0.1"));
    }

    #[test]
    fn wrong_blocks_are_named() {
        for text in
            ["", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0/8", "::1/129", "x/8", "10.0.0.0/8/8"]
        {
            assert_eq!(block(text), Err(Mistake::Cidr { text: text.to_owned() }));
        }
    }
}
