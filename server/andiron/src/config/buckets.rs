//! `[buckets.NAME]` in `andiron.toml`: what the project says of its buckets.

use std::path::Path;

use andiron_files::{BucketList, BucketName, BucketSettings, VariantPolicy};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::ConfigError;
use super::file::line_at;
use super::value::{ByteCount, SettingValue};

/// The table's name.
pub(crate) const TABLE: &str = "buckets";
/// What can be said of a bucket.
const KEYS: [&str; 6] = [
    "public_read",
    "file_bytes",
    "bytes",
    "account_bytes",
    "types",
    "free_variants",
];

/// Reads the table of buckets.
pub(crate) fn read(path: &Path, text: &str, table: &DeTable<'_>) -> Result<BucketList, ConfigError> {
    let mut buckets = BucketList::new();
    for (name, value) in table {
        let refuse = |at: usize, detail: String| ConfigError {
            place: format!("{}:{}", path.display(), line_at(text, at)),
            detail,
        };
        let start = name.span().start;
        let bucket: BucketName = name
            .get_ref()
            .parse()
            .map_err(|error: andiron_protocol::InputError| refuse(start, error.detail))?;
        let DeValue::Table(said) = value.get_ref() else {
            return Err(refuse(start, format!("`{TABLE}.{bucket}` is a table")));
        };
        let mut settings = BucketSettings::default();
        for (key, value) in said {
            set(&mut settings, key.get_ref(), value).map_err(|detail| refuse(key.span().start, detail))?;
        }
        buckets.insert(bucket, settings);
    }
    Ok(buckets)
}

fn set(settings: &mut BucketSettings, key: &str, value: &Spanned<DeValue<'_>>) -> Result<(), String> {
    let flag = || match value.get_ref() {
        DeValue::Boolean(flag) => Ok(*flag),
        _ => Err(format!("`{key}` is `true` or `false`")),
    };
    let bytes = || {
        match value.get_ref() {
            DeValue::String(text) => ByteCount::parse(text).map(|count| Some(count.0)),
            _ => None,
        }
        .ok_or_else(|| format!("`{key}` is {}", ByteCount::FORM))
    };
    match key {
        "public_read" => settings.public_read = flag()?,
        "free_variants" if flag()? => settings.variants = VariantPolicy::Free,
        "free_variants" => settings.variants = VariantPolicy::Presets,
        "file_bytes" => settings.file_bytes_max = bytes()?,
        "bytes" => settings.bytes_max = bytes()?,
        "account_bytes" => settings.account_bytes_max = bytes()?,
        "types" => {
            let DeValue::Array(types) = value.get_ref() else {
                return Err("`types` is a list of types, as in [\"image/*\"]".to_owned());
            };
            for pattern in types {
                let pattern = pattern.get_ref().as_str().unwrap_or_default();
                let pattern = pattern
                    .parse()
                    .map_err(|error: andiron_protocol::InputError| error.detail)?;
                settings.types.push(pattern);
            }
        }
        other => return Err(format!("a bucket has no `{other}`, but `{}`", KEYS.join("`, `"))),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<BucketList, ConfigError> {
        let table = DeTable::parse(text).unwrap();
        read(Path::new("andiron.toml"), text, table.get_ref())
    }

    #[test]
    fn buckets_are_read_with_their_limits() {
        let buckets =
            of("[avatars]\npublic_read = true\nfile_bytes = \"2MiB\"\ntypes = [\"image/*\"]\n[docs]\n")
                .unwrap();
        let avatars = &buckets[&"avatars".parse().unwrap()];
        assert!(avatars.public_read);
        assert_eq!(avatars.file_bytes_max, Some(2 << 20));
        assert_eq!(avatars.types[0].to_string(), "image/*");
        assert_eq!(buckets[&"docs".parse().unwrap()], BucketSettings::default());
    }

    #[test]
    fn what_has_no_meaning_is_said_with_its_line() {
        for (text, line, said) in [
            ("[Photos]", 1, "lowercase"),
            (
                "[a]\npublic = true",
                2,
                "a bucket has no `public`, but `public_read`",
            ),
            ("[a]\n\nfile_bytes = 3", 3, "a number of bytes"),
            ("[a]\ntypes = \"image/png\"", 2, "a list of types"),
            ("[a]\ntypes = [\"image\"]", 2, "`image/png`"),
            ("a = 1", 1, "is a table"),
        ] {
            let error = of(text).unwrap_err();
            assert_eq!(error.place, format!("andiron.toml:{line}"), "{text}");
            assert!(error.detail.contains(said), "{}", error.detail);
        }
    }
}
