//! Where our binaries are. They lie in the target directory of the running test; a test run that `tests/run` did not
//! prepare builds them first, so that no test ever runs an old one.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// Set by `tests/run` once it has built the binaries.
const BUILT: &str = "IRONBARK_BINARIES_BUILT";

/// The path of `ironbark` or `ironbark-compactor`.
///
/// # Panics
/// If it does not compile or is not where cargo puts it.
pub fn path(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = target_folder();
        if std::env::var_os(BUILT).is_none() {
            build(folder.ends_with("release"));
        }
        folder
    });
    let path = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{} does not exist: cargo build --workspace --bins --tests", path.display());
    path
}

/// A command that runs `ironbark` or `ironbark-compactor`, without the settings of whoever runs the tests.
///
/// # Panics
/// As [`path`].
pub fn command(name: &str) -> Command {
    let mut command = Command::new(path(name));
    for (variable, _) in std::env::vars_os() {
        let text = variable.to_string_lossy();
        if text.starts_with("IRONBARK_") || text.starts_with("AWS_") {
            command.env_remove(&variable);
        }
    }
    command
}

/// `target/debug`, two levels above `target/debug/deps/test-0123`.
fn target_folder() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    let folder =
        test.parent().and_then(|deps| deps.parent()).expect("cargo runs tests from target/PROFILE/deps");
    folder.to_path_buf()
}

/// With `--tests` the features are those of `cargo test`; the dependencies are then not compiled a second time.
fn build(release: bool) {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--workspace", "--bins", "--tests"]);
    cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    // What cargo tells a test of its package looks like a changed environment to build scripts of dependencies: they
    // would run again, and everything above them would be compiled again.
    let of_this_package = |name: &str| {
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_", "CARGO_PRIMARY_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    };
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(of_this_package) {
            cargo.env_remove(&name);
        }
    }
    if release {
        cargo.arg("--release");
    }
    let status = cargo.status().expect("cargo runs");
    assert!(status.success(), "our binaries do not compile");
}
