//! The metadata of a file: what stands in its document, and what rules see of it.

use andiron_protocol::{InputError, Map, Timestamp, Value};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::fields::Fields;
use crate::{ContentType, FileName, FilesError};

/// Bytes of the names and values of one file's own metadata.
pub const METADATA_BYTES_MAX: usize = 8 * 1024;
/// Bytes of one of the settings that become headers.
const SETTING_BYTES_MAX: usize = 1024;

/// What the owner of a file says of it, besides its type: most becomes headers when it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileSettings {
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `Content-Disposition`: of it `attachment` and a file name are heeded.
    pub content_disposition: Option<String>,
    /// `Content-Encoding`: one of `gzip`, `br`, `zstd` and `deflate`.
    pub content_encoding: Option<String>,
    /// `Content-Language`.
    pub content_language: Option<String>,
    /// The file's own metadata: names and texts.
    pub metadata: Vec<(String, String)>,
}

impl FileSettings {
    /// Whether all of it may stand in headers and documents; sorts the metadata.
    ///
    /// # Errors
    /// Says which may not.
    pub fn check(&mut self) -> Result<(), InputError> {
        for (field, value) in [
            ("cacheControl", &self.cache_control),
            ("contentDisposition", &self.content_disposition),
            ("contentLanguage", &self.content_language),
        ] {
            let Some(value) = value else { continue };
            if value.len() > SETTING_BYTES_MAX || value.chars().any(char::is_control) {
                return Err(InputError::new(format!(
                    "`{field}` has at most {SETTING_BYTES_MAX} bytes and no control characters"
                ))
                .in_field(field));
            }
        }
        if let Some(encoding) = &self.content_encoding
            && !["gzip", "br", "zstd", "deflate"].contains(&encoding.as_str())
        {
            return Err(
                InputError::new("`contentEncoding` is `gzip`, `br`, `zstd` or `deflate`")
                    .in_field("contentEncoding"),
            );
        }
        self.metadata.sort();
        let bytes: usize = self
            .metadata
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        let is_valid = bytes <= METADATA_BYTES_MAX
            && self.metadata.iter().all(|(name, _)| !name.is_empty())
            && self.metadata.windows(2).all(|pair| pair[0].0 != pair[1].0);
        if !is_valid {
            return Err(InputError::new(format!(
                "`metadata` has at most {METADATA_BYTES_MAX} bytes, each name once and none of them empty"
            ))
            .in_field("metadata"));
        }
        Ok(())
    }
}

/// A file's metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRecord {
    /// Its name.
    pub name: FileName,
    /// Bytes.
    pub size: u64,
    /// What kind of bytes.
    pub content_type: ContentType,
    /// What its owner says of it.
    pub settings: FileSettings,
    /// Which upload of this name it is: grows with every one.
    pub generation: i64,
    /// How often the metadata of this generation were written, from 1.
    pub metageneration: i64,
    /// When the first file of this name was uploaded, of those that were overwritten since.
    pub time_created: Timestamp,
    /// When bytes or metadata last changed.
    pub updated: Timestamp,
    /// The digest of the bytes.
    pub md5: [u8; 16],
    /// The digest of the bytes.
    pub sha256: [u8; 32],
    /// The checksum of the bytes.
    pub crc32c: u32,
    /// The account that uploaded it, if one did: whose quota it counts to.
    pub account: Option<String>,
    /// What the bytes themselves say that they are; empty if nothing.
    pub(crate) sniffed: String,
    /// Where the bytes are.
    pub(crate) key: String,
}

impl FileRecord {
    /// As it stands in the file's document.
    pub(crate) fn to_map(&self) -> Map {
        let mut map = self.settings_map();
        map.extend(self.facts_map());
        let mut put = |name: &str, value: Value| map.insert(name.to_owned(), value);
        put("sha256", Value::from(STANDARD.encode(self.sha256).as_str()));
        put("sniffed", Value::from(self.sniffed.as_str()));
        put("key", Value::from(self.key.as_str()));
        if let Some(account) = &self.account {
            put("account", Value::from(account.as_str()));
        }
        map
    }

    /// As rules see a file that is there.
    pub(crate) fn to_rules(&self, etag: &str) -> Map {
        let mut map = self.settings_map();
        map.extend(self.facts_map());
        map.insert("etag".to_owned(), Value::from(etag));
        map
    }

    fn facts_map(&self) -> Map {
        let text = |text: &str| Value::from(text);
        Map::from([
            ("name".to_owned(), text(self.name.name())),
            ("bucket".to_owned(), text(self.name.bucket().as_str())),
            (
                "size".to_owned(),
                Value::Integer(i64::try_from(self.size).unwrap_or(i64::MAX)),
            ),
            ("contentType".to_owned(), text(self.content_type.as_str())),
            ("generation".to_owned(), Value::Integer(self.generation)),
            ("metageneration".to_owned(), Value::Integer(self.metageneration)),
            ("timeCreated".to_owned(), Value::Timestamp(self.time_created)),
            ("updated".to_owned(), Value::Timestamp(self.updated)),
            ("md5Hash".to_owned(), text(&STANDARD.encode(self.md5))),
            (
                "crc32c".to_owned(),
                text(&STANDARD.encode(self.crc32c.to_be_bytes())),
            ),
        ])
    }

    fn settings_map(&self) -> Map {
        settings_map(&self.settings)
    }

    /// Reads a file's document.
    pub(crate) fn from_map(map: &Map, name: FileName) -> Result<Self, FilesError> {
        let fields = Fields::new(map, &name);
        Ok(Self {
            size: fields.needed_count("size")?,
            content_type: fields
                .content_type("contentType")
                .ok_or_else(|| fields.damaged("contentType"))?,
            settings: fields.settings(),
            generation: fields.integer("generation")?,
            metageneration: fields.integer("metageneration")?,
            time_created: fields.time("timeCreated")?,
            updated: fields.time("updated")?,
            md5: fields.needed_bytes("md5Hash")?,
            sha256: fields.needed_bytes("sha256")?,
            crc32c: u32::from_be_bytes(fields.needed_bytes("crc32c")?),
            account: fields.text("account"),
            sniffed: fields.text("sniffed").unwrap_or_default(),
            key: fields.needed_text("key")?,
            name,
        })
    }
}

/// The settings of a file as they stand in its document and before rules. Rules may ask for `metadata` that are empty.
pub(crate) fn settings_map(settings: &FileSettings) -> Map {
    let mut map = Map::new();
    for (field, value) in [
        ("cacheControl", &settings.cache_control),
        ("contentDisposition", &settings.content_disposition),
        ("contentEncoding", &settings.content_encoding),
        ("contentLanguage", &settings.content_language),
    ] {
        if let Some(value) = value {
            map.insert(field.to_owned(), Value::from(value.as_str()));
        }
    }
    let metadata = settings
        .metadata
        .iter()
        .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
        .collect();
    map.insert("metadata".to_owned(), Value::Map(metadata));
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_as_it_was() {
        let name = FileName::new("b".parse().unwrap(), "a/ü.png").unwrap();
        let record = FileRecord {
            name: name.clone(),
            size: 12,
            content_type: ContentType::parse("image/png").unwrap(),
            settings: FileSettings {
                cache_control: Some("max-age=1".to_owned()),
                metadata: vec![("$a".to_owned(), "x".to_owned()), ("b".to_owned(), String::new())],
                ..FileSettings::default()
            },
            generation: 1_795_326_035_123_456,
            metageneration: 2,
            time_created: Timestamp::from_micros_clamped(5),
            updated: Timestamp::from_micros_clamped(6),
            md5: [7; 16],
            sha256: [8; 32],
            crc32c: 0xdead_beef,
            account: Some("alice".to_owned()),
            sniffed: "image/png".to_owned(),
            key: "k".to_owned(),
        };
        let mut json = Vec::new();
        andiron_protocol::write_data_json(&record.to_map(), &mut json);
        let map = andiron_protocol::data_from_json(&json).unwrap();
        assert_eq!(FileRecord::from_map(&map, name).unwrap(), record);
    }

    #[test]
    fn settings_that_would_break_a_header_are_refused() {
        for mut bad in [
            FileSettings {
                cache_control: Some("a\r\nSet-Cookie: x".to_owned()),
                ..FileSettings::default()
            },
            FileSettings {
                content_encoding: Some("exe".to_owned()),
                ..FileSettings::default()
            },
            FileSettings {
                metadata: vec![("a".to_owned(), "x".repeat(METADATA_BYTES_MAX))],
                ..FileSettings::default()
            },
            FileSettings {
                metadata: vec![("a".to_owned(), String::new()), ("a".to_owned(), String::new())],
                ..FileSettings::default()
            },
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }
}
