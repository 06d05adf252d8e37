//! Where client commands keep what they must remember: `$XDG_STATE_HOME/ironbark`, by default `~/.local/state/ironbark`.

use std::path::PathBuf;

/// A file or directory of the state directory, or `None` where there is no home.
pub(super) fn path(name: &str) -> Option<PathBuf> {
    let absolute =
        |variable: &str| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let base =
        absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")))?;
    Some(base.join("ironbark").join(name))
}
