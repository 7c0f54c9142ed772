//! The closed list of exception classes that may be named outside the node.
//!
//! A plan can define a class of any name, so a name is a text of the plan's; only these leave the node.

use protocol::Detail;

use super::message::Failed;

/// The detail of a failure inside a plan whose source has so many lines.
pub(super) fn detail(failed: &Failed, lines: u32) -> Option<Detail> {
    let class = failed.class.as_deref()?;
    Some(Detail::Exception {
        class: known(class).to_owned(),
        line: failed.line.filter(|line| (1..=lines).contains(line)),
    })
}

/// The class itself where it is a known one, else `Error`.
fn known(class: &str) -> &'static str {
    KNOWN.iter().find(|known| **known == class).copied().unwrap_or("Error")
}

/// Python's own, and the few of the frameworks that plans meet.
const KNOWN: &[&str] = &[
    "ArithmeticError",
    "AssertionError",
    "AttributeError",
    "BlockingIOError",
    "BrokenPipeError",
    "BufferError",
    "ConnectionError",
    "DTypePromotionError",
    "DataConversionWarning",
    "EOFError",
    "EmptyDataError",
    "FileExistsError",
    "FileNotFoundError",
    "FloatingPointError",
    "ImportError",
    "IndentationError",
    "IndexError",
    "IndexingError",
    "InvalidIndexError",
    "IsADirectoryError",
    "KeyError",
    "LinAlgError",
    "LookupError",
    "MemoryError",
    "ModuleNotFoundError",
    "NameError",
    "NotADirectoryError",
    "NotFittedError",
    "NotImplementedError",
    "OSError",
    "OutOfMemoryError",
    "OverflowError",
    "ParserError",
    "PermissionError",
    "ProcessLookupError",
    "RecursionError",
    "RuntimeError",
    "StopIteration",
    "SyntaxError",
    "SystemExit",
    "TimeoutError",
    "TypeError",
    "UnboundLocalError",
    "UnicodeDecodeError",
    "UnicodeEncodeError",
    "ValueError",
    "ZeroDivisionError",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::python::message::Reason;

    fn failed(class: &str, line: u32) -> Failed {
        Failed {
            reason: Reason::Training,
            class: Some(class.to_owned()),
            line: Some(line),
            key: None,
            rule: None,
            _expected: Vec::new(),
            _found: Vec::new(),
        }
    }

    #[test]
    fn a_class_that_is_not_known_is_an_error_and_no_name() {
        let exception = |class: &str, line| Detail::Exception { class: class.to_owned(), line };
        assert_eq!(detail(&failed("ValueError", 3), 9), Some(exception("ValueError", Some(3))));
        assert_eq!(detail(&failed("Patient4711", 3), 9), Some(exception("Error", Some(3))));
    }

    #[test]
    fn a_line_outside_the_plan_is_not_told() {
        let exception = |line| Detail::Exception { class: "ValueError".to_owned(), line };
        assert_eq!(detail(&failed("ValueError", 4_711), 9), Some(exception(None)));
        assert_eq!(detail(&failed("ValueError", 0), 9), Some(exception(None)));
    }
}
