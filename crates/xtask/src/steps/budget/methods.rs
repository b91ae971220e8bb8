//! Counts the methods of each type, in whatever files of its crate they are.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use anyhow::Context as _;
use syn::visit::{self, Visit};
use syn::{ImplItem, ItemEnum, ItemImpl, ItemStruct, ItemTrait, ItemUnion, TraitItem, Type};

/// A source file: where it is, and its text.
pub(super) type Source = (String, String);

/// Each type and trait of these files with its methods, under the file that defines it.
pub(super) fn counted(sources: &[Source]) -> anyhow::Result<BTreeMap<(String, String), usize>> {
    let mut found = Found::default();
    for (file, text) in sources {
        let parsed = syn::parse_file(text).with_context(|| format!("parsing {file}"))?;
        found.file.clone_from(file);
        found.visit_file(&parsed);
    }
    let mut counts = BTreeMap::new();
    for (name, file, methods) in &found.methods {
        let own = found.definition(name, file).unwrap_or(file);
        *counts.entry((own.to_owned(), name.clone())).or_default() += methods;
    }
    Ok(counts)
}

/// What the files define, and the methods that they add to it.
#[derive(Debug, Default)]
struct Found {
    /// The file that is read.
    file: String,
    /// Names of types, and the files that define one of this name.
    definitions: BTreeMap<String, Vec<String>>,
    /// The type's name, the file, and how many methods stand there.
    methods: Vec<(String, String, usize)>,
}

impl Found {
    /// The definition that a name in a file means: of several in its crate the nearest one.
    fn definition(&self, name: &str, file: &str) -> Option<&str> {
        let files = self.definitions.get(name)?.iter();
        let here = files.filter(|other| crate_of(other) == crate_of(file));
        here.max_by_key(|other| shared(other, file))
            .map(String::as_str)
    }

    fn define(&mut self, name: &syn::Ident) {
        let files = self.definitions.entry(name.to_string()).or_default();
        files.push(self.file.clone());
    }

    fn add(&mut self, name: &syn::Ident, methods: usize) {
        let entry = (name.to_string(), self.file.clone(), methods);
        self.methods.push(entry);
    }
}

impl<'ast> Visit<'ast> for Found {
    fn visit_item_struct(&mut self, item: &'ast ItemStruct) {
        self.define(&item.ident);
    }

    fn visit_item_enum(&mut self, item: &'ast ItemEnum) {
        self.define(&item.ident);
    }

    fn visit_item_union(&mut self, item: &'ast ItemUnion) {
        self.define(&item.ident);
    }

    fn visit_item_trait(&mut self, item: &'ast ItemTrait) {
        self.define(&item.ident);
        let methods = item.items.iter();
        let methods = methods.filter(|item| matches!(item, TraitItem::Fn(_)));
        self.add(&item.ident, methods.count());
        visit::visit_item_trait(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        if item.trait_.is_none()
            && let Type::Path(path) = &*item.self_ty
            && let Some(last) = path.path.segments.last()
        {
            let methods = item.items.iter();
            let methods = methods.filter(|item| matches!(item, ImplItem::Fn(_)));
            self.add(&last.ident, methods.count());
        }
        visit::visit_item_impl(self, item);
    }
}

/// The folder of a file's crate: what is before `src`, or `tests` and all that is in it.
fn crate_of(file: &str) -> &str {
    let folder = |part: &str| file.split_once(part).map(|(before, _)| before.len());
    let end = folder("/src/").or_else(|| folder("/tests/").map(|before| before + "/tests".len()));
    &file[..end.unwrap_or(0)]
}

/// How many folders two files have in common; a module's file counts as the folder of its children.
fn shared(one: &str, other: &str) -> usize {
    let modules = |file| {
        let file = Path::new(file).with_extension("");
        let parts: Vec<_> = file
            .components()
            .filter_map(|part| match part {
                Component::Normal(part) if part != "mod" => Some(part.to_owned()),
                _ => None,
            })
            .collect();
        parts
    };
    let (one, other) = (modules(one), modules(other));
    let pairs = one.iter().zip(&other);
    pairs.take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use super::counted;

    fn source(file: &str, text: &str) -> (String, String) {
        (file.to_owned(), text.to_owned())
    }

    fn counts(sources: &[(String, String)]) -> Vec<(String, String, usize)> {
        let counts = counted(sources).unwrap();
        let flat = |((file, name), count)| (file, name, count);
        counts.into_iter().map(flat).collect()
    }

    #[test]
    fn methods_in_several_files_are_of_one_type() {
        let sources = [
            source(
                "a/src/big.rs",
                "pub struct Big<T>(T); impl<T> Big<T> { fn one() {} fn two(&self) {} const N: u8 = 0; }",
            ),
            source(
                "a/src/big/more.rs",
                "use super::Big; impl Big<u8> { fn three(&self) {} } impl Clone for Big<u8> { fn clone(&self) -> Self { Self(0) } }",
            ),
            source(
                "b/src/lib.rs",
                "mod inner { pub struct Big; impl Big { fn one() {} } } trait Small { fn one(); fn two(); }",
            ),
        ];
        let found = counts(&sources);
        let expected = [
            ("a/src/big.rs", "Big", 3),
            ("b/src/lib.rs", "Big", 1),
            ("b/src/lib.rs", "Small", 2),
        ];
        assert_eq!(
            found,
            expected.map(|(file, name, count)| (file.to_owned(), name.to_owned(), count))
        );
    }

    #[test]
    fn of_two_types_of_one_name_each_has_its_own_methods() {
        let sources = [
            source(
                "a/src/hub/state.rs",
                "pub struct State; impl State { fn one() {} }",
            ),
            source("a/src/provider/state.rs", "pub struct State;"),
            source(
                "a/src/provider/token.rs",
                "impl State { fn one() {} fn two() {} }",
            ),
        ];
        let found = counts(&sources);
        let counts: Vec<_> = found.iter().map(|(_, _, count)| *count).collect();
        assert_eq!(counts, [1, 2]);
        assert_eq!(found[1].0, "a/src/provider/state.rs");
    }
}
