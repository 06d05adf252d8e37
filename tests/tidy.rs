//! The rules of the tree: what the style guide promises and a compiler does not check. Each rule is one test over the
//! files of the repository, and each has a second test that feeds it a bad snippet, so that none passes because it
//! looks at nothing. The tests read files and start nothing.

#[path = "tidy/edges.rs"]
mod edges;
#[path = "tidy/leftovers.rs"]
mod leftovers;
#[path = "tidy/lexer.rs"]
mod lexer;
#[path = "tidy/papers.rs"]
mod papers;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/tree.rs"]
mod tree;

use tree::Source;

/// Applies a rule to files and fails with everything that it finds.
fn check(sources: &[Source], rule: impl Fn(&Source) -> Vec<String>) {
    let findings: Vec<String> = sources.iter().flat_map(rule).collect();
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

/// How many findings a rule has in a snippet.
fn count(rule: impl Fn(&Source) -> Vec<String>, path: &str, text: &str) -> usize {
    rule(&Source::new(path, text)).len()
}

fn markdown_in(folder: &str) -> Vec<Source> {
    let all = tree::sources().into_iter();
    all.filter(|source| source.has_extension("md") && source.path.starts_with(folder)).collect()
}

#[test]
fn modules_are_named_by_what_they_hold() {
    check(&tree::rust_sources(), shape::module_names);
}

#[test]
fn a_module_name_that_says_nothing_is_found() {
    assert_eq!(count(shape::module_names, "engine/src/utils.rs", ""), 1);
    assert_eq!(count(shape::module_names, "engine/src/wal_manager/frame.rs", ""), 1);
    assert_eq!(
        count(shape::module_names, "engine/src/wal.rs", "mod helpers; // mod misc;\nmod common {}"),
        2
    );
    assert_eq!(count(shape::module_names, "engine/src/wal.rs", "mod frame;"), 0);
}

#[test]
fn files_are_short() {
    check(&tree::rust_sources(), shape::file_size);
}

#[test]
fn a_long_file_is_found() {
    assert_eq!(count(shape::file_size, "engine/src/wal.rs", &"\n".repeat(shape::FILE_LINES_MAX + 1)), 1);
    assert_eq!(count(shape::file_size, "engine/src/wal.rs", &"\n".repeat(shape::FILE_LINES_MAX)), 0);
    assert_eq!(count(shape::file_size, "engine/src/lib.rs", &"\n".repeat(shape::LIB_LINES_MAX + 1)), 1);
    assert_eq!(count(shape::file_size, "engine/src/lib.rs", &"\n".repeat(shape::LIB_LINES_MAX)), 0);
}

#[test]
fn files_say_what_they_are() {
    check(&tree::rust_sources(), shape::opens_with_docs);
}

#[test]
fn a_file_that_says_nothing_is_found() {
    assert_eq!(count(shape::opens_with_docs, "engine/src/wal.rs", "use std::fs;"), 1);
    assert_eq!(count(shape::opens_with_docs, "engine/src/wal.rs", "//! The write-ahead log."), 0);
}

#[test]
fn functions_are_short() {
    check(&tree::rust_sources(), shape::function_size);
}

#[test]
fn a_long_function_is_found() {
    let with_lines = |lines: usize| format!("fn a() {{{}}}", "\n".repeat(lines - 1));
    assert_eq!(count(shape::function_size, "a.rs", &with_lines(shape::FUNCTION_LINES_MAX + 1)), 1);
    assert_eq!(count(shape::function_size, "a.rs", &with_lines(shape::FUNCTION_LINES_MAX)), 0);
}

#[test]
fn long_test_modules_have_their_own_file() {
    check(&tree::rust_sources(), shape::inline_tests_size);
}

#[test]
fn a_long_test_module_is_found() {
    let with_lines = |lines: usize| format!("#[cfg(test)]\nmod tests {{{}}}", "\n".repeat(lines - 1));
    let long = with_lines(shape::INLINE_TEST_LINES_MAX + 1);
    assert_eq!(count(shape::inline_tests_size, "engine/src/wal.rs", &long), 1);
    assert_eq!(count(shape::inline_tests_size, "engine/src/wal/tests.rs", &long), 0);
    let allowed = with_lines(shape::INLINE_TEST_LINES_MAX);
    assert_eq!(count(shape::inline_tests_size, "engine/src/wal.rs", &allowed), 0);
    assert_eq!(count(shape::inline_tests_size, "engine/src/wal.rs", &long.replace("#[cfg(test)]", "")), 0);
}

#[test]
fn edges_between_crates_are_decided() {
    let all = tree::sources();
    let manifests: Vec<Source> =
        all.into_iter().filter(|source| source.file_name() == "Cargo.toml").collect();
    assert!(manifests.iter().any(|manifest| !edges::own_dependencies(&manifest.text).is_empty()));
    check(&manifests, edges::undecided_edges);
}

#[test]
fn an_undecided_edge_is_found() {
    let rule = edges::undecided_edges;
    assert_eq!(count(rule, "storage/Cargo.toml", "[dependencies]\nironbark-engine.workspace = true"), 1);
    assert_eq!(
        count(rule, "query/Cargo.toml", "[dev-dependencies]\nironbark-engine = { path = \"../engine\" }"),
        1
    );
    assert_eq!(count(rule, "query/Cargo.toml", "[dependencies.ironbark-compactor]\npath = \"x\""), 1);
    assert_eq!(count(rule, "query/Cargo.toml", "[dependencies]\nironbark-storage.workspace = true"), 0);
    assert_eq!(count(rule, "pipeline/Cargo.toml", "[dependencies]"), 1);
    assert_eq!(count(rule, "tests/Cargo.toml", "[dependencies]\nironbark-engine.workspace = true"), 0);
}

#[test]
fn no_code_is_commented_out() {
    check(&tree::rust_sources(), leftovers::commented_out_code);
}

#[test]
fn commented_out_code_is_found() {
    let rule = leftovers::commented_out_code;
    for code in
        ["// let a = 1;", "// self.flush().await?;", "// call(a);", "// #[test]", "/* fn a() {\n } */"]
    {
        assert!(count(rule, "a.rs", code) > 0, "{code}");
    }
    for prose in
        ["// The first writer wins;", "// as in `let a = 1;`", "/// let a = 1;", "let a = \"// let b = 1;\";"]
    {
        assert_eq!(count(rule, "a.rs", prose), 0, "{prose}");
    }
}

#[test]
fn no_lint_is_silenced_for_good() {
    check(&tree::rust_sources(), leftovers::silenced_lints);
}

#[test]
fn a_silenced_lint_is_found() {
    let rule = leftovers::silenced_lints;
    assert_eq!(count(rule, "a.rs", "#[allow(clippy::unwrap_used)]\nfn a() {}"), 1);
    assert_eq!(count(rule, "a.rs", "#![expect(clippy::panic)]"), 1);
    assert_eq!(count(rule, "a.rs", "#[expect(dead_code, reason = \"later\")]"), 1);
    assert_eq!(count(rule, "a.rs", "#[expect(clippy::panic, reason = \"a bug of ours\")]\nfn allow() {}"), 0);
}

#[test]
fn nothing_reads_the_wall_clock() {
    check(&tree::rust_sources(), leftovers::clocks_of_their_own);
}

#[test]
fn a_clock_of_its_own_is_found() {
    let rule = leftovers::clocks_of_their_own;
    assert_eq!(count(rule, "engine/src/a.rs", "let now = std::time::SystemTime::now();"), 1);
    assert_eq!(count(rule, "query/src/a.rs", "let id = uuid::Uuid::new_v4();"), 1);
    assert_eq!(count(rule, "engine/src/a.rs", "// SystemTime::now is for the clock alone"), 0);
    assert_eq!(count(rule, "storage/src/clock.rs", "std::time::SystemTime::now()"), 0);
    assert_eq!(count(rule, "tests/src/server.rs", "std::time::SystemTime::now()"), 0);
}

#[test]
fn every_mark_has_an_owner() {
    check(&tree::sources(), leftovers::marks_without_owner);
}

#[test]
fn a_mark_without_an_owner_is_found() {
    let rule = leftovers::marks_without_owner;
    let mark = concat!("TO", "DO");
    assert_eq!(count(rule, "a.rs", &format!("// {mark}: later")), 1);
    assert_eq!(count(rule, "a.rs", &format!("/// {mark}(): later")), 1);
    assert_eq!(count(rule, "a.sh", &format!("# {mark} later")), 1);
    assert_eq!(count(rule, "a.rs", &format!("// {mark}(ann): later")), 0);
    assert_eq!(count(rule, "a.rs", &format!("let a = \"{mark}\"; // MAS{mark}N")), 0);
}

#[test]
fn files_name_no_machine_and_no_registry() {
    check(&tree::sources(), leftovers::machine_words);
}

#[test]
fn a_machine_path_is_found() {
    let rule = leftovers::machine_words;
    assert_eq!(count(rule, "a.md", concat!("see /wo", "rk/main")), 1);
    assert_eq!(
        count(rule, "a.sh", concat!("pip install --index", "-url https://mirror.example/simple x")),
        1
    );
    assert_eq!(count(rule, "a.md", concat!("see docs/wo", "rk/plan.md")), 0);
}

#[test]
fn paths_in_documents_exist() {
    let mut papers = markdown_in("docs/");
    papers.extend(markdown_in("README.md"));
    let folders = tree::top_folders();
    check(&papers, |source| {
        papers::dangling_paths(source, &folders, &|path| tree::root().join(path).exists())
    });
}

#[test]
fn a_path_that_leads_nowhere_is_found() {
    let folders = ["storage".to_owned(), "docs".to_owned()];
    let rule = |source: &Source| papers::dangling_paths(source, &folders, &|path| path == "storage/src");
    assert_eq!(count(rule, "docs/A.md", "see `storage/src/gone.rs` and `docs/B.md:7`"), 2);
    assert_eq!(
        count(rule, "docs/A.md", "see `storage/src/`, `storage/src/*.rs`, `other/gone` and `cargo run`"),
        0
    );
    assert_eq!(count(rule, "docs/A.md", "```\n`storage/gone`\n```"), 0);
}

#[test]
fn every_invariant_has_its_test() {
    let functions = tree::rust_sources().into_iter().flat_map(|source| shape::functions(&source.text));
    let tests: Vec<String> =
        functions.filter(|function| function.is_test).map(|function| function.name).collect();
    assert!(tests.iter().any(|test| test == "every_invariant_has_its_test"));
    let architecture = markdown_in("docs/ARCHITECTURE.md");
    let no_table = |source: &Source| papers::invariant_rows(&source.text).is_empty();
    assert!(!architecture.iter().any(no_table), "docs/ARCHITECTURE.md has no table of invariants");
    check(&architecture, |source| papers::untested_invariants(source, &tests));
}

#[test]
fn an_invariant_without_a_test_is_found() {
    let text = "## Named invariants\n| what | test |\n|---|:--|\n| a | `engine::a_holds` |\n| b | `gone` |\n| c | none |\n\
                ## Other\n| x | `y` |";
    let rule = |source: &Source| papers::untested_invariants(source, &["a_holds".to_owned()]);
    let findings = rule(&Source::new("docs/ARCHITECTURE.md", text));
    assert_eq!(findings.len(), 2, "{findings:?}");
    assert!(findings.iter().any(|finding| finding.contains(":5:") && finding.contains("`gone`")));
}

#[test]
fn decision_records_have_their_form() {
    check(&markdown_in("docs/adr/"), papers::adr_form);
}

#[test]
fn a_malformed_decision_record_is_found() {
    let good = "# 001 A\n## Context\n## Decision\n## Rejected\n## Consequences\n";
    assert_eq!(count(papers::adr_form, "docs/adr/001-a.md", good), 0);
    assert_eq!(count(papers::adr_form, "docs/adr/001-a.md", &good.replace("## Rejected\n", "")), 1);
    let long = format!("{good}{}", "\n".repeat(papers::ADR_LINES_MAX));
    assert_eq!(count(papers::adr_form, "docs/adr/001-a.md", &long), 1);
}
