//! The names of the training arguments, and which of them is nearest to a wrong one.

/// Every name at the top level, in the order of the reference table.
pub(crate) const TOP_LEVEL: &[&str] = &[
    "epochs",
    "num_updates",
    "batch_maxnum",
    "dry_run",
    "log_interval",
    "fedprox_mu",
    "use_gpu",
    "random_seed",
    "share_persistent_buffers",
    "gradient_clip_norm",
    "loader_args",
    "batch_size",
    "optimizer_args",
    "test_ratio",
    "test_on_local_updates",
    "test_on_global_updates",
    "test_metric",
    "test_metric_args",
    "test_batch_size",
    "stratify",
    "shuffle_testing_dataset",
    "dp_args",
];

/// The members of `loader_args`.
pub(crate) const LOADER: &[&str] =
    &["loader_args.batch_size", "loader_args.shuffle", "loader_args.drop_last"];

/// The members of `dp_args`.
pub(crate) const PRIVACY: &[&str] =
    &["dp_args.type", "dp_args.sigma", "dp_args.clip", "dp_args.delta"];

const OPTIMIZER: &[&str] = &["optimizer_args.lr"];

/// Finds the known name nearest to one written at the top level; members of objects count too,
/// so that a misplaced `lr` leads to `optimizer_args.lr`.
pub(crate) fn nearest_anywhere(written: &str) -> &'static str {
    let known = [TOP_LEVEL, LOADER, OPTIMIZER, PRIVACY].concat();
    nearest(written, &known)
}

/// Finds the nearest of `known`, by the last part of each name; the first wins a tie.
pub(crate) fn nearest(written: &str, known: &[&'static str]) -> &'static str {
    let written = written.chars().take(LONGEST_COMPARED).collect::<String>().to_lowercase();
    known
        .iter()
        .copied()
        .min_by_key(|name| distance(&written, last_part(name)))
        .expect("every list of names has a member")
}

fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// The number of insertions, deletions, replacements and swaps of neighbours between two texts
/// (optimal string alignment).
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before_last = vec![0; right.len() + 1];
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (row, &ours) in left.iter().enumerate() {
        let mut current = vec![row + 1; right.len() + 1];
        for (column, &theirs) in right.iter().enumerate() {
            let replaced = last[column] + usize::from(ours != theirs);
            let mut best = replaced.min(last[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && ours == right[column - 1] && left[row - 1] == theirs {
                best = best.min(before_last[column - 1] + 1);
            }
            current[column + 1] = best;
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[right.len()]
}

/// No known name is near half as long; what is longer cannot change which one is nearest by much.
const LONGEST_COMPARED: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_the_meant_name() {
        assert_eq!(nearest_anywhere("epoch"), "epochs");
        assert_eq!(nearest_anywhere("EPOCHS"), "epochs");
        assert_eq!(nearest_anywhere("bacth_size"), "batch_size");
        assert_eq!(nearest_anywhere("lr"), "optimizer_args.lr");
        assert_eq!(nearest_anywhere("shufle"), "loader_args.shuffle");
        assert_eq!(nearest_anywhere("test_on_global_update"), "test_on_global_updates");
    }

    #[test]
    fn distances_count_single_edits_and_swaps() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("same", "same"), 0);
    }
}
