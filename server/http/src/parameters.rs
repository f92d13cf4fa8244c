//! The query string of a URL, read strictly: every parameter is known and given once.

use std::borrow::Cow;
use std::str::FromStr;

use andiron_protocol::InputError;

use crate::resource_path::decode_percent;

/// Parameters of one request.
#[derive(Debug, Default)]
pub(crate) struct Parameters<'q>(Vec<(&'static str, Cow<'q, str>)>);

impl<'q> Parameters<'q> {
    /// Reads a query string in which only the `known` parameters may stand.
    ///
    /// # Errors
    /// If one is unknown, given twice, or not validly encoded. Values are never repeated in the error: somebody may
    /// have put a secret there.
    pub(crate) fn read(query: Option<&'q str>, known: &[&'static str]) -> Result<Self, InputError> {
        let mut parameters = Self::default();
        for pair in query
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
        {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name)?;
            let Some(name) = known.iter().find(|known| **known == name) else {
                return Err(unknown(&name, known));
            };
            if parameters.get(name).is_some() {
                return Err(InputError::new(format!("the parameter `{name}` is given twice")).in_field(*name));
            }
            let value = decode(value).map_err(|error| error.in_field(*name))?;
            parameters.0.push((name, value));
        }
        Ok(parameters)
    }

    /// The value of a parameter, if it is given.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(given, _)| *given == name)
            .map(|(_, value)| &**value)
    }

    /// A parameter that is `true` or `false`; false if it is not given.
    pub(crate) fn flag(&self, name: &'static str) -> Result<bool, InputError> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(InputError::new(format!("`{name}` is `true` or `false`")).in_field(name)),
        }
    }

    /// A parameter of some type.
    pub(crate) fn parsed<T: FromStr<Err = InputError>>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, InputError> {
        self.get(name)
            .map(|value| value.parse().map_err(|error: InputError| error.in_field(name)))
            .transpose()
    }

    /// A parameter that is a list, its parts separated by commas; a comma between backticks separates nothing.
    pub(crate) fn list<T>(
        &self,
        name: &'static str,
        read: impl Fn(&str) -> Result<T, InputError>,
    ) -> Result<Option<Vec<T>>, InputError> {
        let Some(list) = self.get(name) else {
            return Ok(None);
        };
        split_list(list)
            .into_iter()
            .map(|part| read(part).map_err(|error| error.in_field(name)))
            .collect::<Result<_, _>>()
            .map(Some)
    }
}

fn unknown(name: &str, known: &[&str]) -> InputError {
    const NAME_CHARS_SHOWN_MAX: usize = 40;
    let shown: String = name
        .chars()
        .filter(|character| !character.is_control())
        .take(NAME_CHARS_SHOWN_MAX)
        .collect();
    let detail = if known.is_empty() {
        format!("`{shown}` is not a parameter here: this call takes none")
    } else {
        format!(
            "`{shown}` is not a parameter here: this call takes `{}`",
            known.join("`, `")
        )
    };
    InputError::new(detail)
}

/// Decodes a name or value as forms encode it: `+` is a blank.
fn decode(encoded: &str) -> Result<Cow<'_, str>, InputError> {
    if !encoded.contains(['%', '+']) {
        return Ok(Cow::Borrowed(encoded));
    }
    let with_blanks: Vec<u8> = encoded
        .bytes()
        .map(|byte| if byte == b'+' { b' ' } else { byte })
        .collect();
    let decoded = decode_percent(&with_blanks).ok_or_else(|| {
        InputError::new("a `%` in the URL's query is not followed by two hexadecimal digits")
    })?;
    String::from_utf8(decoded)
        .map(Cow::Owned)
        .map_err(|_| InputError::new("the URL's query is not UTF-8 when its `%` are decoded"))
}

fn split_list(list: &str) -> Vec<&str> {
    let (mut parts, mut start, mut is_quoted, mut is_escaped) = (Vec::new(), 0, false, false);
    for (index, character) in list.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '`' => is_quoted = !is_quoted,
            ',' if !is_quoted => {
                parts.push(&list[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&list[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_as_forms_encode_them() {
        let parameters =
            Parameters::read(Some("filter=a+%3D%3D%201%2B1&limit=5&"), &["filter", "limit"]).unwrap();
        assert_eq!(parameters.get("filter"), Some("a == 1+1"));
        assert_eq!(parameters.get("limit"), Some("5"));
        assert_eq!(parameters.get("cursor"), None);
    }

    #[test]
    fn unknown_repeated_and_badly_encoded_parameters_are_refused_without_their_values() {
        for query in [
            "token=s3cret",
            "limit=1&limit=s3cret",
            "limit=%zs3cret",
            "limit=%ffs3cret",
            "%ff=s3cret",
            "=s3cret",
        ] {
            let error = Parameters::read(Some(query), &["limit"]).unwrap_err();
            assert!(!error.detail.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn commas_in_backticks_do_not_separate() {
        assert_eq!(split_list(r"a,`b,\`,c`.d,e"), ["a", r"`b,\`,c`.d", "e"]);
        assert_eq!(split_list(""), [""]);
    }
}
