//! The tokens of a Python text.
//!
//! Only what separates tokens, comments and texts is known here, which is enough: whatever a comment or a space could
//! change the meaning of is either kept or makes the whole text one that is not taken apart.

/// The tokens of a text; a logical line ends with `;`, deeper and less deep begin with `>` and `<`.
///
/// None where the text is not one that is surely read right.
pub(super) fn tokens(text: &str) -> Option<Vec<String>> {
    let mut reader =
        Reader { rest: text, tokens: Vec::new(), levels: vec![0], brackets: Vec::new() };
    // Another encoding than UTF-8 is said in a comment.
    if text
        .lines()
        .take(2)
        .any(|line| line.trim_start().starts_with('#') && line.contains("coding"))
    {
        return None;
    }
    while !reader.rest.is_empty() {
        reader.line()?;
    }
    if !reader.brackets.is_empty() {
        return None;
    }
    for _ in 1..reader.levels.len() {
        reader.push("<", "less");
    }
    Some(reader.tokens)
}

/// The top-level packages that a text imports.
pub(super) fn imports(text: &str) -> Vec<String> {
    let tokens = tokens(text).unwrap_or_default();
    let mut found = Vec::new();
    for line in tokens.split(|token| token == END) {
        let line = line.iter().skip_while(|token| token.starts_with(['<', '>']) && token.len() > 1);
        let words: Vec<&str> = line.map(String::as_str).collect();
        match words.as_slice() {
            ["=from", module, ..] if module.starts_with('=') => found.push(package(module)),
            ["=import", rest @ ..] => {
                let modules = rest.split(|token| *token == "=,").filter_map(|part| part.first());
                found.extend(modules.map(|module| package(module)));
            }
            _ => {}
        }
    }
    found.retain(|name| name.starts_with(|first: char| first.is_alphabetic() || first == '_'));
    found
}

fn package(token: &str) -> String {
    let module = token.trim_start_matches('=');
    module.split('.').next().unwrap_or_default().to_owned()
}

struct Reader<'a> {
    rest: &'a str,
    tokens: Vec<String>,
    levels: Vec<usize>,
    brackets: Vec<char>,
}

impl Reader<'_> {
    /// Reads one logical line with its indentation.
    fn line(&mut self) -> Option<()> {
        let indent: &str =
            &self.rest[..self.rest.len() - self.rest.trim_start_matches([' ', '\t']).len()];
        let width = width(indent);
        self.rest = &self.rest[indent.len()..];
        if self.at_line_end() {
            self.comment();
            self.end_line();
            return Some(());
        }
        self.indent(width?)?;
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t']);
            if self.at_line_end() {
                self.comment();
                let is_over = self.rest.is_empty();
                self.end_line();
                if self.brackets.is_empty() || is_over {
                    self.tokens.push(END.to_owned());
                    return Some(());
                }
                continue;
            }
            if let Some(rest) = self.rest.strip_prefix('\\') {
                let rest = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n'))?;
                self.rest = rest;
                continue;
            }
            self.token()?;
        }
    }

    fn indent(&mut self, width: usize) -> Option<()> {
        let current = *self.levels.last()?;
        if width > current {
            self.levels.push(width);
            self.push(">", "deeper");
        }
        while width < *self.levels.last()? {
            self.levels.pop();
            self.push("<", "less");
        }
        (width == *self.levels.last()?).then_some(())
    }

    fn token(&mut self) -> Option<()> {
        let first = self.rest.chars().next()?;
        if let Some(length) = text_length(self.rest)? {
            return self.take(length);
        }
        if first.is_alphanumeric() || first == '_' || (first == '.' && self.next_is_digit()) {
            let end = self.rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'));
            return self.take(end.unwrap_or(self.rest.len()));
        }
        match first {
            '(' | '[' | '{' => self.brackets.push(first),
            ')' | ']' | '}' => {
                let open = self.brackets.pop()?;
                matches!((open, first), ('(', ')') | ('[', ']') | ('{', '}')).then_some(())?;
            }
            _ if OPERATORS.contains(first) => {
                let end = self.rest.find(|c: char| !OPERATORS.contains(c) || c == '.');
                let longest = end.unwrap_or(self.rest.len()).clamp(1, 3);
                let known =
                    (1..=longest).rev().find(|length| LONG.contains(&&self.rest[..*length]));
                return self.take(known.unwrap_or(1));
            }
            _ => return None,
        }
        self.take(1)
    }

    fn next_is_digit(&self) -> bool {
        self.rest.chars().nth(1).is_some_and(|next| next.is_ascii_digit())
    }

    fn take(&mut self, length: usize) -> Option<()> {
        let (token, rest) = self.rest.split_at_checked(length)?;
        self.tokens.push(format!("={token}"));
        self.rest = rest;
        Some(())
    }

    fn push(&mut self, sign: &str, word: &str) {
        self.tokens.push(format!("{sign}{word}"));
    }

    fn at_line_end(&self) -> bool {
        self.rest.is_empty() || self.rest.starts_with(['#', '\n', '\r'])
    }

    fn comment(&mut self) {
        if self.rest.starts_with('#') {
            self.rest = &self.rest[self.rest.find(['\n', '\r']).unwrap_or(self.rest.len())..];
        }
    }

    fn end_line(&mut self) {
        let rest = self.rest.strip_prefix("\r\n").or_else(|| self.rest.strip_prefix(['\n', '\r']));
        self.rest = rest.unwrap_or(self.rest);
    }
}

/// How deep a line stands; none where tabs and spaces stand together, for they may be counted in more than one way.
fn width(indent: &str) -> Option<usize> {
    let is_mixed = indent.contains(' ') && indent.contains('\t');
    (!is_mixed).then_some(indent.len())
}

/// The bytes of the text literal that stands first: `Some(None)` where there is none, `None` where it does not end.
#[expect(clippy::option_option, reason = "no literal and a literal without an end are two things")]
fn text_length(rest: &str) -> Option<Option<usize>> {
    let prefix = rest.find(|c: char| !"rRbBuUfFtT".contains(c)).unwrap_or(rest.len());
    let after = &rest[prefix..];
    if prefix > 2 || !after.starts_with(['"', '\'']) {
        return Some(None);
    }
    let mark = &after[..1];
    let is_long = after.starts_with(&mark.repeat(3));
    let close = if is_long { mark.repeat(3) } else { mark.to_owned() };
    let mut at = close.len();
    let inner = at;
    while !after.get(at..)?.starts_with(&close) {
        let next = after[at..].chars().next()?;
        if next == '\n' && !is_long {
            return None;
        }
        at += next.len_utf8();
        if next == '\\' {
            at += after[at..].chars().next()?.len_utf8();
        }
    }
    // Newer Pythons let the same marks stand within braces: then this end is not the end.
    if rest[..prefix].contains(['f', 'F', 't', 'T']) && !is_balanced(&after[inner..at]) {
        return None;
    }
    Some(Some(prefix + at + close.len()))
}

fn is_balanced(text: &str) -> bool {
    let plain = text.replace("{{", "").replace("}}", "");
    plain.matches('{').count() == plain.matches('}').count()
}

const END: &str = ";";
/// What operators are made of.
const OPERATORS: &str = "+-*/%@&|^~<>=!,:;.";
/// Operators of more than one character.
const LONG: &[&str] = &[
    "**=", "//=", ">>=", "<<=", "...", "**", "//", ">>", "<<", "<=", ">=", "==", "!=", "->", "+=",
    "-=", "*=", "/=", "%=", "@=", "&=", "|=", "^=", ":=",
];
