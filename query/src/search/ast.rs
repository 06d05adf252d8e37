//! What a search means, once parsed: [`TextQuery`].
//!
//! The constructors [`TextQuery::and`] and [`TextQuery::or`] keep one form: no operator holds an operator of
//! its own kind, and none holds a single operand. The AST knows no columns and no SQL types; that a value
//! fits its column is for the compiler to say.

use std::net::IpAddr;

/// A parsed search query. It prints (by `Display`) in a canonical form that parses back to the same value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextQuery {
    /// The empty query: every record.
    Everything,
    /// All of these, two or more.
    And(Vec<TextQuery>),
    /// At least one of these, two or more.
    Or(Vec<TextQuery>),
    /// Not this.
    Not(Box<TextQuery>),
    /// One condition.
    Term(Term),
}

impl TextQuery {
    /// The conjunction of the operands; everything when there are none.
    pub fn and(operands: impl IntoIterator<Item = TextQuery>) -> Self {
        let mut flat = Vec::new();
        for operand in operands {
            match operand {
                Self::And(inner) => flat.extend(inner),
                Self::Everything => {}
                other => flat.push(other),
            }
        }
        if flat.len() > 1 { Self::And(flat) } else { flat.pop().unwrap_or(Self::Everything) }
    }

    /// The disjunction of the operands; everything when there are none or one of them is everything.
    pub fn or(operands: impl IntoIterator<Item = TextQuery>) -> Self {
        let mut flat = Vec::new();
        for operand in operands {
            match operand {
                Self::Or(inner) => flat.extend(inner),
                Self::Everything => return Self::Everything,
                other => flat.push(other),
            }
        }
        if flat.len() > 1 { Self::Or(flat) } else { flat.pop().unwrap_or(Self::Everything) }
    }

    /// The negation of the operand.
    pub fn negate(self) -> Self {
        Self::Not(Box::new(self))
    }
}

/// Where something stands in the query: characters (not bytes) from its start, `end` exclusive.
///
/// Any two spans are equal: where a thing was written is no part of what it means, so queries that mean the
/// same compare equal.
#[derive(Debug, Clone, Copy, Default)]
pub struct Span {
    /// First character, counted from 0.
    pub start: usize,
    /// Behind the last character.
    pub end: usize,
}

impl PartialEq for Span {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Span {}

/// A field and what is asked of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// The field; `None` is the message.
    pub field: Option<Field>,
    /// What it has to hold.
    pub value: Value,
    /// Where the term stands, its field included.
    pub span: Span,
    /// Where its value stands.
    pub value_span: Span,
}

/// The left side of a `:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// `name:` – a column if there is one of that name (without case), else the tag.
    Named(String),
    /// `tags.name:` – the tag, even when a column has that name.
    Tag(String),
}

impl Field {
    /// The name without `@` or `tags.`.
    pub fn name(&self) -> &str {
        match self {
            Self::Named(name) | Self::Tag(name) => name,
        }
    }
}

/// What is asked of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `*` – there is a value.
    Present,
    /// `word` – without quotes, so it may also be a number, a time or a level. Never empty.
    Word(String),
    /// `"a phrase"` – always text.
    Phrase(String),
    /// `pre*`, `*in*`, `a*b` – text with stars.
    Pattern(Pattern),
    /// `/regex/`, `/regex/i`.
    Regex(RegexText),
    /// `="Exact Case"`.
    Exact(String),
    /// `10.0.0.0/8`.
    Cidr(Cidr),
    /// `db-1:5432` – a host and port in the message, or a number in a tag of that name.
    HostPort(HostPort),
    /// `>=500`.
    Compare(Comparison, Operand),
    /// `[a TO b]`.
    Range(Range),
    /// `in(a, b)`, at least one.
    In(Vec<Operand>),
}

/// Text with `*` in it: the pieces between the stars, in order.
///
/// Invariants: at least two pieces; only the first and the last may be empty (the pattern then starts or
/// ends with a star); at least one is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<String>);

impl Pattern {
    /// Joins neighbouring stars. `None` if the pieces hold no star or no text.
    pub fn new(pieces: Vec<String>) -> Option<Self> {
        let last = pieces.len().checked_sub(1).filter(|&last| last > 0)?;
        if pieces.iter().all(String::is_empty) {
            return None;
        }
        let kept = pieces.into_iter().enumerate();
        Some(Self(kept.filter(|(i, p)| *i == 0 || *i == last || !p.is_empty()).map(|(_, p)| p).collect()))
    }

    /// The pieces.
    pub fn pieces(&self) -> &[String] {
        &self.0
    }

    /// How it is matched.
    pub(crate) fn shape(&self) -> Shape<'_> {
        match self.pieces() {
            [start, end] if end.is_empty() => Shape::Start(start),
            [start, end] if start.is_empty() => Shape::End(end),
            [start, inner, end] if start.is_empty() && end.is_empty() => Shape::Inner(inner),
            pieces => Shape::Pieces(pieces),
        }
    }
}

/// The sorts of patterns, of which each is matched in its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape<'p> {
    /// `pre*`.
    Start(&'p str),
    /// `*end`.
    End(&'p str),
    /// `*in*`.
    Inner(&'p str),
    /// All others.
    Pieces(&'p [String]),
}

/// A regular expression that is known to compile within the limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegexText {
    /// The expression, with `/` not escaped.
    pub pattern: String,
    /// Whether case is ignored: `/…/i`.
    pub ignore_case: bool,
}

/// A block of IP addresses. Invariant: the prefix length fits the address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    prefix_bits: u8,
}

impl Cidr {
    /// `None` if the prefix is longer than the address. Bits behind the prefix are cleared.
    pub fn new(address: IpAddr, prefix_bits: u8) -> Option<Self> {
        let address = match address {
            IpAddr::V4(v4) => {
                let free = 32u32.checked_sub(u32::from(prefix_bits))?;
                IpAddr::V4((v4.to_bits() & u32::MAX.checked_shl(free).unwrap_or(0)).into())
            }
            IpAddr::V6(v6) => {
                let free = 128u32.checked_sub(u32::from(prefix_bits))?;
                IpAddr::V6((v6.to_bits() & u128::MAX.checked_shl(free).unwrap_or(0)).into())
            }
        };
        Some(Self { address, prefix_bits })
    }

    /// The first address of the block.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// How many leading bits are fixed.
    pub fn prefix_bits(&self) -> u8 {
        self.prefix_bits
    }

    /// Whether the address lies in the block.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4()
            && Self::new(address, self.prefix_bits).is_some_and(|block| block.address == self.address)
    }
}

/// A host and a port, as written. The host holds ASCII letters, digits, `.` and `-`, one of the latter at least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// An order that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

/// A value to compare with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    /// Without quotes: a number if it looks like one. Never empty.
    Word(String),
    /// In quotes: always text (or a time).
    Quoted(String),
}

impl Operand {
    /// The text, without quotes.
    pub fn text(&self) -> &str {
        match self {
            Self::Word(text) | Self::Quoted(text) => text,
        }
    }
}

/// `[low TO high]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// The lower end.
    pub low: Bound,
    /// The upper end.
    pub high: Bound,
}

/// One end of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// `*` – no limit.
    Open,
    /// `[` or `]`.
    Inclusive(Operand),
    /// `{` or `}`.
    Exclusive(Operand),
}
