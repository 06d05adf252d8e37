//! Numbers in queries: what looks like one, and how text is compared with one.
//!
//! Tags are text. A tag is compared as a number if the query gives one; a tag that is no number then has no
//! place in the order. Numbers are floats, but for whole numbers that a float cannot hold (ids).

use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::{Expr, lit, try_cast};

use super::ast::Operand;

/// Beyond this, neighbouring whole numbers are one float.
const EXACT_MAX: u64 = 1 << 53;

/// A number that a query gives. Finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Number {
    float: f64,
    id: Option<i64>,
}

/// The type in which text is compared with numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Float,
    Id,
}

impl Number {
    /// The number that a text is, if it is one: digits, maybe with sign, point and exponent.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_plain =
            text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
        let float = text.parse::<f64>().ok().filter(|number| is_plain && number.is_finite())?;
        let id = text.parse::<i64>().ok().filter(|id| id.unsigned_abs() > EXACT_MAX);
        Some(Self { float, id })
    }

    /// The number that an operand without quotes is.
    pub(super) fn of(operand: &Operand) -> Option<Self> {
        match operand {
            Operand::Word(text) => Self::parse(text),
            Operand::Quoted(_) => None,
        }
    }

    /// The type that it needs.
    pub(super) fn kind(self) -> Kind {
        if self.id.is_some() { Kind::Id } else { Kind::Float }
    }

    /// The number as a literal of the type, or the nearest.
    pub(super) fn literal(self, kind: Kind) -> Expr {
        match (kind, self.id) {
            (Kind::Id, Some(id)) => lit(id),
            _ => lit(self.float),
        }
    }
}

impl Kind {
    /// The type in which all of these can be compared: exactly only if all are ids.
    pub(super) fn of_all(numbers: &[Number]) -> Self {
        if numbers.iter().all(|number| number.kind() == Self::Id) { Self::Id } else { Self::Float }
    }

    /// The text as a number; NULL if it is none.
    pub(super) fn cast(self, text: Expr) -> Expr {
        match self {
            Self::Float => try_cast(text, DataType::Float64),
            Self::Id => try_cast(text, DataType::Int64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_plain_decimals() {
        for text in ["0", "-1.5", "+2", "1e3", ".5", "5.", "007"] {
            assert_eq!(Number::parse(text).unwrap().kind(), Kind::Float, "{text}");
        }
        for text in
            ["", "-", "e", "nan", "inf", "infinity", "1e999", "0x10", "1_000", "1,5", "5ms", " 5", "1.2.3"]
        {
            assert_eq!(Number::parse(text), None, "{text}");
        }
        let id = Number::parse("9007199254740993").unwrap();
        assert_eq!((id.kind(), id.literal(Kind::Id)), (Kind::Id, lit(9_007_199_254_740_993_i64)));
        assert_eq!(Kind::of_all(&[id, Number::parse("1").unwrap()]), Kind::Float);
    }
}
