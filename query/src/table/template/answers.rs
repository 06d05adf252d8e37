//! What a condition may say of some rows: true, false or NULL, several of them where it is not known which.

use crate::table::tally::Verdict;

/// A set of answers; each row has one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answers(u8);

impl Answers {
    pub(super) const TRUE: Self = Self(1);
    pub(super) const FALSE: Self = Self(1 << 1);
    pub(super) const NULL: Self = Self(1 << 2);
    /// Nothing is known.
    pub(super) const ANY: Self = Self(0b111);

    fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    const fn or_else(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Of a condition that is never NULL.
    pub(super) fn of_text(verdict: Verdict) -> Self {
        match verdict {
            Verdict::All => Self::TRUE,
            Verdict::Nothing => Self::FALSE,
            Verdict::Undecided => Self::TRUE.or_else(Self::FALSE),
        }
    }

    /// Of a condition that a filter takes for false where it is NULL.
    pub(super) fn of_filter(verdict: Verdict) -> Self {
        match verdict {
            Verdict::All => Self::TRUE,
            Verdict::Nothing => Self::FALSE.or_else(Self::NULL),
            Verdict::Undecided => Self::ANY,
        }
    }

    /// Whether it may be true and may not.
    pub(super) fn is_open(self) -> bool {
        self.has(Self::TRUE) && self != Self::TRUE
    }

    /// Whether a filter lets the rows through.
    pub(super) fn verdict(self) -> Verdict {
        if self == Self::TRUE {
            Verdict::All
        } else if self.has(Self::TRUE) {
            Verdict::Undecided
        } else {
            Verdict::Nothing
        }
    }

    /// Of both, in SQL's logic of three values.
    pub(super) fn and(self, other: Self) -> Self {
        let none = Self(0);
        let when = |holds: bool, answer: Self| if holds { answer } else { none };
        let not_false = Self::TRUE.or_else(Self::NULL);
        let is_null =
            (self.has(Self::NULL) && other.has(not_false)) || (other.has(Self::NULL) && self.has(not_false));
        when(self.has(Self::TRUE) && other.has(Self::TRUE), Self::TRUE)
            .or_else(when(self.has(Self::FALSE) || other.has(Self::FALSE), Self::FALSE))
            .or_else(when(is_null, Self::NULL))
    }

    /// Of one of them.
    pub(super) fn or(self, other: Self) -> Self {
        self.not().and(other.not()).not()
    }

    /// Of the opposite.
    pub(super) fn not(self) -> Self {
        let null = Self(self.0 & Self::NULL.0);
        match (self.has(Self::TRUE), self.has(Self::FALSE)) {
            (true, false) => Self::FALSE.or_else(null),
            (false, true) => Self::TRUE.or_else(null),
            _ => self,
        }
    }

    /// Of `… IS TRUE`.
    pub(super) fn is_true(self) -> Self {
        Self::of_text(self.verdict())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answers that single rows can have.
    fn members(answers: Answers) -> Vec<Option<bool>> {
        let all = [(Answers::TRUE, Some(true)), (Answers::FALSE, Some(false)), (Answers::NULL, None)];
        all.into_iter().filter(|(one, _)| answers.has(*one)).map(|(_, value)| value).collect()
    }

    fn of(values: impl IntoIterator<Item = Option<bool>>) -> Answers {
        values.into_iter().fold(Answers(0), |sum, value| {
            sum.or_else(match value {
                Some(true) => Answers::TRUE,
                Some(false) => Answers::FALSE,
                None => Answers::NULL,
            })
        })
    }

    #[test]
    fn sets_of_answers_follow_from_single_ones() {
        let and = |a: Option<bool>, b: Option<bool>| match (a, b) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        };
        for a in (1..8).map(Answers) {
            assert_eq!(a.not(), of(members(a).into_iter().map(|value| value.map(|value| !value))));
            assert_eq!(a.is_true(), of(members(a).into_iter().map(|value| Some(value == Some(true)))));
            for b in (1..8).map(Answers) {
                let pairs =
                    || members(a).into_iter().flat_map(move |x| members(b).into_iter().map(move |y| (x, y)));
                assert_eq!(a.and(b), of(pairs().map(|(x, y)| and(x, y))), "{a:?} and {b:?}");
                let or =
                    |x: Option<bool>, y: Option<bool>| and(x.map(|x| !x), y.map(|y| !y)).map(|both| !both);
                assert_eq!(a.or(b), of(pairs().map(|(x, y)| or(x, y))), "{a:?} or {b:?}");
            }
        }
    }
}
