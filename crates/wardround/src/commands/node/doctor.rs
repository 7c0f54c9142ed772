//! `wardround node doctor`.

use node::doctor::{self, Finding, Verdict};
use serde_json::json;

use crate::commands::Folder;
use crate::failure::Failure;
use crate::printer::Printer;

pub(super) async fn run(folder: Folder, printer: Printer) -> Result<(), Failure> {
    let folder = super::folder(folder)?;
    // Without it Python plans are refused, and the findings say so.
    let program = std::env::current_exe().ok();
    let findings = doctor::examine(&folder, std::env::vars(), program).await;
    let wrong = findings.iter().filter(|finding| finding.verdict == Verdict::Wrong).count();
    let document = json!({"healthy": wrong == 0, "findings": findings});
    printer.result(&document, |_| people(&findings));
    match wrong {
        0 => Ok(()),
        1 => Err(Failure::failed("one thing is wrong")),
        _ => Err(Failure::failed(format!("{wrong} things are wrong"))),
    }
}

fn people(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let verdict = match finding.verdict {
            Verdict::Good => "ok",
            Verdict::Notice => "note",
            Verdict::Wrong => "WRONG",
        };
        text.push_str(&format!("{verdict:<6}{:<14} {}\n", finding.area.as_str(), finding.fact));
        for line in finding.details.iter().chain(&finding.remedy) {
            text.push_str(&format!("{:<6}{:<14}   {line}\n", "", ""));
        }
    }
    text
}

/// What `--help` adds.
pub(super) const HELP: &str = "\
It looks at the folder and its permissions, the configuration, the database, the disk, the clock, the
sandbox, each interpreter, each dataset (its size and time, not its bytes) and the line to the
coordinator, and says what to do about what is wrong. It works whether the node runs or not.
The exit status is 1 where something is wrong.";
