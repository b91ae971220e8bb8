//! The use cases know no framework and no backend. That the layers below them do not know them, the compiler keeps: those are
//! crates of their own.

#[cfg(test)]
mod tests {
    use std::{
        fs,
        path::{Path, PathBuf},
    };

    /// What only `routes` and the backends may use.
    const OUTSIDE: [&str; 6] = [
        "axum",
        "reqwest",
        "tower_http",
        "crate::routes",
        "crate::app",
        "crate::settings",
    ];
    /// Backends, which only `app` names.
    const BACKENDS: [&str; 6] = [
        "crate::hub::http",
        "hubkey_oidc::OidcProvider",
        "hubkey_oidc::open",
        "hubkey_store::memory",
        "hubkey_store::redis",
        "hubkey_store::sealed",
    ];

    fn sources(folder: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(sources(&path));
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
        found
    }

    fn layer(name: &str) -> Vec<PathBuf> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = sources(&source.join(name));
        files.push(source.join(format!("{name}.rs")));
        assert!(files.len() > 5, "{name} has moved");
        files
    }

    /// The code without comments and blanks, its nested imports written out as far as a plain search needs.
    fn code(text: &str) -> String {
        let lines = text
            .lines()
            .map(|line| line.split("//").next().unwrap_or_default());
        let words = lines.flat_map(str::split_whitespace);
        words.collect::<Vec<_>>().join(" ")
    }

    /// The paths that a `use` names: `use crate::{audit::EventKind, store};` gives `crate::audit::EventKind` and `crate::store`.
    fn used(text: &str) -> Vec<String> {
        let code = code(text);
        let mut paths = Vec::new();
        for statement in code.split("use ").skip(1) {
            let statement = statement.split(';').next().unwrap_or_default();
            expand("", statement, &mut paths);
        }
        paths
    }

    fn expand(prefix: &str, tree: &str, paths: &mut Vec<String>) {
        let mut depth = 0;
        let mut begin = 0;
        for (at, character) in tree.char_indices().chain([(tree.len(), ',')]) {
            match character {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    branch(prefix, tree[begin..at].trim(), paths);
                    begin = at + 1;
                }
                _ => {}
            }
        }
    }

    fn branch(prefix: &str, tree: &str, paths: &mut Vec<String>) {
        match tree.split_once('{') {
            Some((head, rest)) => {
                let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
                expand(&format!("{prefix}{}", head.trim()), inner, paths);
            }
            None if tree.is_empty() => {}
            None => paths.push(format!("{prefix}{tree}")),
        }
    }

    fn names(path: &str, forbidden: &str) -> bool {
        path.strip_prefix(forbidden)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([':', ' ']))
    }

    fn violations(layer_name: &str, forbidden: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        for file in layer(layer_name) {
            let text = fs::read_to_string(&file).unwrap();
            let inline = code(&text);
            for word in forbidden {
                let used = used(&text).into_iter().any(|path| names(&path, word));
                if used || inline.contains(&format!("{word}::")) {
                    found.push(format!("{}: {word}", file.display()));
                }
            }
        }
        found
    }

    #[test]
    fn the_use_cases_know_no_framework_and_no_backend() {
        assert_eq!(violations("use_cases", &OUTSIDE), Vec::<String>::new());
        assert_eq!(violations("use_cases", &BACKENDS), Vec::<String>::new());
    }

    #[test]
    fn imports_are_read_as_they_are_written() {
        let text = "// use axum;\nuse crate::{\n    audit::{Event, EventKind},\n    store,\n};\npub use redis::Client as C;";
        let paths = used(text);
        let expected = [
            "crate::audit::Event",
            "crate::audit::EventKind",
            "crate::store",
            "redis::Client as C",
        ];
        assert_eq!(paths, expected);
        assert!(names(&paths[3], "redis") && names(&paths[2], "crate::store"));
        assert!(!names("redisson::x", "redis"));
    }
}
