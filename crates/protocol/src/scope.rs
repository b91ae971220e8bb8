//! OAuth scopes (RFC 6749 section 3.3).

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::openapi::{
    Ref,
    schema::{ArrayBuilder, Schema, SchemaType, Type},
};

use crate::bounds::Bound;

/// A text that is not one scope.
#[derive(Debug, thiserror::Error)]
#[error("expected a scope: 1 to 255 printable ASCII characters without space, \" and \\")]
pub struct InvalidScope;

/// Texts that are not the scopes of a request.
#[derive(Debug, thiserror::Error)]
pub enum InvalidScopes {
    /// One of them is no scope.
    #[error(transparent)]
    Scope(#[from] InvalidScope),
    /// There is none. That is no way to ask for the default, which a program that computes its scopes would get by mistake.
    #[error("expected at least one scope; leave it out for the default")]
    Empty,
}

/// One scope token.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, utoipa::ToSchema)]
#[schema(pattern = "^[!#-\\[\\]-~]{1,255}$")]
pub struct Scope(String);

impl Scope {
    /// Reads one scope.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidScope> {
        let text = text.into();
        let valid = (1..=Bound::Scope.limit()).contains(&text.len())
            && text
                .bytes()
                .all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
        if valid {
            Ok(Self(text))
        } else {
            Err(InvalidScope)
        }
    }

    /// The scope as it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// Reads the scopes that a request asks for.
pub(crate) fn requested<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Scopes>, D::Error> {
    let scopes = Option::<Scopes>::deserialize(deserializer)?;
    let scopes = scopes.map(Scopes::not_empty).transpose();
    scopes.map_err(serde::de::Error::custom)
}

/// The schema of what [`requested`] reads.
pub(crate) fn requested_schema() -> Schema {
    let list = ArrayBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Array, Type::Null]))
        .items(Ref::from_schema_name("Scope"))
        .min_items(Some(1));
    list.into()
}

/// A set of scopes; in JSON a list, in OAuth one string with spaces.
#[derive(
    Debug,
    Clone,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(transparent)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// Reads a provider's or an operator's space-separated list.
    pub fn parse(text: &str) -> Result<Self, InvalidScope> {
        text.split_ascii_whitespace().map(Scope::parse).collect()
    }

    /// Reads the scopes that a request asks for: at least one.
    pub fn requested(names: impl IntoIterator<Item = String>) -> Result<Self, InvalidScopes> {
        let scopes: Result<Self, InvalidScope> = names.into_iter().map(Scope::parse).collect();
        scopes?.not_empty()
    }

    fn not_empty(self) -> Result<Self, InvalidScopes> {
        if self.0.is_empty() {
            return Err(InvalidScopes::Empty);
        }
        Ok(self)
    }

    /// The OAuth form: names in order, one space between them.
    #[must_use]
    pub fn to_oauth(&self) -> String {
        self.0
            .iter()
            .map(Scope::as_str)
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Whether each of `others` is here too.
    #[must_use]
    pub fn covers(&self, others: &Self) -> bool {
        others.0.is_subset(&self.0)
    }

    /// Each scope, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this one is among them.
    #[must_use]
    pub fn contains(&self, scope: &Scope) -> bool {
        self.0.contains(scope)
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}
