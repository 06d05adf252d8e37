//! Log levels: many spellings, six meanings.
//!
//! A text that is none of them stays as it is: nothing is guessed and nothing is lost.

/// A normalised level, in rising order of severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Finest detail.
    Trace,
    /// For developers.
    Debug,
    /// Normal operation, notices included.
    Info,
    /// Something unexpected that was dealt with.
    Warn,
    /// An operation failed.
    Error,
    /// The process or system is unusable: fatal, critical, alert, emergency, panic.
    Fatal,
}

impl Level {
    /// Its one spelling in columns and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }

    /// The level that a text means: words in any case, single letters, or syslog severities `0` to `7`.
    pub fn parse(text: &str) -> Option<Self> {
        const LONGEST_BYTES: usize = 13;
        let text = text.trim();
        if text.len() > LONGEST_BYTES || !text.is_ascii() {
            return None;
        }
        let mut lower = [0u8; LONGEST_BYTES];
        for (to, from) in lower.iter_mut().zip(text.bytes()) {
            *to = from.to_ascii_lowercase();
        }
        match lower.get(..text.len())? {
            b"t" | b"trace" | b"trc" | b"trce" | b"verbose" | b"v" | b"finest" | b"finer" => {
                Some(Self::Trace)
            }
            b"d" | b"debug" | b"dbg" | b"dbug" | b"debg" | b"fine" | b"7" => Some(Self::Debug),
            b"i" | b"info" | b"inf" | b"information" | b"informational" | b"notice" | b"n" | b"note"
            | b"log" | b"5" | b"6" => Some(Self::Info),
            b"w" | b"warn" | b"warning" | b"wrn" | b"4" => Some(Self::Warn),
            b"e" | b"err" | b"error" | b"eror" | b"fail" | b"severe" | b"3" => Some(Self::Error),
            b"f" | b"fatal" | b"ftl" | b"c" | b"crit" | b"critical" | b"alert" | b"a" | b"emerg"
            | b"emergency" | b"panic" | b"2" | b"1" | b"0" => Some(Self::Fatal),
            _ => None,
        }
    }

    /// The level that a number of pino or bunyan means: `10` to `60` in tens. Only for what is known to be a number: as
    /// a text it may be anything.
    pub fn of_tens(number: &str) -> Option<Self> {
        match number {
            "10" => Some(Self::Trace),
            "20" => Some(Self::Debug),
            "30" => Some(Self::Info),
            "40" => Some(Self::Warn),
            "50" => Some(Self::Error),
            "60" => Some(Self::Fatal),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_meet() {
        for (text, level) in [
            ("warning", "WARN"),
            ("W", "WARN"),
            ("err", "ERROR"),
            ("4", "WARN"),
            ("0", "FATAL"),
            ("trce", "TRACE"),
            ("dbug", "DEBUG"),
            ("fail", "ERROR"),
            ("LOG", "INFO"),
            (" Info ", "INFO"),
        ] {
            assert_eq!(Level::parse(text).map(Level::as_str), Some(level), "{text}");
        }
        assert_eq!(Level::of_tens("40"), Some(Level::Warn));
        assert_eq!((Level::of_tens("4"), Level::of_tens("70"), Level::parse("40")), (None, None, None));
        for text in ["", "8", "errors", "nonsense level", "warn\u{e9}"] {
            assert_eq!(Level::parse(text), None, "{text}");
        }
    }
}
