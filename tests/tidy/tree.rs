//! The files of the repository as the rules see them: path from the root and text. It reads the work tree itself, not
//! git, so that a file is judged before it is committed; it may not write anything.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that hold no source of ours: build output, data of a server somebody ran at the root, and git's own.
const SKIPPED_FOLDERS: [&str; 5] = ["target", "ironbark-data", ".git", "node_modules", "__pycache__"];

/// Files larger than this are data, and no rule reads them.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// One text file.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// From the root, with forward slashes.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    pub(crate) fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    pub(crate) fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|found| found == extension)
    }

    /// What is wrong at `line`, in the form that editors can jump to.
    pub(crate) fn finding(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_path_buf()
}

/// Every text file of the tree, sorted by path.
pub(crate) fn sources() -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() {
                if !SKIPPED_FOLDERS.contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if entry.metadata().is_ok_and(|meta| meta.is_file() && meta.len() <= FILE_BYTES_MAX)
                && let Ok(text) = fs::read_to_string(&path)
            {
                let relative = path.strip_prefix(&root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
                found.push(Source { path: relative, text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// The Rust files of the tree.
pub(crate) fn rust_sources() -> Vec<Source> {
    sources().into_iter().filter(|source| source.has_extension("rs")).collect()
}

/// The folders at the root, without hidden ones and build output.
pub(crate) fn top_folders() -> Vec<String> {
    let entries = fs::read_dir(root()).into_iter().flatten().flatten();
    let names = entries.filter(|entry| entry.path().is_dir());
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| !name.starts_with('.') && !SKIPPED_FOLDERS.contains(&name.as_str())).collect()
}

#[test]
fn the_tree_is_found() {
    let sources = sources();
    let has = |path: &str| sources.iter().any(|source| source.path == path);
    assert!(has("Cargo.toml") && has("tests/tidy.rs") && has("storage/src/lib.rs"));
    assert!(rust_sources().len() >= 10);
    assert!(top_folders().contains(&"storage".to_owned()));
}
