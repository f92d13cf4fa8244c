//! Reading `andiron.toml` into keys and texts, each with its line.

use std::path::Path;

use andiron_files::BucketList;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::settings::SETTINGS;
use crate::config::{ConfigError, buckets, unknown};

/// One value of the file.
pub(crate) struct Entry {
    pub(crate) key: String,
    /// In the text form of settings.
    pub(crate) value: String,
    /// The 1-based line of the key.
    pub(crate) line: usize,
}

/// Every value of a configuration file, in the order of the file, and what it says of buckets.
pub(crate) fn entries(path: &Path, text: &str) -> Result<(Vec<Entry>, BucketList), ConfigError> {
    let root = DeTable::parse(text).map_err(|error| ConfigError {
        place: format!(
            "{}:{}",
            path.display(),
            line_at(text, error.span().map_or(0, |span| span.start))
        ),
        detail: format!("this is not TOML: {}", error.message()),
    })?;
    let (mut found, mut of_buckets) = (Vec::new(), BucketList::new());
    for (key, value) in root.get_ref() {
        let place = |at: usize| format!("{}:{}", path.display(), line_at(text, at));
        let start = key.span().start;
        match value.get_ref() {
            DeValue::Table(table) if key.get_ref() == buckets::TABLE => {
                of_buckets = buckets::read(path, text, table)?;
            }
            DeValue::Table(table) => {
                let prefix = format!("{}.", key.get_ref());
                if !SETTINGS.iter().any(|setting| setting.key.starts_with(&prefix)) {
                    let tables = SETTINGS.iter().filter_map(|setting| setting.key.split_once('.'));
                    return Err(ConfigError {
                        place: place(start),
                        detail: unknown("table", key.get_ref(), tables.map(|(table, _)| table)),
                    });
                }
                for (name, value) in table {
                    found.push(entry(
                        path,
                        text,
                        format!("{prefix}{}", name.get_ref()),
                        name.span().start,
                        value,
                    )?);
                }
            }
            _ => found.push(entry(path, text, key.get_ref().to_string(), start, value)?),
        }
    }
    found.sort_by_key(|entry| entry.line);
    Ok((found, of_buckets))
}

fn entry(
    path: &Path,
    text: &str,
    key: String,
    start: usize,
    value: &Spanned<DeValue<'_>>,
) -> Result<Entry, ConfigError> {
    let line = line_at(text, start);
    match text_of(value.get_ref()) {
        Some(value) => Ok(Entry { key, value, line }),
        None => Err(ConfigError {
            place: format!("{}:{line}", path.display()),
            detail: match crate::config::setting(&key) {
                Some((_, setting)) => format!("this is not a value of `{key}`: expected {}", setting.form),
                None => unknown("setting", &key, SETTINGS.iter().map(|setting| setting.key)),
            },
        }),
    }
}

/// The text form of a value; `None` for what no setting has.
fn text_of(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(integer) => Some(integer.to_string()),
        DeValue::Boolean(boolean) => Some(boolean.to_string()),
        DeValue::Array(elements) => {
            let texts: Option<Vec<_>> = elements
                .iter()
                .map(|element| element.get_ref().as_str().filter(|text| !text.contains(',')))
                .collect();
            texts.map(|texts| texts.join(","))
        }
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}

pub(crate) fn line_at(text: &str, offset: usize) -> usize {
    1 + text.as_bytes()[..offset.min(text.len())]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
}
