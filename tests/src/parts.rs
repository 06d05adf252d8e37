//! The real parts that a test may need, known by the variables in which `tests/run` hands them over. A missing part is
//! never silent: it is named in the output, or is a failure where all parts are required. Nothing is installed here.

use std::path::PathBuf;
use std::process::Command;

/// Set to `1` where a missing part is a failure.
const REQUIRE_ALL: &str = "IRONBARK_REQUIRE_PARTS";

/// The value of `variable`, or `None` after saying that the test is skipped.
///
/// # Panics
/// If the variable is missing although `IRONBARK_REQUIRE_PARTS=1`.
pub fn require(variable: &str) -> Option<String> {
    let found = std::env::var(variable).ok().filter(|value| !value.is_empty());
    if found.is_none() {
        let all = std::env::var(REQUIRE_ALL).is_ok_and(|value| value == "1");
        assert!(!all, "{variable} is not set and {REQUIRE_ALL}=1: run the tests by `tests/run`");
        println!("skipped: {variable} is not set; `tests/run` sets it");
    }
    found
}

/// The S3 server of this run.
#[derive(Debug, Clone)]
pub struct S3 {
    /// Endpoint URL, without a path.
    pub endpoint: String,
    /// A bucket that exists. Tests take a prefix of their own in it.
    pub bucket: String,
    /// Region to sign for.
    pub region: String,
    /// Access key.
    pub access_key: String,
    /// Secret key.
    pub secret_key: String,
}

impl S3 {
    /// The S3 server, or `None` after saying that the test is skipped.
    pub fn require() -> Option<Self> {
        Some(Self {
            endpoint: require("IRONBARK_TEST_S3")?,
            bucket: require("IRONBARK_TEST_S3_BUCKET")?,
            region: require("IRONBARK_TEST_S3_REGION")?,
            access_key: require("IRONBARK_TEST_S3_ACCESS_KEY")?,
            secret_key: require("IRONBARK_TEST_S3_SECRET_KEY")?,
        })
    }

    /// The `AWS_*` variables by which our binaries reach it.
    pub fn environment(&self) -> [(&'static str, String); 5] {
        [
            ("AWS_ENDPOINT", self.endpoint.clone()),
            ("AWS_REGION", self.region.clone()),
            ("AWS_ACCESS_KEY_ID", self.access_key.clone()),
            ("AWS_SECRET_ACCESS_KEY", self.secret_key.clone()),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
        ]
    }
}

/// A file below `tests/`, such as a client in `parts/`.
///
/// # Panics
/// If there is no such file.
pub fn file(path: &str) -> PathBuf {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    assert!(file.exists(), "{} does not exist", file.display());
    file
}

/// Runs a client to its end and returns what it printed.
///
/// # Panics
/// If it cannot be started or does not exit with 0; the message holds all that it printed.
pub fn run_client(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed ({}):\n{printed}\n{errors}", output.status);
    print!("{printed}");
    printed
}
