//! Cuts a script into statements at its semicolons, which strings, quoted names and comments may also hold.

/// The statements that end in a semicolon, without it, and what is left behind the last one.
pub(super) fn split(script: &str) -> (Vec<&str>, &str) {
    let mut statements = Vec::new();
    let mut start = 0;
    let mut state = State::Plain;
    let mut previous = '\0';
    for (at, character) in script.char_indices() {
        let next = state.after(previous, character);
        if state == State::Plain && next == State::Plain && character == ';' {
            statements.push(script.get(start..at).unwrap_or_default().trim());
            start = at + 1;
        }
        // The star of an opening comment does not also close it, nor does a closing slash open another.
        previous = if next == state { character } else { '\0' };
        state = next;
    }
    let rest = script.get(start..).unwrap_or_default().trim();
    statements.retain(|statement| !is_empty(statement));
    (statements, if is_empty(rest) { "" } else { rest })
}

/// Where in the script a character stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Plain,
    Quoted(char),
    Line,
    Comment,
}

impl State {
    fn after(self, previous: char, character: char) -> Self {
        match (self, previous, character) {
            (Self::Plain, _, '\'' | '"' | '`') => Self::Quoted(character),
            (Self::Plain, '-', '-') => Self::Line,
            (Self::Plain, '/', '*') => Self::Comment,
            // A doubled quote leaves the string and enters it again.
            (Self::Quoted(quote), ..) if quote == character => Self::Plain,
            (Self::Line, _, '\n') | (Self::Comment, '*', '/') => Self::Plain,
            _ => self,
        }
    }
}

/// Whether nothing but white space and comments stands there.
fn is_empty(text: &str) -> bool {
    let mut rest = text.trim();
    loop {
        let comment = if rest.starts_with("--") {
            rest.find('\n').map(|end| end + 1)
        } else if rest.starts_with("/*") {
            rest.find("*/").map(|end| end + 2)
        } else {
            return rest.is_empty();
        };
        let Some(end) = comment else { return rest.starts_with("--") };
        rest = rest.get(end..).unwrap_or_default().trim();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semicolons_cut_only_between_statements() {
        assert_eq!(split("SELECT 1; SELECT ';' ;"), (vec!["SELECT 1", "SELECT ';'"], ""));
        assert_eq!(split("SELECT 'it''s;' AS \"a;b\"; x"), (vec!["SELECT 'it''s;' AS \"a;b\""], "x"));
        assert_eq!(split("SELECT 1 -- one; two\n; /* a;b */ ;"), (vec!["SELECT 1 -- one; two"], ""));
        assert_eq!(split("SELECT /*/ ; */ 1"), (vec![], "SELECT /*/ ; */ 1"));
        assert_eq!(split("SELECT 'open; "), (vec![], "SELECT 'open;"));
        assert_eq!(split(" ;; -- nothing"), (vec![], ""));
    }
}
