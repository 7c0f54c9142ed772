//! The sheet itself: HTML in one file, every text escaped.

use std::fmt::{self, Display, Formatter};
use std::time::SystemTime;

use node::audit::{EarlierKey, Handover, InspectionError, Record, Verified};

use super::super::list::instant_of;
use super::period::{Period, Round, object};

/// A period of one node, for people and for paper.
pub(super) struct Sheet<'a> {
    pub(super) node: &'a str,
    pub(super) from: Option<SystemTime>,
    pub(super) to: Option<SystemTime>,
    pub(super) now: SystemTime,
    pub(super) verified: &'a Result<Option<Verified>, InspectionError>,
    pub(super) period: &'a Period<'a>,
}

impl Display for Sheet<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let node = Text(self.node);
        write!(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")?;
        writeln!(out, "<meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">")?;
        writeln!(out, "<title>Audit report of {node}</title>\n<style>{STYLE}</style>\n</head>")?;
        writeln!(out, "<body>\n<h1>Audit report of {node}</h1>")?;
        writeln!(out, "<p>{}. Made on {}.</p>", self.span(), instant(self.now))?;
        self.verification(out)?;
        self.summary(out)?;
        self.datasets(out)?;
        self.rounds(out)?;
        list(
            out,
            "Decisions",
            "Nobody decided about a plan or an update.",
            &self.period.decisions,
        )?;
        list(out, "Changes", "No dataset, policy or interpreter changed.", &self.period.changes)?;
        list(
            out,
            "The node itself",
            "Nothing was recorded of the node itself.",
            &self.period.events,
        )?;
        writeln!(out, "<p class=\"note\">{NOTE}</p>\n</body>\n</html>")
    }
}

impl Sheet<'_> {
    fn span(&self) -> String {
        match (self.from, self.to) {
            (None, None) => "From the beginning of the log until now".to_owned(),
            (Some(from), None) => format!("From {} until now", instant(from)),
            (None, Some(to)) => format!("From the beginning of the log until {}", instant(to)),
            (Some(from), Some(to)) => format!("From {} until {}", instant(from), instant(to)),
        }
    }

    fn verification(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self.verified {
            Ok(Some(verified)) => writeln!(
                out,
                "<p class=\"good\"><b>The log is whole.</b> All of its {} records, those before and after \
                 this period included, are signed and follow each other.<br>Key <code>{}</code><br>Head \
                 <code>{}</code>{}{}</p>",
                verified.records,
                Text(&verified.key),
                verified.head,
                keys(verified),
                signed(verified)
            ),
            Ok(None) => writeln!(out, "<p class=\"good\"><b>Nothing was recorded yet.</b></p>"),
            Err(error) => writeln!(
                out,
                "<p class=\"bad\"><b>THE LOG IS DAMAGED:</b> {}. This sheet ends before the damage, and \
                 proves nothing.</p>",
                Text(&error.to_string())
            ),
        }
    }

    fn summary(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let rounds = &self.period.rounds;
        let released = rounds.iter().filter(|round| round.release.is_some()).count();
        let refused = rounds.iter().filter(|round| round.refusal.is_some()).count();
        let bytes = rounds.iter().filter_map(|round| object(round.release?, "update_bytes"));
        let bytes: u64 = bytes.filter_map(|bytes| bytes.parse::<u64>().ok()).sum();
        writeln!(out, "<table class=\"numbers\"><tr>")?;
        for (number, what) in [
            (self.period.datasets.len() as u64, "datasets used"),
            (rounds.len() as u64, "rounds"),
            (released as u64, "rounds released"),
            (bytes, "bytes of updates released"),
            (refused as u64, "rounds refused or failed"),
        ] {
            writeln!(out, "<td><b>{number}</b><br>{what}</td>")?;
        }
        writeln!(out, "</tr></table>")
    }

    fn datasets(&self, out: &mut Formatter<'_>) -> fmt::Result {
        writeln!(out, "<h2>Where datasets were used</h2>")?;
        if self.period.datasets.is_empty() {
            return writeln!(out, "<p>No round named a dataset.</p>");
        }
        head(out, &["dataset", "rounds", "released", "refused", "researchers", "plans"])?;
        for (id, used) in &self.period.datasets {
            let researchers = used.researchers.iter().copied().collect::<Vec<_>>().join(", ");
            let plans: Vec<&str> = used.plans.iter().map(|plan| short(plan)).collect();
            write!(out, "<tr><td><b>{}</b><br><code>{}</code></td>", Text(used.name), Text(id))?;
            write!(out, "<td>{}</td><td>{}</td>", used.rounds.len(), used.released)?;
            write!(out, "<td>{}</td><td>{}</td>", used.refused, Text(&researchers))?;
            writeln!(out, "<td><code>{}</code></td></tr>", Text(&plans.join(" ")))?;
        }
        writeln!(out, "</table>")
    }

    fn rounds(&self, out: &mut Formatter<'_>) -> fmt::Result {
        writeln!(out, "<h2>Rounds</h2>")?;
        if self.period.rounds.is_empty() {
            return writeln!(out, "<p>No round ran or was refused.</p>");
        }
        let columns = ["at", "round", "researcher", "dataset", "plan", "rows", "what became of it"];
        head(out, &columns)?;
        self.period.rounds.iter().try_for_each(|round| row(out, round))?;
        writeln!(out, "</table>")
    }
}

/// Which keys signed before the last one, and what each of them vouches for.
fn keys(verified: &Verified) -> String {
    let told = |earlier: &EarlierKey| {
        let EarlierKey { key, last_record, end, .. } = earlier;
        let key = Text(key);
        match end {
            Handover::Rotated => {
                format!("<br>Key before, up to record {last_record}: <code>{key}</code>")
            }
            Handover::Lost => format!(
                "<br><b>A key was lost:</b> <code>{key}</code> vouches for the records up to {last_record}; what \
                 follows hangs on the next key."
            ),
        }
    };
    verified.earlier_keys.iter().map(told).collect()
}

/// Up to where somebody else has signed the log.
fn signed(verified: &Verified) -> String {
    match &verified.countersigned {
        Some(signed) => format!(
            "<br>The coordinator has signed its first {} records at {}.",
            signed.records, signed.at
        ),
        None => {
            "<br>Nobody else has signed it: that its end was cut off would not show.".to_owned()
        }
    }
}

fn row(out: &mut Formatter<'_>, round: &Round<'_>) -> fmt::Result {
    let known = [Some(round.first), round.split, round.release, round.refusal];
    let find = |name| known.iter().flatten().find_map(|record| object(record, name)).unwrap_or("");
    let dataset = if find("dataset").is_empty() { find("dataset_id") } else { find("dataset") };
    let researcher = round.first.actor.strip_prefix("researcher:").unwrap_or(&round.first.actor);
    write!(out, "<tr><td>{}</td>", instant(instant_of(round.first)))?;
    write!(
        out,
        "<td>{} of <code>{}</code><br>",
        Text(find("round_number")),
        Text(find("experiment"))
    )?;
    write!(out, "<code>{}</code></td><td>{}</td>", Text(round.id), Text(researcher))?;
    write!(out, "<td>{}</td><td><code>{}</code></td>", Text(dataset), Text(short(find("plan"))))?;
    write!(out, "<td>{}</td><td>", rows(round.split))?;
    if let Some(release) = round.release {
        match (object(release, "update"), object(release, "update_bytes")) {
            (Some(update), Some(bytes)) => {
                let (update, bytes) = (Text(update), Text(bytes));
                write!(out, "released {bytes} bytes<br><code>{update}</code>")?;
            }
            _ => write!(out, "released metrics, and no update")?,
        }
    }
    if let Some(refusal) = round.refusal {
        write!(out, "<span class=\"refused\">{}</span>", Text(&refusal.result))?;
    }
    if round.release.is_none() && round.refusal.is_none() {
        write!(out, "had not ended")?;
    }
    writeln!(out, "</td></tr>")
}

fn rows(split: Option<&Record>) -> String {
    let Some(split) = split else { return String::new() };
    let number = |name| Text(object(split, name).unwrap_or("?")).to_string();
    let (training, validation) = (number("training_rows"), number("validation_rows"));
    let excluded = number("excluded_samples");
    format!("{training} trained, {validation} validated, {excluded} excluded")
}

fn list(out: &mut Formatter<'_>, title: &str, none: &str, records: &[&Record]) -> fmt::Result {
    writeln!(out, "<h2>{title}</h2>")?;
    if records.is_empty() {
        return writeln!(out, "<p>{none}</p>");
    }
    head(out, &["at", "record", "actor", "action", "result", "objects"])?;
    for record in records {
        let objects = record.objects.iter().map(|(object, value)| format!("{object}={value}"));
        let objects = objects.collect::<Vec<_>>().join(" ");
        write!(out, "<tr><td>{}</td><td>{}</td>", instant(instant_of(record)), record.sequence)?;
        write!(out, "<td>{}</td><td>{}</td>", Text(&record.actor), Text(&record.action))?;
        writeln!(
            out,
            "<td>{}</td><td><code>{}</code></td></tr>",
            Text(&record.result),
            Text(&objects)
        )?;
    }
    writeln!(out, "</table>")
}

fn head(out: &mut Formatter<'_>, names: &[&str]) -> fmt::Result {
    write!(out, "<table><tr>")?;
    names.iter().try_for_each(|name| write!(out, "<th>{name}</th>"))?;
    writeln!(out, "</tr>")
}

/// The first digits of a digest.
fn short(digest: &str) -> &str {
    let digits = digest.strip_prefix("sha256:").unwrap_or(digest);
    digits.get(..12).unwrap_or(digits)
}

fn instant(at: SystemTime) -> impl Display {
    humantime::format_rfc3339_seconds(at)
}

/// A text between tags or in quotes.
struct Text<'a>(&'a str);

impl Display for Text<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '&' => out.write_str("&amp;"),
            '<' => out.write_str("&lt;"),
            '>' => out.write_str("&gt;"),
            '"' => out.write_str("&quot;"),
            '\'' => out.write_str("&#39;"),
            other => out.write_fmt(format_args!("{other}")),
        })
    }
}

const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";
const STYLE: &str = "body{font:14px/1.4 sans-serif;max-width:72em;margin:2em auto;padding:0 1em;color:#222}\
h1{font-size:1.6em}h2{font-size:1.2em;margin-top:2em}table{border-collapse:collapse;width:100%}\
th,td{text-align:left;vertical-align:top;padding:.35em .6em;border-bottom:1px solid #ccc}\
th{border-bottom:2px solid #666}code{font-size:.85em;overflow-wrap:anywhere}\
.good,.bad{padding:.8em 1em;border-left:6px solid #2a7;background:#effaf4}\
.bad{border-color:#c22;background:#fdeeee}.refused{color:#a11}.numbers td{border:0;background:#f4f4f4}\
.numbers b{font-size:1.5em}.note{color:#666;margin-top:3em}@media print{body{margin:0}}";
const NOTE: &str = "Made of the audit log alone: names, identifiers, digests and counts. Instants are those of the \
node's clock, in UTC. Researchers are who the coordinator says. To check this sheet, verify the log itself: \
wardround node audit verify.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_escaped() {
        let text = Text("<script>\"a\" & 'b'</script>").to_string();
        assert_eq!(text, "&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;&lt;/script&gt;");
    }
}
