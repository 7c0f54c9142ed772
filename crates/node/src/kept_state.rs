//! What Python plans keep at the node between rounds: `state/<experiment_id>/<dataset_id>/<round>.safetensors`.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use protocol::ExperimentId;

/// The experiments of which something is kept, and where.
pub(crate) fn kept(folder: &Path) -> io::Result<Vec<(ExperimentId, PathBuf)>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        // What has another name was not put there by a round.
        if let Some(experiment) = name.and_then(|name| name.parse().ok()) {
            found.push((experiment, path));
        }
    }
    Ok(found)
}

/// Deletes what is kept of experiments of which no round is remembered; gives those experiments.
pub(crate) fn retire(
    kept: Vec<(ExperimentId, PathBuf)>,
    remembered: &HashSet<ExperimentId>,
) -> io::Result<Vec<ExperimentId>> {
    let mut retired = Vec::new();
    for (experiment, path) in kept {
        if !remembered.contains(&experiment) {
            std::fs::remove_dir_all(path)?;
            retired.push(experiment);
        }
    }
    Ok(retired)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_experiments_of_which_no_round_is_remembered_lose_what_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(kept(&folder.path().join("state")).unwrap(), []);
        let [over, running] =
            ["01900000-0000-7000-8000-00000000000a", "01900000-0000-7000-8000-00000000000b"];
        for name in [over, running, "the owner's notes"] {
            std::fs::create_dir_all(folder.path().join(name).join("dataset")).unwrap();
            std::fs::write(folder.path().join(name).join("dataset/1.safetensors"), "x").unwrap();
        }
        let remembered = HashSet::from([running.parse().unwrap()]);
        let retired = retire(kept(folder.path()).unwrap(), &remembered).unwrap();
        assert_eq!(retired, [over.parse().unwrap()]);
        assert!(!folder.path().join(over).exists());
        assert!(folder.path().join(running).join("dataset/1.safetensors").exists());
        assert!(folder.path().join("the owner's notes").exists());
    }
}
