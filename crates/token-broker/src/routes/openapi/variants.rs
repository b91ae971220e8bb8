//! Gives each form of a message that has several a schema with a name, and says which member tells them apart. Generators of
//! clients make a type of each; of forms without a name they make none.

use std::collections::BTreeMap;

use utoipa::openapi::{
    OpenApi, Ref, RefOr,
    schema::{Discriminator, Object, Schema},
};

/// The member by which the forms of a message are told apart.
const TAG: &str = "status";

/// Names the forms of every message of the document.
pub(super) fn name(document: &mut OpenApi) {
    let schemas = &mut document.components.get_or_insert_default().schemas;
    let mut named = BTreeMap::new();
    for (message, schema) in schemas.iter_mut() {
        if let RefOr::T(Schema::OneOf(forms)) = schema {
            let mut mapping = BTreeMap::new();
            for form in &mut forms.items {
                if let Some(tag) = tag(form) {
                    let name = format!("{message}{}", capitalised(&tag));
                    let reference = Ref::from_schema_name(&name);
                    mapping.insert(tag, reference.ref_location.clone());
                    named.insert(name, std::mem::replace(form, reference.into()));
                }
            }
            forms.discriminator = Some(Discriminator::with_mapping(TAG, mapping));
        }
    }
    schemas.extend(named);
}

/// The word that tells a form from the others, where the form is written out.
fn tag(form: &RefOr<Schema>) -> Option<String> {
    match form {
        RefOr::T(Schema::Object(object)) => tag_of(object),
        RefOr::T(Schema::AllOf(parts)) => parts.items.iter().find_map(tag),
        _ => None,
    }
}

fn tag_of(object: &Object) -> Option<String> {
    let RefOr::T(Schema::Object(tag)) = object.properties.get(TAG)? else {
        return None;
    };
    let word = tag.enum_values.as_ref()?.first()?;
    Some(word.as_str()?.to_owned())
}

/// `connected` as `Connected`.
fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_ascii_uppercase() + rest
}
