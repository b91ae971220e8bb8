//! A challenge (RFC 9110 section 11.6.1): a scheme and its parameters.

/// A parameter of the challenge, quoted or not (RFC 9110 section 11.2).
pub(super) fn parameter<'a>(challenge: &'a str, name: &str) -> Option<&'a str> {
    let mut quoted = false;
    let mut pieces = challenge.split(|character| {
        quoted ^= character == '"';
        character == ',' && !quoted
    });
    pieces.find_map(|piece| {
        let (before, value) = piece.split_once('=')?;
        // The scheme stands before the first.
        let found = before.split_ascii_whitespace().next_back()?;
        let value = value.trim();
        let text = value
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'));
        found
            .eq_ignore_ascii_case(name)
            .then_some(text.unwrap_or(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_read_as_a_parameter_and_from_nowhere_else() {
        for (challenge, expected) in [
            (
                r#"Bearer realm="x", error="invalid_token""#,
                Some("invalid_token"),
            ),
            (
                r#"Bearer error="invalid_token", error_description="no, error=other""#,
                Some("invalid_token"),
            ),
            (
                r#"Bearer realm="https://api/?error=none", error="invalid_token""#,
                Some("invalid_token"),
            ),
            (r#"Bearer realm="a, error=none""#, None),
            ("Bearer error=invalid_token, realm=x", Some("invalid_token")),
            (r#"Bearer Error = "invalid_token""#, Some("invalid_token")),
            (r#"Bearer last_error="x""#, None),
            (r#"Bearer error="""#, Some("")),
            ("Bearer", None),
            ("", None),
        ] {
            assert_eq!(parameter(challenge, "error"), expected, "{challenge}");
        }
    }
}
