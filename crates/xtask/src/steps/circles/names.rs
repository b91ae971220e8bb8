//! What the code of each module names, and in which file that is defined.

use std::path::PathBuf;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItemFn, ItemUse, Macro};

use super::modules::{Module, Modules, Named, imports, is_for_tests};

/// Longer ways from name to name end nowhere.
const LONGEST_WAY: usize = 32;

/// A file, another one that it needs, and the name of what it needs of it.
pub(super) type Need = (PathBuf, PathBuf, String);

/// Everything that files of the crate need of each other.
pub(super) fn needed(modules: &Modules) -> Vec<Need> {
    let mut needs = Vec::new();
    for (index, module) in modules.iter() {
        let mut names = Names::default();
        for item in &module.items {
            names.visit_item(item);
        }
        for path in names.paths {
            let found = resolve(modules, index, &path, LONGEST_WAY);
            let files = found.into_iter().filter_map(|place| match place {
                Place::Item(owner) => Some(&modules.get(owner)?.file),
                Place::Module(_) => None,
            });
            for file in files.filter(|file| **file != module.file) {
                let name = path.iter().rfind(|name| *name != "self");
                let name = name.cloned().unwrap_or_default();
                needs.push((module.file.clone(), file.clone(), name));
            }
        }
    }
    needs
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Module(usize),
    /// Something that this module defines.
    Item(usize),
}

/// What a path stands for in a module. What belongs to an item, such as a method or a variant, counts as the item.
fn resolve(modules: &Modules, from: usize, path: &[String], left: usize) -> Vec<Place> {
    let Some((first, rest)) = path.split_first() else {
        return vec![Place::Module(from)];
    };
    let starts = match first.as_str() {
        "crate" => vec![Place::Module(0)],
        "self" => vec![Place::Module(from)],
        "super" => parent(modules, from).into_iter().collect(),
        name => lookup(modules, from, name, left),
    };
    rest.iter().fold(starts, |places, name| {
        // A function may be called as a module is; only the module leads on.
        let has_module = places.iter().any(|place| matches!(place, Place::Module(_)));
        let leads_on = |place: &Place| !has_module || matches!(place, Place::Module(_));
        let step = |place| match place {
            Place::Item(_) => vec![place],
            Place::Module(_) if name == "self" => vec![place],
            Place::Module(module) if name == "super" => {
                parent(modules, module).into_iter().collect()
            }
            Place::Module(module) => lookup(modules, module, name, left),
        };
        places.into_iter().filter(leads_on).flat_map(step).collect()
    })
}

fn parent(modules: &Modules, module: usize) -> Option<Place> {
    modules.get(module)?.parent.map(Place::Module)
}

/// What a name stands for in a module, followed through imports and exports to where it is defined.
fn lookup(modules: &Modules, module: usize, name: &str, left: usize) -> Vec<Place> {
    let (Some(here), Some(left)) = (modules.get(module), left.checked_sub(1)) else {
        return Vec::new();
    };
    let own = here.names.get(name).into_iter().flatten();
    let own: Vec<_> = own
        .flat_map(|named| match named {
            Named::Module(child) => vec![Place::Module(*child)],
            Named::Item => vec![Place::Item(module)],
            Named::Import(path) => import(modules, module, (path, name), left),
        })
        .collect();
    if own.is_empty() {
        through_globs(modules, (module, here), name, left)
    } else {
        own
    }
}

/// Follows an import. A path that begins with the name that it brings in begins with a child of that name, not with itself.
fn import(
    modules: &Modules,
    module: usize,
    (path, name): (&[String], &str),
    left: usize,
) -> Vec<Place> {
    let Some((first, rest)) = path.split_first().filter(|(first, _)| *first == name) else {
        return resolve(modules, module, path, left);
    };
    let named = modules
        .get(module)
        .and_then(|here| here.names.get(first.as_str()));
    let children = named.into_iter().flatten().filter_map(|named| match named {
        Named::Module(child) => Some(*child),
        Named::Item | Named::Import(_) => None,
    });
    children
        .filter(|_| !rest.is_empty())
        .flat_map(|child| resolve(modules, child, &within(rest), left))
        .collect()
}

/// The path, read inside a module.
fn within(path: &[String]) -> Vec<String> {
    let inside = std::iter::once("self".to_owned());
    inside.chain(path.iter().cloned()).collect()
}

fn through_globs(
    modules: &Modules,
    (module, here): (usize, &Module),
    name: &str,
    left: usize,
) -> Vec<Place> {
    let places = here.globs.iter();
    let places = places.flat_map(|glob| resolve(modules, module, glob, left));
    let inside = places.flat_map(|place| match place {
        Place::Module(other) if other != module => lookup(modules, other, name, left),
        Place::Module(_) | Place::Item(_) => Vec::new(),
    });
    inside.collect()
}

/// Collects the paths of a piece of code.
#[derive(Debug, Default)]
struct Names {
    paths: Vec<Vec<String>>,
}

impl<'ast> Visit<'ast> for Names {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter();
        self.paths
            .push(segments.map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let imports = imports(item).into_iter();
        let needed = imports.filter(|import| !import.is_export);
        self.paths.extend(needed.map(|import| import.path));
    }

    fn visit_macro(&mut self, code: &'ast Macro) {
        self.tokens(code.tokens.clone());
        visit::visit_macro(self, code);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        if !function.attrs.iter().any(is_for_tests) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    /// Attributes name macros of others.
    fn visit_attribute(&mut self, _: &'ast Attribute) {}
}

impl Names {
    /// The paths of code that only a macro understands: names with `::` between them.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.end(&mut path);
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Punct(_) | TokenTree::Literal(_) => {
                    self.end(&mut path);
                    colons = 0;
                }
                TokenTree::Group(group) => {
                    self.end(&mut path);
                    colons = 0;
                    self.tokens(group.stream());
                }
            }
        }
        self.end(&mut path);
    }

    fn end(&mut self, path: &mut Vec<String>) {
        if !path.is_empty() {
            self.paths.push(std::mem::take(path));
        }
    }
}
