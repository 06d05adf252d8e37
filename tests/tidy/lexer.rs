//! A small Rust lexer: just enough to tell code from comments and literals, so that the rules of the tree can count
//! lines and find braces without being fooled by a string. It is no parser and knows no grammar; it may not panic on
//! any input, because it also reads files that do not compile.

/// What a token is. Text is kept only where a rule looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An identifier, keyword or raw identifier.
    Word(String),
    /// One punctuation character.
    Mark(char),
    /// A string, byte string, char or number.
    Literal,
    /// A lifetime such as `'a`.
    Lifetime,
    /// `// text`, without the slashes.
    LineComment(String),
    /// `/// text` or `//! text`, without the slashes and the mark.
    DocComment(String),
    /// `/* text */`, nested ones included.
    BlockComment(String),
}

/// A token and the line (from 1) on which it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) line: usize,
}

impl Token {
    pub(crate) fn is_word(&self, word: &str) -> bool {
        matches!(&self.kind, Kind::Word(found) if found == word)
    }

    pub(crate) fn is_mark(&self, mark: char) -> bool {
        self.kind == Kind::Mark(mark)
    }

    pub(crate) fn is_comment(&self) -> bool {
        matches!(self.kind, Kind::LineComment(_) | Kind::DocComment(_) | Kind::BlockComment(_))
    }
}

/// Splits `text` into tokens, comments included.
pub(crate) fn lex(text: &str) -> Vec<Token> {
    Lexer { chars: text.chars().collect(), at: 0, line: 1 }.run()
}

/// Splits `text` into tokens and drops the comments.
pub(crate) fn lex_code(text: &str) -> Vec<Token> {
    lex(text).into_iter().filter(|token| !token.is_comment()).collect()
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    line: usize,
}

impl Lexer {
    fn run(mut self) -> Vec<Token> {
        let mut tokens = Vec::new();
        while let Some(c) = self.peek(0) {
            if c.is_whitespace() {
                self.bump();
                continue;
            }
            let line = self.line;
            let kind = self.token(c);
            tokens.push(Token { kind, line });
        }
        tokens
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek(0)?;
        self.at += 1;
        if c == '\n' {
            self.line += 1;
        }
        Some(c)
    }

    fn token(&mut self, c: char) -> Kind {
        match (c, self.peek(1)) {
            ('/', Some('/')) => self.line_comment(),
            ('/', Some('*')) => self.block_comment(),
            ('"', _) => self.string(),
            ('\'', _) => self.quote(),
            _ if c.is_ascii_digit() => self.number(),
            _ if c == '_' || c.is_alphabetic() => self.word(),
            _ => {
                self.bump();
                Kind::Mark(c)
            }
        }
    }

    fn line_comment(&mut self) -> Kind {
        let mut text = String::new();
        while let Some(c) = self.peek(0).filter(|&c| c != '\n') {
            text.push(c);
            self.bump();
        }
        let body = text.trim_start_matches("//");
        // `////` is an ordinary comment, `///` and `//!` are documentation.
        if text.starts_with("//!") {
            Kind::DocComment(body.trim_start_matches('!').to_owned())
        } else if text.starts_with("///") && !text.starts_with("////") {
            Kind::DocComment(body.trim_start_matches('/').to_owned())
        } else {
            Kind::LineComment(body.to_owned())
        }
    }

    fn block_comment(&mut self) -> Kind {
        let mut text = String::new();
        let mut depth = 0_usize;
        while let Some(c) = self.peek(0) {
            match (c, self.peek(1)) {
                ('/', Some('*')) => {
                    depth += 1;
                    self.at += 2;
                }
                ('*', Some('/')) => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        break;
                    }
                }
                _ => {
                    text.push(c);
                    self.bump();
                }
            }
        }
        Kind::BlockComment(text)
    }

    fn string(&mut self) -> Kind {
        self.bump();
        while let Some(c) = self.bump() {
            match c {
                '\\' => drop(self.bump()),
                '"' => break,
                _ => {}
            }
        }
        Kind::Literal
    }

    /// A raw string from its first `#` or quote on. The caller has seen that it is one.
    fn raw_string(&mut self) -> Kind {
        let mut hashes = 0;
        while self.peek(0) == Some('#') {
            hashes += 1;
            self.bump();
        }
        self.bump();
        while let Some(c) = self.bump() {
            if c == '"' && (0..hashes).all(|i| self.peek(i) == Some('#')) {
                self.at += hashes;
                break;
            }
        }
        Kind::Literal
    }

    /// `'a'` and `'\n'` are literals, `'a` is a lifetime.
    fn quote(&mut self) -> Kind {
        let is_char = match (self.peek(1), self.peek(2)) {
            (Some('\\'), _) | (Some(_), Some('\'')) => true,
            (Some(c), _) => !(c == '_' || c.is_alphanumeric()),
            _ => false,
        };
        self.bump();
        if !is_char {
            self.word();
            return Kind::Lifetime;
        }
        while let Some(c) = self.bump() {
            match c {
                '\\' => drop(self.bump()),
                '\'' => break,
                _ => {}
            }
        }
        Kind::Literal
    }

    /// Numbers in one piece: `1_000`, `0xff_u8`, `1.5e3`; not the dots of `0..9` or the method of `1.max(2)`.
    fn number(&mut self) -> Kind {
        while let Some(c) = self.peek(0) {
            let fraction = c == '.' && self.peek(1).is_some_and(|next| next.is_ascii_digit());
            if !(c == '_' || c.is_alphanumeric() || fraction) {
                break;
            }
            self.bump();
        }
        Kind::Literal
    }

    fn word(&mut self) -> Kind {
        let mut text = String::new();
        while let Some(c) = self.peek(0).filter(|&c| c == '_' || c.is_alphanumeric()) {
            text.push(c);
            self.bump();
        }
        match (text.as_str(), self.peek(0)) {
            ("r" | "br" | "cr", Some('"')) => self.raw_string(),
            ("r" | "br" | "cr", Some('#')) if self.hashes_then_quote() => self.raw_string(),
            ("r", Some('#')) => {
                self.bump();
                self.word()
            }
            ("b" | "c", Some('"')) => self.string(),
            ("b", Some('\'')) => self.quote(),
            _ => Kind::Word(text),
        }
    }

    fn hashes_then_quote(&self) -> bool {
        let mut ahead = 0;
        while self.peek(ahead) == Some('#') {
            ahead += 1;
        }
        self.peek(ahead) == Some('"')
    }
}

#[test]
fn literals_and_comments_hide_their_braces() {
    let text = r##"
        let a = "}\"}"; let b = r#"}"}"#; let c = '}'; let d = '\''; let e = b'}'; let f = b"}";
        // }
        /* } /* } */ } */
        let g: &'static str = r"}"; let h = '"'; fn x<'a>() {}
    "##;
    let marks = |mark| lex_code(text).iter().filter(|token| token.is_mark(mark)).count();
    assert_eq!((marks('{'), marks('}')), (1, 1));
    assert_eq!(lex(text).iter().filter(|token| token.is_comment()).count(), 2);
}

#[test]
fn lines_are_counted_through_strings_and_comments() {
    let text = "\"a\nb\"\n/* c\n */\n// d\nlast";
    assert_eq!(lex(text).last(), Some(&Token { kind: Kind::Word("last".to_owned()), line: 6 }));
}

#[test]
fn raw_identifiers_lifetimes_and_ranges_are_what_they_are() {
    let words: Vec<Kind> = lex("r#type 'a 0..9 1.5").into_iter().map(|token| token.kind).collect();
    let word = |text: &str| Kind::Word(text.to_owned());
    let expected = [
        word("type"),
        Kind::Lifetime,
        Kind::Literal,
        Kind::Mark('.'),
        Kind::Mark('.'),
        Kind::Literal,
        Kind::Literal,
    ];
    assert_eq!(words, expected);
}
