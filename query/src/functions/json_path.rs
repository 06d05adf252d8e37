//! `extract_json(message, 'path')`: one value of a message that is JSON.
//!
//! ```text
//!   path  = [ "$" ] step*            $.user.id   user.id   items[0].name   ['a.b']   $
//!   step  = "." name | "[" number "]" | "[" quoted "]"     the first name needs no dot where there is no $
//! ```
//!
//! Texts come without their quotes, everything else as it is written. What is no JSON, has no such value, or has null
//! there, gives NULL. No tree is built: each step scans what the one before it found, without recursion, so that
//! neither depth nor size of a message costs more than time in proportion.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::call::{Kernel, Spec};
use super::mistake::Mistake;
use super::texts::{TextOut, Texts};

const NAME: &str = "extract_json";
/// Most steps of a path.
const STEPS_MAX: usize = 64;

pub(super) static EXTRACT_JSON: Spec = Spec {
    name: NAME,
    example: "extract_json(message, '$.user.id')",
    literals: 1..=1,
    called: &["the path"],
    answer: |_| DataType::Utf8,
    compile: |literals, _| Ok(Arc::new(JsonPath::parse(literals.first().copied().unwrap_or_default())?)),
};

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Item(usize),
}

/// Where in a document a value is.
#[derive(Debug, PartialEq, Eq)]
struct JsonPath(Vec<Step>);

impl Kernel for JsonPath {
    fn run(&self, texts: Texts<'_>) -> Result<ArrayRef> {
        let mut out = TextOut::new(NAME, texts);
        for text in texts.iter() {
            out.push(text.and_then(|text| self.value(text)).as_deref())?;
        }
        Ok(out.finish())
    }
}

impl JsonPath {
    fn parse(path: &str) -> Result<Self, Mistake> {
        PathParser { path, rest: path }.steps().map(Self)
    }

    fn value<'a>(&self, message: &'a str) -> Option<Cow<'a, str>> {
        let mut raw = message;
        for step in &self.0 {
            raw = child(raw, step)?;
        }
        if self.0.is_empty() {
            raw = serde_json::from_str::<&RawValue>(message).ok()?.get();
        }
        match raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(inside) if !inside.contains('\\') => Some(Cow::Borrowed(inside)),
            Some(_) => serde_json::from_str(raw).ok().map(Cow::Owned),
            None if raw == "null" => None,
            None => Some(Cow::Borrowed(raw)),
        }
    }
}

/// What is in a container at this step; of several the last, as most readers of JSON have it.
fn child<'a>(raw: &'a str, step: &Step) -> Option<&'a str> {
    // Messages that are no JSON are the most frequent, and an error costs more than a look.
    let opens = match step {
        Step::Key(_) => '{',
        Step::Item(_) => '[',
    };
    if !raw.trim_ascii_start().starts_with(opens) {
        return None;
    }
    let mut document = serde_json::Deserializer::from_str(raw);
    let found = Child(step).deserialize(&mut document).ok()?;
    document.end().ok()?;
    found
}

struct Child<'s>(&'s Step);

impl<'de> DeserializeSeed<'de> for Child<'_> {
    type Value = Option<&'de str>;

    fn deserialize<D: Deserializer<'de>>(self, document: D) -> Result<Self::Value, D::Error> {
        match self.0 {
            Step::Key(_) => document.deserialize_map(self),
            Step::Item(_) => document.deserialize_seq(self),
        }
    }
}

impl<'de> Visitor<'de> for Child<'_> {
    type Value = Option<&'de str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_meant) = map.next_key_seed(KeyIs(self.0))? {
            if is_meant {
                found = Some(map.next_value::<&RawValue>()?.get());
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        if let Step::Item(place) = self.0 {
            for _ in 0..*place {
                if items.next_element::<IgnoredAny>()?.is_none() {
                    return Ok(None);
                }
            }
            found = items.next_element::<&RawValue>()?.map(RawValue::get);
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }
}

struct KeyIs<'s>(&'s Step);

impl<'de> DeserializeSeed<'de> for KeyIs<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<bool, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyIs<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(matches!(self.0, Step::Key(wanted) if wanted == key))
    }
}

struct PathParser<'p> {
    path: &'p str,
    rest: &'p str,
}

impl<'p> PathParser<'p> {
    fn steps(mut self) -> Result<Vec<Step>, Mistake> {
        let mut steps = Vec::new();
        if self.path.is_empty() {
            return Err(self.mistake("expected a path, as in $.user.id or items[0]; $ is the whole"));
        }
        if !self.take('$') && !self.rest.starts_with(['.', '[']) {
            steps.push(self.name()?);
        }
        while !self.rest.is_empty() {
            if steps.len() == STEPS_MAX {
                return Err(self.mistake("a path has at most 64 steps"));
            }
            steps.push(if self.take('.') {
                self.name()?
            } else if self.take('[') {
                self.in_brackets()?
            } else {
                return Err(self.mistake("expected . and a name, or [ and a number or a name in quotes"));
            });
        }
        Ok(steps)
    }

    fn take(&mut self, sign: char) -> bool {
        let after = self.rest.strip_prefix(sign);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    /// Everything up to the first character that `ends` it.
    fn until(&mut self, ends: impl Fn(char) -> bool) -> &'p str {
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn name(&mut self) -> Result<Step, Mistake> {
        if self.rest.starts_with('*') {
            return Err(self.mistake("a path leads to one value: * has no meaning in it"));
        }
        match self.until(|sign| matches!(sign, '.' | '[' | ']' | '"' | '\'')) {
            "" => Err(self.mistake("expected a name; names with other signs are written ['…']")),
            name => Ok(Step::Key(name.to_owned())),
        }
    }

    fn in_brackets(&mut self) -> Result<Step, Mistake> {
        let step = match self.rest.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let from = self.rest;
                self.take(quote);
                let name = self.until(|sign| sign == quote);
                if !self.take(quote) {
                    self.rest = from;
                    return Err(self.mistake("this quote is not closed"));
                }
                Step::Key(name.to_owned())
            }
            Some('0'..='9') => {
                let from = self.rest;
                let digits = self.until(|sign| !sign.is_ascii_digit());
                let Ok(place) = digits.parse() else {
                    self.rest = from;
                    return Err(self.mistake("this number is too large"));
                };
                Step::Item(place)
            }
            _ => return Err(self.mistake("expected a number from 0, or a name in quotes")),
        };
        if self.take(']') { Ok(step) } else { Err(self.mistake("expected ]")) }
    }

    fn mistake(&self, problem: &'static str) -> Mistake {
        let read = self.path.len().saturating_sub(self.rest.len());
        let column = self.path.get(..read).map_or(0, |read| read.chars().count()) + 1;
        Mistake::Path { path: self.path.to_owned(), column, problem }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(message: &str, path: &str) -> Option<String> {
        JsonPath::parse(path).unwrap().value(message).map(Cow::into_owned)
    }

    #[test]
    fn values_are_found() {
        let message =
            r#" {"a":{"b":[10,{"c":"x\ny"},[true,null]]}, "a.b":1.50, "é":"ü", "":0, "t":"plain", "e":{} } "#;
        for (path, expected) in [
            ("$.a.b[0]", Some("10")),
            ("a.b[0]", Some("10")),
            ("a.b[1].c", Some("x\ny")),
            ("a.b[1]", Some(r#"{"c":"x\ny"}"#)),
            ("a.b[2][0]", Some("true")),
            ("a.b[2][1]", None),
            ("a.b[3]", None),
            ("a.b.c", None),
            ("a[0]", None),
            ("t.x", None),
            ("['a.b']", Some("1.50")),
            ("$[\"a.b\"]", Some("1.50")),
            ("é", Some("ü")),
            ("['']", Some("0")),
            ("t", Some("plain")),
            ("e", Some("{}")),
            ("missing", None),
            ("$", Some(message.trim())),
        ] {
            assert_eq!(get(message, path).as_deref(), expected, "{path}");
        }
        assert_eq!(get("[[1],[2,3]]", "[1][1]").as_deref(), Some("3"));
        assert_eq!(get(r#""text""#, "$").as_deref(), Some("text"));
        assert_eq!(get("7", "$").as_deref(), Some("7"));
        assert_eq!(get(r#"{"a":1,"a":2}"#, "a").as_deref(), Some("2"), "the last of equal keys");
        assert_eq!(get(r#"{"\u0061":"escaped key"}"#, "a").as_deref(), Some("escaped key"));
    }

    #[test]
    fn what_is_no_json_gives_nothing() {
        for message in [
            "",
            "plain text",
            "{",
            r#"{"a":1"#,
            r#"{"a":1} trailing"#,
            r#"{"a":1}{"a":2}"#,
            r#"{"a":01}"#,
            r"{'a':1}",
            r#"{"a":1,}"#,
            r#"{"a":"\ud800"}"#,
            "{\"a\":\"\u{1}\"}",
            r#"prefix {"a":1}"#,
        ] {
            assert_eq!(get(message, "a"), None, "{message}");
        }
    }

    #[test]
    fn deep_and_long_messages_are_read() {
        let depth = 1 << 19;
        let deep = format!(r#"{{"a":1,"deep":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        assert_eq!(get(&deep, "a").as_deref(), Some("1"));
        assert_eq!(get(&deep, "deep").map(|text| text.len()), Some(2 * depth));
        assert_eq!(get(&deep, "deep[0][0]").map(|text| text.len()), Some(2 * depth - 4));
        assert_eq!(get(&"[".repeat(1 << 20), "[0]"), None);
        let long = format!(r#"{{"long":"{}","z":"end"}}"#, "x".repeat(1 << 20));
        assert_eq!(get(&long, "z").as_deref(), Some("end"));
    }

    #[test]
    fn mistakes_name_their_place() {
        let mistake = |path: &str| JsonPath::parse(path).unwrap_err().to_string();
        let all: Vec<String> = [
            "",
            "$x",
            "a.",
            "a..b",
            "a[",
            "a[x]",
            "a[-1]",
            "a[1",
            "a['b]",
            "a['b'",
            "é.*",
            "a b]",
            ".",
            "a[99999999999999999999]",
        ]
        .map(mistake)
        .into();
        insta::assert_snapshot!(all.join("\n"), @r#"
        extract_json(): column 1 of the path : expected a path, as in $.user.id or items[0]; $ is the whole
        extract_json(): column 2 of the path $x: expected . and a name, or [ and a number or a name in quotes
        extract_json(): column 3 of the path a.: expected a name; names with other signs are written ['…']
        extract_json(): column 3 of the path a..b: expected a name; names with other signs are written ['…']
        extract_json(): column 3 of the path a[: expected a number from 0, or a name in quotes
        extract_json(): column 3 of the path a[x]: expected a number from 0, or a name in quotes
        extract_json(): column 3 of the path a[-1]: expected a number from 0, or a name in quotes
        extract_json(): column 4 of the path a[1: expected ]
        extract_json(): column 3 of the path a['b]: this quote is not closed
        extract_json(): column 6 of the path a['b': expected ]
        extract_json(): column 3 of the path é.*: a path leads to one value: * has no meaning in it
        extract_json(): column 4 of the path a b]: expected . and a name, or [ and a number or a name in quotes
        extract_json(): column 2 of the path .: expected a name; names with other signs are written ['…']
        extract_json(): column 3 of the path a[99999999999999999999]: this number is too large
        "#);
        let long = vec!["a"; STEPS_MAX].join(".");
        assert_eq!(JsonPath::parse(&long).unwrap().0.len(), STEPS_MAX);
        assert!(mistake(&format!("{long}.b")).contains("column 128 of"), "{}", mistake(&format!("{long}.b")));
    }
}
