//! The modules of one crate: what each defines, and what it imports.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use syn::{Attribute, Ident, Item, ItemMod, ItemUse, UseTree, Visibility, parse_quote};

/// Gives the text of a file of the crate.
pub(super) type ReadFile<'a> = dyn Fn(&Path) -> anyhow::Result<String> + 'a;

/// All modules of a crate; the first is its root.
#[derive(Debug, Default)]
pub(super) struct Modules(Vec<Module>);

/// One module.
#[derive(Debug)]
pub(super) struct Module {
    pub(super) file: PathBuf,
    pub(super) parent: Option<usize>,
    pub(super) names: BTreeMap<String, Vec<Named>>,
    /// What is imported by `*`.
    pub(super) globs: Vec<Vec<String>>,
    pub(super) items: Vec<Item>,
}

/// What a name stands for in a module. One name may be a type, a value and a module.
#[derive(Debug)]
pub(super) enum Named {
    /// A child module.
    Module(usize),
    /// Something that is defined in the module itself.
    Item,
    /// Something that is imported by this path.
    Import(Vec<String>),
}

/// One name or `*` that a `use` brings in.
#[derive(Debug)]
pub(super) struct Import {
    pub(super) path: Vec<String>,
    /// The name here; none for `*` and for `_`.
    pub(super) name: Option<String>,
    pub(super) is_glob: bool,
    /// Whether others get it from here too.
    pub(super) is_export: bool,
}

impl Modules {
    pub(super) fn get(&self, index: usize) -> Option<&Module> {
        self.0.get(index)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Module)> {
        self.0.iter().enumerate()
    }
}

/// Reads the crate whose root is this file, without its tests.
pub(super) fn read(root: &Path, file: &ReadFile<'_>) -> anyhow::Result<Modules> {
    let mut reader = Reader {
        file,
        modules: Modules::default(),
    };
    let folder = root.parent().unwrap_or(Path::new("")).to_owned();
    reader.file_module(root, &folder, None)?;
    Ok(reader.modules)
}

struct Reader<'a> {
    file: &'a ReadFile<'a>,
    modules: Modules,
}

impl Reader<'_> {
    /// A module with a file of its own. Its children are in `folder`.
    fn file_module(
        &mut self,
        file: &Path,
        folder: &Path,
        parent: Option<usize>,
    ) -> anyhow::Result<usize> {
        let text = (self.file)(file)?;
        let parsed =
            syn::parse_file(&text).with_context(|| format!("parsing {}", file.display()))?;
        self.module(file, folder, parent, parsed.items)
    }

    fn module(
        &mut self,
        file: &Path,
        folder: &Path,
        parent: Option<usize>,
        items: Vec<Item>,
    ) -> anyhow::Result<usize> {
        let index = self.modules.0.len();
        self.modules.0.push(Module {
            file: file.to_owned(),
            parent,
            names: BTreeMap::new(),
            globs: Vec::new(),
            items: Vec::new(),
        });
        let mut kept = Vec::new();
        for item in items {
            if attributes(&item).iter().any(is_for_tests) {
                continue;
            }
            match item {
                Item::Mod(child) => self.child(index, file, folder, child)?,
                Item::Use(item) => {
                    self.import(index, &item);
                    kept.push(Item::Use(item));
                }
                item => {
                    if let Some(name) = defined(&item) {
                        self.name(index, name.to_string(), Named::Item);
                    }
                    kept.push(item);
                }
            }
        }
        if let Some(module) = self.modules.0.get_mut(index) {
            module.items = kept;
        }
        Ok(index)
    }

    fn child(
        &mut self,
        parent: usize,
        file: &Path,
        folder: &Path,
        child: ItemMod,
    ) -> anyhow::Result<()> {
        let name = child.ident.to_string();
        let inner = folder.join(name.trim_start_matches("r#"));
        let index = if let Some((_, items)) = child.content {
            self.module(file, &inner, Some(parent), items)?
        } else {
            let flat = inner.with_extension("rs");
            let own = if (self.file)(&flat).is_ok() {
                flat
            } else {
                inner.join("mod.rs")
            };
            self.file_module(&own, &inner, Some(parent))?
        };
        self.name(parent, name, Named::Module(index));
        Ok(())
    }

    fn import(&mut self, index: usize, item: &ItemUse) {
        for import in imports(item) {
            if let Some(name) = import.name {
                self.name(index, name, Named::Import(import.path));
            } else if import.is_glob
                && let Some(module) = self.modules.0.get_mut(index)
            {
                module.globs.push(import.path);
            }
        }
    }

    fn name(&mut self, index: usize, name: String, named: Named) {
        if let Some(module) = self.modules.0.get_mut(index) {
            module.names.entry(name).or_default().push(named);
        }
    }
}

/// Each name that a `use` brings in.
pub(super) fn imports(item: &ItemUse) -> Vec<Import> {
    let mut found = Vec::new();
    let is_export = !matches!(item.vis, Visibility::Inherited);
    collect(&item.tree, &mut Vec::new(), is_export, &mut found);
    found
}

fn collect(tree: &UseTree, path: &mut Vec<String>, is_export: bool, found: &mut Vec<Import>) {
    let mut add = |path: Vec<String>, name: Option<String>, is_glob| {
        found.push(Import {
            path,
            name,
            is_glob,
            is_export,
        });
    };
    match tree {
        UseTree::Path(part) => {
            path.push(part.ident.to_string());
            collect(&part.tree, path, is_export, found);
            path.pop();
        }
        // A module or a type, and never a function of that name: the `self` stays at the end of the path.
        UseTree::Name(name) if name.ident == "self" => {
            add(with(path, &name.ident), path.last().cloned(), false);
        }
        UseTree::Name(name) => add(with(path, &name.ident), Some(name.ident.to_string()), false),
        UseTree::Rename(rename) => {
            let name = Some(rename.rename.to_string()).filter(|name| name != "_");
            add(with(path, &rename.ident), name, false);
        }
        UseTree::Glob(_) => add(path.clone(), None, true),
        UseTree::Group(group) => {
            for tree in &group.items {
                collect(tree, path, is_export, found);
            }
        }
    }
}

fn with(path: &[String], last: &Ident) -> Vec<String> {
    let mut path = path.to_vec();
    path.push(last.to_string());
    path
}

fn defined(item: &Item) -> Option<&Ident> {
    Some(match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        _ => return None,
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether it is `#[cfg(test)]`.
pub(super) fn is_for_tests(attribute: &Attribute) -> bool {
    let test: Attribute = parse_quote!(#[cfg(test)]);
    *attribute == test
}
