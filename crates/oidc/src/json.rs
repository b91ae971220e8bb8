//! JSON as a provider may send it: one object, one value for a name, nothing before or after it, no deeper than we look.
//!
//! `serde_json` keeps the last of two equal keys. Two readers of one document could then see two different accounts. Where
//! both have the same value, nobody can; in what is signed a name stands once all the same (RFC 7519 section 4).

use std::fmt;

use hubkey_protocol::bounds::Bound;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// A text that is not one strict JSON object. Says nothing of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not one JSON object with one value for each name")]
pub(crate) struct NotStrict;

/// Reads one object.
pub(crate) fn object(bytes: &[u8]) -> Result<Map<String, Value>, NotStrict> {
    read(bytes, Repeated::WhereEqual)
}

/// Reads one object that is signed.
pub(crate) fn signed_object(bytes: &[u8]) -> Result<Map<String, Value>, NotStrict> {
    read(bytes, Repeated::Never)
}

fn read(bytes: &[u8], repeated: Repeated) -> Result<Map<String, Value>, NotStrict> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Strict {
        depth: Bound::JsonDepth.limit(),
        repeated,
    }
    .deserialize(&mut deserializer)
    .map_err(|_| NotStrict)?;
    deserializer.end().map_err(|_| NotStrict)?;
    match value {
        Value::Object(members) => Ok(members),
        _ => Err(NotStrict),
    }
}

/// A member. One that is `null` is absent.
pub(crate) fn given<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    members.get(name).filter(|value| !value.is_null())
}

/// When a name may stand again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeated {
    WhereEqual,
    Never,
}

#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
    repeated: Repeated,
}

impl Strict {
    fn inside<E: Error>(self) -> Result<Self, E> {
        match self.depth.checked_sub(1) {
            Some(depth) => Ok(Self { depth, ..self }),
            None => Err(E::custom("too deep")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON with one value for each name")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(inside)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut members = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(inside)?;
            let agrees =
                |earlier: &Value| self.repeated == Repeated::WhereEqual && *earlier == value;
            if !members.get(&key).is_none_or(agrees) {
                return Err(Error::custom("two values for one name"));
            }
            members.insert(key, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_honest_object_is_read_as_serde_json_reads_it() {
        let text = r#"{"a":[1,-2,0.5,"x",null,true],"b":{"c":{}}}"#;
        let expected: Value = serde_json::from_str(text).unwrap();
        assert_eq!(Value::Object(object(text.as_bytes()).unwrap()), expected);
    }

    #[test]
    fn security_p77_bom_nan_trailing_bytes_and_repeated_keys_are_refused() {
        for text in [
            "\u{feff}{}",
            r#"{"a":NaN}"#,
            r#"{"a":Infinity}"#,
            r#"{"a":1e999}"#,
            "{}x",
            "{}{}",
            "{} \0",
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"a":1.0}"#,
            r#"{"a":1,"a":null}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            "[]",
            "null",
            "",
            "{'a':1}",
            r#"{"a":1,}"#,
        ] {
            assert_eq!(object(text.as_bytes()), Err(NotStrict), "{text}");
        }
        assert_eq!(object(b"{\"a\":\"\xff\"}"), Err(NotStrict));
    }

    #[test]
    fn found_b1_a_name_that_stands_again_with_the_same_value_says_nothing_new() {
        let text = br#"{"a":1,"b":{"c":[true],"c":[true]},"a":1}"#;
        let read = object(text).unwrap();
        assert_eq!(
            Value::Object(read),
            serde_json::json!({"a": 1, "b": {"c": [true]}})
        );
        assert_eq!(signed_object(text), Err(NotStrict));
        assert_eq!(signed_object(br#"{"a":1}"#), object(br#"{"a":1}"#));
    }

    #[test]
    fn security_p45_depth_is_bounded() {
        let nested = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
        assert!(object(nested(Bound::JsonDepth.limit()).as_bytes()).is_ok());
        for depth in [Bound::JsonDepth.limit() + 1, 10_000] {
            assert_eq!(object(nested(depth).as_bytes()), Err(NotStrict));
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = object(&bytes);
        }
    }
}
