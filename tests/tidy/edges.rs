//! The edges between our crates. An edge is a decision: it is allowed here or it does not exist. Manifests are read
//! line by line, which their plain form allows; this may not grow into a TOML parser.

use super::tree::Source;

/// The crates and what each may depend on. `None` is free.
const ALLOWED: [(&str, Option<&[&str]>); 7] = [
    ("storage", Some(&[])),
    ("engine", Some(&["storage"])),
    ("query", Some(&["storage"])),
    ("compactor", Some(&["storage"])),
    ("flight-server", Some(&["engine", "query", "storage", "compactor"])),
    ("tests", None),
    ("benches", None),
];

/// Edges of this manifest that nobody decided on, and crates that the list does not know.
pub(crate) fn undecided_edges(manifest: &Source) -> Vec<String> {
    let Some((folder, "Cargo.toml")) = manifest.path.rsplit_once('/') else { return Vec::new() };
    let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == folder) else {
        return vec![manifest.finding(1, "a crate that the list of allowed edges does not name")];
    };
    let Some(allowed) = allowed else { return Vec::new() };
    let undecided = own_dependencies(&manifest.text).into_iter().filter(|(_, name)| !allowed.contains(name));
    undecided
        .map(|(line, name)| manifest.finding(line, &format!("{folder} may not depend on {name}")))
        .collect()
}

/// The dependencies on crates of ours, of every kind (also for tests and builds), with their lines.
pub(crate) fn own_dependencies(manifest: &str) -> Vec<(usize, &str)> {
    let mut in_dependencies = false;
    let mut found = Vec::new();
    for (at, line) in manifest.lines().map(str::trim).enumerate() {
        if let Some(header) = line.strip_prefix('[') {
            let header = header.trim_end_matches(']');
            in_dependencies = header.ends_with("dependencies");
            let table = header.rsplit_once("dependencies.").and_then(|(_, name)| own_name(name));
            found.extend(table.map(|name| (at + 1, name)));
        } else if in_dependencies {
            found.extend(own_name(line).map(|name| (at + 1, name)));
        }
    }
    found
}

/// `storage` for a key such as `ironbark-storage.workspace`.
fn own_name(key: &str) -> Option<&str> {
    let name = key.trim_matches('"').strip_prefix("ironbark-")?;
    name.split(['.', ' ', '=', '"']).next()
}
