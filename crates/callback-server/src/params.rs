//! What a query or a form carries. Names that nobody asks for are ignored (RFC 6749, 3.1); a name that is asked for may
//! stand there once.

/// Why a parameter cannot be had.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ParamError {
    /// It is missing, or stands there twice.
    Malformed,
    /// It is longer than it may be.
    TooLong,
}

/// A parsed query or form.
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads `application/x-www-form-urlencoded`.
    pub(crate) fn parse(encoded: &[u8]) -> Self {
        Self(form_urlencoded::parse(encoded).into_owned().collect())
    }

    /// The value of a name, of at most `max` bytes. An empty value is as good as none.
    pub(crate) fn optional(
        &mut self,
        name: &str,
        max: usize,
    ) -> Result<Option<String>, ParamError> {
        let mut found = self.0.iter_mut().filter(|(sent, _)| sent == name);
        let value = found.next().map(|(_, value)| std::mem::take(value));
        if found.next().is_some() {
            return Err(ParamError::Malformed);
        }
        if value.as_ref().is_some_and(|value| value.len() > max) {
            return Err(ParamError::TooLong);
        }
        Ok(value.filter(|value| !value.is_empty()))
    }

    /// As [`Self::optional`], for a value that has to be there.
    pub(crate) fn required(&mut self, name: &str, max: usize) -> Result<String, ParamError> {
        self.optional(name, max)?.ok_or(ParamError::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_p2_a_name_that_stands_there_twice_is_refused() {
        for query in [
            "state=a&state=b",
            "state=a&state=a",
            "state=a&st%61te=b",
            "state=&state=a",
            "state&state",
        ] {
            assert_eq!(
                Params::parse(query.as_bytes()).optional("state", 10),
                Err(ParamError::Malformed),
                "{query}"
            );
        }
        let mut params = Params::parse(b"x=1&state=a%2Bb&x=2&State=c");
        assert_eq!(params.optional("state", 10), Ok(Some("a+b".to_owned())));
        assert_eq!(params.optional("code", 10), Ok(None));
    }

    #[test]
    fn values_have_a_length() {
        assert_eq!(
            Params::parse(b"a=123").required("a", 3),
            Ok("123".to_owned())
        );
        for (query, error) in [
            ("a=1234", ParamError::TooLong),
            ("a=", ParamError::Malformed),
            ("", ParamError::Malformed),
        ] {
            assert_eq!(Params::parse(query.as_bytes()).required("a", 3), Err(error));
        }
    }
}
