//! The one door through which the program speaks.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use serde_json::json;

use crate::failure::Failure;

/// Prints for people, or JSON for programs; results to standard output, the rest to standard error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    json: bool,
}

impl Printer {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether programs read what is printed.
    pub(crate) const fn is_json(self) -> bool {
        self.json
    }

    /// Passes on what another program printed, as it is.
    pub(crate) fn copy(self, output: &str, errors: &str) {
        let _ = std::io::stdout().lock().write_all(output.as_bytes());
        let _ = std::io::stderr().lock().write_all(errors.as_bytes());
    }

    /// Whether a person watches standard error.
    pub(crate) fn is_watched(self) -> bool {
        !self.json && std::io::stderr().is_terminal()
    }

    /// Prints a result: one JSON document, or the text made for people.
    pub(crate) fn result<T: Serialize>(self, value: &T, people: impl FnOnce(&T) -> String) {
        if self.json {
            let text = serde_json::to_string_pretty(value);
            out(&text.expect("results are plain data and can be written as JSON"));
        } else {
            let text = people(value);
            if !text.is_empty() {
                out(text.trim_end());
            }
        }
    }

    /// Prints one event of a stream: a JSON line, or a line for people where there is something to say.
    pub(crate) fn event<T: Serialize>(self, value: &T, people: Option<String>) {
        if self.json {
            let text = serde_json::to_string(value);
            out(&text.expect("events are plain data and can be written as JSON"));
        } else if let Some(line) = people {
            out(&line);
        }
    }

    /// Says something beside the result.
    pub(crate) fn note(self, line: &str) {
        if !self.json {
            note(line);
        }
    }

    /// Says on standard error what is going on, whoever reads standard output.
    pub(crate) fn warn(self, line: &str) {
        note(line);
    }

    /// Shows a line on standard error in place of the one it showed last; an empty one takes it away.
    pub(crate) fn status(self, line: &str) {
        let _ = write!(std::io::stderr().lock(), "\r\x1b[K{}", visible(line));
    }

    /// Says why the command failed.
    pub(crate) fn failure(self, failure: &Failure) {
        if self.json {
            let document = json!({"event": "error", "error": {
                "message": failure.message,
                "code": failure.code,
                "hint": failure.hint,
            }});
            out(&document.to_string());
        }
        let mut text = format!("error: {}", failure.message);
        if let Some(code) = failure.code {
            let _ = write!(text, "\n code: {code} (docs/errors/{code}.md)");
        }
        if let Some(hint) = &failure.hint {
            let _ = write!(text, "\n hint: {hint}");
        }
        note(&text);
    }
}

/// A table for people: a header, then rows.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: Vec<[String; N]>) -> String {
    wide_table(header.map(str::to_owned).to_vec(), rows.into_iter().map(Vec::from).collect())
}

/// A table whose number of columns is only known when it is printed.
pub(crate) fn wide_table(header: Vec<String>, rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().map(|name| name.to_uppercase()));
    for row in rows {
        table.add_row(row);
    }
    let text = table.to_string();
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Writes a line to standard output; whoever closed it early does not want the rest.
pub(crate) fn out(line: &str) {
    let mut output = std::io::stdout().lock();
    let _ = writeln!(output, "{}", visible(line)).and_then(|()| output.flush());
}

fn note(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", visible(line));
}

/// A text as it is shown: what would command a terminal, is not seen or reorders what is seen, stands as its number.
///
/// Names, notes, messages and plans come from other people, and every text for people goes through here.
fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_hidden(character) {
            let _ = write!(shown, "[U+{:04X}]", u32::from(character));
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// Whether a character is not seen, reorders what is, or commands a terminal; line ends and tabs are text.
pub(crate) fn is_hidden(character: char) -> bool {
    let is_text = matches!(character, '\n' | '\t');
    let reorders = matches!(
        character,
        '\u{ad}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}'
    );
    reorders || (character.is_control() && !is_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_commands_the_terminal() {
        assert_eq!(visible("a\tb\nGröße ≤ 5"), "a\tb\nGröße ≤ 5");
        assert_eq!(visible("\u{1b}[2Jx\r\u{202e}y"), "[U+001B][2Jx[U+000D][U+202E]y");
    }
}
