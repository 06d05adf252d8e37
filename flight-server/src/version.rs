//! What this build is: versions of the program and of every format that it writes.

use serde::Serialize;

/// The version of this build.
#[derive(Debug, Serialize)]
pub(crate) struct Version {
    /// The program's version.
    pub(crate) version: &'static str,
    /// The commit that it was built from, if the build was told.
    pub(crate) commit: Option<&'static str>,
    /// The build's profile.
    pub(crate) profile: &'static str,
    /// The formats that it writes.
    pub(crate) formats: Formats,
}

/// Versions of formats.
#[derive(Debug, Serialize)]
pub(crate) struct Formats {
    /// Columns of a segment.
    pub(crate) schema: u32,
    /// Words of the full-text search.
    pub(crate) tokenizer: u16,
}

impl Version {
    /// This build's.
    pub(crate) const fn current() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            commit: option_env!("IRONBARK_GIT_COMMIT"),
            profile: if cfg!(debug_assertions) { "debug" } else { "release" },
            formats: Formats {
                schema: ironbark_storage::SCHEMA_VERSION,
                tokenizer: ironbark_storage::TOKENIZER_VERSION,
            },
        }
    }

    /// On one line, for people.
    pub(crate) fn line(&self) -> String {
        let commit = self.commit.map(|commit| format!(" ({commit})")).unwrap_or_default();
        let Formats { schema, tokenizer } = &self.formats;
        format!("ironbark {}{commit}, formats: schema {schema}, tokenizer {tokenizer}", self.version)
    }
}
