//! The shape of the code: imports run one way, and some crates and calls occur in one place only.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The modules that each module imports. An import that is not listed fails a test, and so does a listed module that
/// is not imported.
const IMPORTS: [(&str, &[&str]); 18] = [
    ("domain", &[]),
    ("metrics", &["domain"]),
    ("ports", &["domain"]),
    ("report", &["domain"]),
    ("flow", &["domain", "metrics", "ports"]),
    ("endpoint", &["domain", "ports"]),
    ("broker", &["domain", "metrics", "ports"]),
    ("spans", &["domain", "ports"]),
    ("input", &["domain"]),
    ("sweep", &["domain", "ports", "report", "input"]),
    ("pipeline", &["domain", "metrics", "ports", "flow", "spans"]),
    ("config", &["domain", "flow", "endpoint", "broker", "pipeline"]),
    // It is built for tests only, and `fuzz/` calls it.
    ("fuzzing", &["domain", "endpoint", "broker", "config"]),
    ("admin", &["domain", "metrics", "ports"]),
    ("logs", &["config"]),
    (
        "worker",
        &[
            "domain", "metrics", "ports", "flow", "endpoint", "broker", "input", "sweep", "spans",
            "pipeline", "config", "admin",
        ],
    ),
    ("mock_endpoint", &["domain", "endpoint", "admin"]),
    (
        "cli",
        &[
            "domain",
            "metrics",
            "ports",
            "report",
            "flow",
            "endpoint",
            "broker",
            "input",
            "sweep",
            "spans",
            "config",
            "admin",
            "logs",
            "worker",
            "mock_endpoint",
        ],
    ),
];

/// Crates that only one part may name, each with the paths under `src` of that part.
const KEPT: [(&str, &[&str]); 5] = [
    ("lapin", &["broker/"]),
    ("backoff::", &["domain/backoff.rs"]),
    ("hyper_rustls", &["endpoint/connector.rs"]),
    ("reqwest", &["mock_endpoint/server/tests.rs", "spans/otlp"]),
    ("opentelemetry", &["spans/otlp"]),
];

/// Every source file by its path under `src`, without comments.
fn sources() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders: Vec<PathBuf> = vec![root.clone()];
    let mut sources = BTreeMap::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                sources.insert(name, code(&fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(sources.len() > 10, "the sources were not found");
    sources
}

/// The lines of a source that are not comments.
fn code(source: &str) -> String {
    let lines = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The top-level module that a file belongs to.
fn module(path: &str) -> &str {
    path.split('/').next().unwrap().trim_end_matches(".rs")
}

/// The top-level modules of the crate that a source names, as `crate::name` or inside `crate::{..}`.
fn named(source: &str) -> Vec<String> {
    let mut named = Vec::new();
    for (at, prefix) in source.match_indices("crate::") {
        let rest = &source[at + prefix.len()..];
        match rest.strip_prefix('{') {
            None => named.push(word(rest)),
            Some(group) => {
                let mut depth = 0;
                let mut start = true;
                for (at, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        c if start && c.is_alphabetic() => {
                            named.push(word(&group[at..]));
                            start = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    named
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The reader of imports knows every form of an import.
#[test]
fn imports_are_found_in_every_form() {
    let source = "use crate::domain::Job;\nuse crate::{\n  flow::{self, Permit},\n  ports::Clock,\n};\nlet x = crate::broker::y;";
    assert_eq!(named(source), ["domain", "flow", "ports", "broker"]);
}

/// The modules that each module of the crate names, each with one file that does.
fn imported() -> BTreeMap<String, BTreeMap<String, String>> {
    let known: BTreeSet<&str> = IMPORTS.iter().map(|(module, _)| *module).collect();
    let mut imported: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for (path, source) in sources() {
        let module = module(&path);
        if matches!(module, "lib" | "main") {
            continue;
        }
        assert!(known.contains(module), "{path} has no place in the order");
        let names = imported.entry(module.to_owned()).or_default();
        for name in named(&source) {
            if name != module && known.contains(name.as_str()) {
                names.insert(name, path.clone());
            }
        }
    }
    imported
}

/// A module lists only modules that stand before it, so that each part can be read, tested and replaced with only
/// those in mind.
#[test]
fn imports_run_one_way() {
    let mut before = BTreeSet::new();
    for (module, allowed) in IMPORTS {
        for name in allowed {
            assert!(before.contains(name), "{module} stands before {name}");
        }
        before.insert(module);
    }
    let allowed: BTreeMap<&str, &[&str]> = IMPORTS.into_iter().collect();
    let mut faults = Vec::new();
    for (module, names) in imported() {
        for (name, path) in names {
            if !allowed[module.as_str()].contains(&name.as_str()) {
                faults.push(format!("src/{path} names crate::{name}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The list allows no import that the code does not need.
#[test]
fn every_allowed_import_occurs() {
    let imported = imported();
    let mut faults = Vec::new();
    for (module, allowed) in IMPORTS {
        for name in allowed {
            if !imported.get(module).is_some_and(|names| names.contains_key(*name)) {
                faults.push(format!("{module} need not be allowed to import {name}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A crate that may have to be replaced is named in one place only.
#[test]
fn crates_are_kept_behind_one_part() {
    let mut faults = Vec::new();
    for (path, source) in sources() {
        for (name, places) in KEPT {
            let outside = !places.iter().any(|place| path.starts_with(place));
            // `crate::domain::backoff::` is our own module, not the crate of that name.
            let foreign = source.match_indices(name).any(|(at, _)| {
                let before = &source[..at];
                !before.ends_with("::")
                    && !before.ends_with(|c: char| c.is_alphanumeric() || c == '_')
            });
            let own = name == "backoff::" && path.starts_with("domain/");
            if outside && foreign && !own && !in_a_string(&source, name) {
                faults.push(format!("src/{path} names {name}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// One place writes results, so that every command reports a failed write in the same way.
#[test]
fn standard_output_is_written_in_one_place() {
    // The last one only asks whether it is a terminal.
    const PLACES: [&str; 3] = ["cli/output.rs", "fuzzing.rs", "worker/hangup.rs"];
    let mut faults = Vec::new();
    let products = |path: &String| !path.ends_with("tests.rs") && !path.contains("/tests/");
    for (path, source) in sources().into_iter().filter(|(path, _)| products(path)) {
        for way in ["stdout()", "println!(", " print!("] {
            // Standard error is for logs, and no work may wait for it.
            let used = source.replace("eprintln!(", "").contains(way);
            if used && !PLACES.contains(&path.as_str()) {
                faults.push(format!("src/{path} has {way}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Whether every mention of `name` stands between quotes: a log filter names crates without using them.
fn in_a_string(source: &str, name: &str) -> bool {
    source.lines().filter(|line| line.contains(name)).all(|line| {
        line.match_indices(name).all(|(at, _)| line[..at].matches('"').count() % 2 == 1)
    })
}

/// Every silenced lint has a reason.
#[test]
fn every_allow_has_a_reason() {
    for (path, source) in sources() {
        for attribute in ["allow(", "expect("] {
            for form in [format!("#[{attribute}"), format!("#![{attribute}")] {
                for (at, _) in source.match_indices(&form) {
                    let end =
                        source[at..].find(")]").unwrap_or_else(|| panic!("src/{path}: {form}"));
                    let whole = &source[at..at + end];
                    assert!(whole.contains("reason = \""), "src/{path}: {whole}");
                }
            }
        }
    }
}

/// A lint forbids `unsafe`, and no file may lift it.
#[test]
fn nothing_is_unsafe() {
    for (path, source) in sources() {
        for word in ["unsafe {", "unsafe fn", "unsafe impl"] {
            assert!(!source.contains(word), "src/{path}");
        }
    }
}
