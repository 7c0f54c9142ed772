//! The known name nearest to a mistyped one.

/// Finds the known name that `name` was probably meant to be.
///
/// The distance counts inserted, removed, changed and swapped characters, ignoring case; a name
/// further away than a third of its length (at least two) is no suggestion.
///
/// # Examples
///
/// ```
/// assert_eq!(training_plan::document::nearest("targt", &["task", "target"]), Some("target"));
/// assert_eq!(training_plan::document::nearest("colour", &["task", "target"]), None);
/// ```
#[must_use]
pub fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let name: Vec<char> = name.chars().take(LONGEST).flat_map(char::to_lowercase).collect();
    let allowed = (name.len() / 3).max(2);
    known
        .iter()
        .map(|candidate| (distance(&name, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The optimal string alignment distance between two names.
fn distance(name: &[char], other: &str) -> usize {
    let other: Vec<char> = other.chars().flat_map(char::to_lowercase).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (row, letter) in name.iter().enumerate() {
        let mut next = vec![row + 1; other.len() + 1];
        for (column, wanted) in other.iter().enumerate() {
            let changed = last[column] + usize::from(letter != wanted);
            let mut best = changed.min(last[column + 1] + 1).min(next[column] + 1);
            let swapped =
                row > 0 && column > 0 && *letter == other[column - 1] && name[row - 1] == *wanted;
            if swapped {
                best = best.min(before[column - 1] + 1);
            }
            next[column + 1] = best;
        }
        before = std::mem::replace(&mut last, next);
    }
    last[other.len()]
}

/// Longer names are cut: nothing known is longer, and a hostile key may be.
const LONGEST: usize = 64;

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_swapped_pair_counts_once() {
        assert_eq!(nearest("taks", &["task", "target", "tags"]), Some("task"));
    }

    #[test]
    fn a_short_name_is_not_turned_into_anything() {
        assert_eq!(nearest("x", &["lr", "task"]), None);
    }
}
