//! Lists the files of the Python package `wardround`, which the program carries with it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn main() {
    let root = PathBuf::from(env("CARGO_MANIFEST_DIR")).join("../../python/wardround");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    let mut list = String::from("&[\n");
    for path in &files {
        let name = path.strip_prefix(&root).expect("it was found below").to_string_lossy();
        let path = path.canonicalize().expect("it was found a moment ago");
        writeln!(list, "    ({name:?}, include_bytes!({:?})),", path.display().to_string())
            .expect("a text takes every text");
        println!("cargo::rerun-if-changed={}", path.display());
    }
    list.push(']');
    let target = Path::new(&env("OUT_DIR")).join("python_files.rs");
    std::fs::write(target, list).expect("the build's own folder can be written");
}

/// Python sources only: what Python compiles them to belongs to the machine that ran them.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let is_named = |name: &str| path.file_name().is_some_and(|found| found == name);
        if path.is_dir() && !is_named("__pycache__") {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "py")
            || is_named("py.typed")
        {
            files.push(path);
        }
    }
}

fn env(name: &str) -> String {
    std::env::var(name).expect("cargo sets it")
}
