use std::path::Path;

use super::{Arrows, arrows, circles, told};

/// The arrows of a crate of these files.
fn arrows_of(files: &[(&str, &str)]) -> Arrows {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    arrows(folder.path(), Path::new("lib.rs")).unwrap()
}

/// The circles of such a crate, each as the names of its files.
fn circles_of(files: &[(&str, &str)]) -> Vec<String> {
    let arrows = arrows_of(files);
    let names = |circle: &Vec<&Path>| {
        let names: Vec<_> = circle
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        names.join(" ")
    };
    circles(&arrows).iter().map(names).collect()
}

const TWO: (&str, &str) = ("lib.rs", "mod a; mod b;");

#[test]
fn one_direction_is_no_circle() {
    let found = circles_of(&[
        TWO,
        ("a.rs", "use crate::b::B; pub struct A(B);"),
        ("b.rs", "pub struct B;"),
    ]);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_circle_of_use_is_found() {
    let found = circles_of(&[
        TWO,
        ("a.rs", "use super::b::{self, Other as B}; pub struct A(B);"),
        ("b.rs", "use crate::a::A; pub struct Other(Box<A>);"),
    ]);
    assert_eq!(found, ["a.rs b.rs"]);
}

#[test]
fn a_circle_of_paths_in_the_middle_of_code_is_found() {
    let found = circles_of(&[
        TWO,
        ("a.rs", "pub fn a() { if true { super::b::b() } }"),
        (
            "b.rs",
            "pub fn b() { let _: Option<crate::a::Unknown> = None; crate::a::a() }",
        ),
    ]);
    assert_eq!(found, ["a.rs b.rs"]);
}

#[test]
fn a_circle_through_macros_is_found() {
    let found = circles_of(&[
        TWO,
        (
            "a.rs",
            "pub fn a() -> String { format!(\"{}\", [super::b::b()].len()) }",
        ),
        (
            "b.rs",
            "macro_rules! call { () => { $crate::a::a() } } pub fn b() { call!(); }",
        ),
    ]);
    assert_eq!(found, ["a.rs b.rs"]);
}

#[test]
fn a_circle_by_way_of_an_export_is_found() {
    let found = circles_of(&[
        (
            "lib.rs",
            "mod a; mod b; pub use b::*; pub(crate) use a::A as Renamed;",
        ),
        ("a.rs", "use crate::B; pub struct A(B);"),
        ("b.rs", "pub struct B(Box<crate::Renamed>);"),
    ]);
    assert_eq!(found, ["a.rs b.rs"]);
}

#[test]
fn to_own_and_to_export_a_child_is_no_arrow() {
    let found = circles_of(&[
        ("lib.rs", "mod a; pub use a::A; pub struct Root;"),
        ("a.rs", "use super::Root; pub struct A(Root);"),
    ]);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_circle_of_parent_and_child_is_found() {
    let found = circles_of(&[
        ("lib.rs", "mod a;"),
        (
            "a.rs",
            "mod inner; pub struct A; pub fn a() { inner::inner() }",
        ),
        ("a/inner.rs", "use super::A; pub fn inner() { drop(A) }"),
    ]);
    assert_eq!(found, ["a/inner.rs a.rs"]);
}

#[test]
fn a_circle_of_three_names_each_arrow() {
    let arrows = arrows_of(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::b::B; pub struct A(B);"),
        ("b/mod.rs", "use crate::c::C; pub struct B(C);"),
        ("c.rs", "use crate::a::A; pub struct C(Box<A>);"),
    ]);
    let found = circles(&arrows);
    assert_eq!(found.len(), 1);
    let text = told(&found[0], &arrows);
    for arrow in [
        "a.rs needs B of b/mod.rs",
        "b/mod.rs needs C of c.rs",
        "c.rs needs A of a.rs",
    ] {
        assert!(text.contains(arrow), "{text}");
    }
}

#[test]
fn tests_and_inline_modules_are_no_files_of_their_own() {
    let found = circles_of(&[
        TWO,
        (
            "a.rs",
            "pub struct A; mod inner { use super::A; use crate::b::B; pub struct I(A, B); }",
        ),
        (
            "b.rs",
            "pub struct B; #[cfg(test)] mod tests { use crate::a::A; }",
        ),
    ]);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_name_like_its_module_leads_to_what_it_names() {
    let found = circles_of(&[
        ("lib.rs", "mod a; mod b; pub(crate) use a::a;"),
        ("a.rs", "pub fn a() { crate::b::b() }"),
        ("b.rs", "pub fn b() { crate::a() }"),
    ]);
    assert_eq!(found, ["a.rs b.rs"]);
}

#[test]
fn a_function_called_as_its_module_is_not_what_the_module_holds() {
    let found = circles_of(&[
        ("lib.rs", "mod a; mod b; fn a() { b::b() }"),
        ("a.rs", "pub struct A; pub const C: u8 = 0;"),
        (
            "b.rs",
            "use super::a::{self, A}; pub fn b() { drop((A, a::C)) }",
        ),
    ]);
    assert!(found.is_empty(), "{found:?}");
}
