//! What is known of an upload: its document, and those of its parts.

use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

use andiron_protocol::Precondition;
use andiron_protocol::{
    CollectionPath, DocumentPath, InputError, Map, Timestamp, Value, Version, Write, WriteKind,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::assembling::Assembly;
use crate::fields::Fields;
use crate::record::settings_map;
use crate::usage::{Reservation, signed};
use crate::{
    ByteStream, ContentType, Digests, FileName, FileSettings, Files, FilesError, Guard, ResumableUpload,
    UploadRequest,
};

/// The collection of uploads.
pub(crate) const UPLOADS: &str = "_uploads";
/// The collection of an upload's parts, under its document.
const PARTS: &str = "parts";
/// Characters of a ULID.
const ULID_CHARS: usize = 26;
/// Characters of the random end of an id: 128 bits, since whoever has no account is known by the id alone.
const RANDOM_CHARS: usize = 32;
/// What stands between a part's own name and its upload's in a blob's key.
const OF_UPLOAD: char = '.';

/// The id of an upload: nobody can guess it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UploadId(String);

impl UploadId {
    pub(super) fn new(ulid: &str, random: [u8; 16]) -> Self {
        let mut id = ulid.to_owned();
        for byte in random {
            // Writing to a string does not fail.
            let _ = write!(id, "{byte:02x}");
        }
        Self(id)
    }

    /// As it stands in a URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn document(&self) -> Result<DocumentPath, InputError> {
        UPLOADS.parse::<CollectionPath>()?.document(&self.0)
    }

    pub(super) fn parts(&self) -> Result<CollectionPath, InputError> {
        format!("{UPLOADS}/{}/{PARTS}", self.0).parse()
    }

    /// The document of the part that begins at an offset.
    pub(super) fn part_document(&self, offset: u64) -> Result<DocumentPath, InputError> {
        // Zeros before the number: documents are in the order of their ids.
        self.parts()?.document(&offset_id(offset))
    }

    /// The key of a part's bytes: of its own, and telling to which upload it belongs.
    pub(super) fn part_key(&self, ulid: &str) -> String {
        format!("{ulid}{OF_UPLOAD}{}", self.0)
    }
}

impl FromStr for UploadId {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        let is_id = text.len() == ULID_CHARS + RANDOM_CHARS
            && text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
        if is_id {
            Ok(Self(text.to_owned()))
        } else {
            Err(InputError::new("this is not the id of an upload"))
        }
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The id of the document of a part that begins at an offset.
pub(super) fn offset_id(offset: u64) -> String {
    format!("{offset:020}")
}

/// The upload whose part has this key, if a key is one of a part.
pub(crate) fn upload_of_part(key: &str) -> Option<UploadId> {
    let (ulid, upload) = key.split_once(OF_UPLOAD)?;
    if ulid.len() != ULID_CHARS {
        return None;
    }
    upload.parse().ok()
}

/// A part: where its bytes are, and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(super) place: PartPlace,
    pub(super) size: u64,
}

/// Where the bytes of a part are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PartPlace {
    /// Under a key of its own.
    Own(String),
    /// In the object that the upload's store puts together, by the store's name for it.
    Within(String),
}

impl Part {
    /// The write that takes it into an upload at an offset, in the place of one that was there.
    pub(super) fn write(&self, id: &UploadId, offset: u64) -> Result<Write, FilesError> {
        let (field, name) = match &self.place {
            PartPlace::Own(key) => ("key", key),
            PartPlace::Within(part) => ("part", part),
        };
        let map = Map::from([
            (field.to_owned(), Value::from(name.as_str())),
            ("size".to_owned(), Value::Integer(signed(self.size))),
        ]);
        Ok(Write {
            path: id.part_document(offset)?,
            kind: WriteKind::Set(map.into()),
            precondition: Precondition::None,
        })
    }

    pub(super) fn from_map(map: &Map, of: &UploadId) -> Result<Self, FilesError> {
        let fields = Fields::new(map, of);
        Ok(Self {
            place: match fields.text("part") {
                Some(part) => PartPlace::Within(part),
                None => PartPlace::Own(fields.needed_text("key")?),
            },
            size: fields.needed_count("size")?,
        })
    }

    /// Its bytes.
    pub(super) async fn read(&self, files: &Files) -> Result<ByteStream, FilesError> {
        match &self.place {
            PartPlace::Own(key) => files.blobs().read(key, 0..self.size).await,
            PartPlace::Within(_) => Err(FilesError::Internal(
                "a part of an object that is being put together cannot be read".to_owned(),
            )),
        }
    }

    /// Removes its bytes, if they lie under a key of its own and nothing is in the way.
    pub(super) async fn remove(&self, files: &Files) {
        if let PartPlace::Own(key) = &self.place
            && let Err(error) = files.blobs().delete(key).await
        {
            tracing::debug!(%error, "a part of an upload that is of no more use stays until its upload has expired");
        }
    }
}

/// An upload under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UploadRecord {
    pub(super) id: UploadId,
    /// The identity of its maker.
    pub(super) owner: String,
    pub(super) name: FileName,
    pub(super) size: Option<u64>,
    pub(super) content_type: Option<ContentType>,
    pub(super) settings: FileSettings,
    pub(super) digests: Digests,
    /// If there was a condition: the version that was there, which has to be there at the end.
    pub(super) seen: Option<Option<Version>>,
    pub(super) offset: u64,
    pub(super) parts: u64,
    /// What was computed of the bytes as far as the offset, or of all if all are there; of uploads that go as they come into a
    /// store on the network.
    pub(super) hashes: Option<Vec<u8>>,
    /// The object that the store is putting together, once there is a part of it.
    pub(super) assembly: Option<Assembly>,
    /// The account that its bytes are reserved for, if it was an account that began it.
    pub(super) account: Option<String>,
    /// Bytes that are reserved for it.
    pub(super) reserved: u64,
    /// Bytes of the file that it takes the place of, for which no more room is needed.
    pub(super) replaces: u64,
    pub(super) is_partial: bool,
    pub(super) is_done: bool,
    pub(super) note: String,
    pub(super) expires: Timestamp,
}

impl Assembly {
    /// As it stands in the upload's document.
    pub(super) fn to_value(&self) -> Value {
        Value::Map(Map::from([
            ("key".to_owned(), Value::from(self.key.as_str())),
            ("id".to_owned(), Value::from(self.id.as_str())),
            ("partBytes".to_owned(), Value::Integer(signed(self.part_bytes))),
            ("sent".to_owned(), Value::Integer(signed(self.sent))),
            ("whole".to_owned(), Value::Boolean(self.is_whole)),
        ]))
    }

    fn from_map(map: &Map, of: &UploadId) -> Result<Self, FilesError> {
        let fields = Fields::new(map, of);
        Ok(Self {
            key: fields.needed_text("key")?,
            id: fields.needed_text("id")?,
            // No part is empty.
            part_bytes: fields.needed_count("partBytes")?.max(1),
            sent: fields.needed_count("sent")?,
            is_whole: fields.flag("whole"),
        })
    }
}

impl UploadRecord {
    pub(super) fn to_map(&self) -> Map {
        let mut map = settings_map(&self.settings);
        let mut put = |name: &str, value: Value| map.insert(name.to_owned(), value);
        put("owner", Value::from(self.owner.as_str()));
        put("bucket", Value::from(self.name.bucket().as_str()));
        put("name", Value::from(self.name.name()));
        put("offset", Value::Integer(signed(self.offset)));
        put("parts", Value::Integer(signed(self.parts)));
        put("reserved", Value::Integer(signed(self.reserved)));
        put("replaces", Value::Integer(signed(self.replaces)));
        if let Some(account) = &self.account {
            put("account", Value::from(account.as_str()));
        }
        if let Some(hashes) = &self.hashes {
            put("hashes", Value::Bytes(hashes.clone()));
        }
        if let Some(assembly) = &self.assembly {
            put("assembly", assembly.to_value());
        }
        put("partial", Value::Boolean(self.is_partial));
        put("done", Value::Boolean(self.is_done));
        put("note", Value::from(self.note.as_str()));
        put("expires", Value::Timestamp(self.expires));
        if let Some(size) = self.size {
            put("size", Value::Integer(signed(size)));
        }
        if let Some(content_type) = &self.content_type {
            put("contentType", Value::from(content_type.as_str()));
        }
        if let Some(sha256) = self.digests.sha256 {
            put("sha256", Value::from(STANDARD.encode(sha256)));
        }
        if let Some(md5) = self.digests.md5 {
            put("md5Hash", Value::from(STANDARD.encode(md5)));
        }
        if let Some(seen) = self.seen {
            let seen = seen.map_or(Value::Null, |version| Value::from(version.to_string()));
            put("seen", seen);
        }
        map
    }

    pub(super) fn from_map(map: &Map, id: &UploadId) -> Result<Self, FilesError> {
        let fields = Fields::new(map, id);
        let bucket = fields.needed_text("bucket")?.parse()?;
        let seen = match map.get("seen") {
            None => None,
            Some(Value::String(version)) => Some(Some(version.parse().map_err(|_| fields.damaged("seen"))?)),
            Some(_) => Some(None),
        };
        Ok(Self {
            id: id.clone(),
            owner: fields.needed_text("owner")?,
            name: FileName::new(bucket, &fields.needed_text("name")?)?,
            size: fields.count("size"),
            content_type: fields.content_type("contentType"),
            settings: fields.settings(),
            digests: Digests {
                sha256: fields.bytes("sha256")?,
                md5: fields.bytes("md5Hash")?,
            },
            seen,
            offset: fields.needed_count("offset")?,
            parts: fields.needed_count("parts")?,
            hashes: match map.get("hashes") {
                Some(Value::Bytes(hashes)) => Some(hashes.clone()),
                _ => None,
            },
            assembly: match map.get("assembly") {
                Some(Value::Map(map)) => Some(Assembly::from_map(map, id)?),
                _ => None,
            },
            account: fields.text("account"),
            // Those of before nothing was reserved have nothing.
            reserved: fields.count("reserved").unwrap_or_default(),
            replaces: fields.count("replaces").unwrap_or_default(),
            is_partial: fields.flag("partial"),
            is_done: fields.flag("done"),
            note: fields.text("note").unwrap_or_default(),
            expires: fields.time("expires")?,
        })
    }

    /// The upload in one go that it comes to.
    pub(super) fn to_request(&self) -> UploadRequest {
        UploadRequest {
            name: self.name.clone(),
            size: self.size,
            content_type: self.content_type.clone(),
            settings: self.settings.clone(),
            digests: self.digests,
            guard: match self.seen {
                Some(seen) => Guard::new(move |version| version == seen),
                None => Guard::none(),
            },
        }
    }

    /// The room that it needs as it stands: for what it is to be, or as far as it has come.
    pub(super) fn needed(&self) -> u64 {
        self.size.unwrap_or(self.offset).saturating_sub(self.replaces)
    }

    /// Whether everything is there and only the file is to be published.
    pub(super) fn is_to_be_published(&self) -> bool {
        !self.is_done && self.assembly.as_ref().is_some_and(|assembly| assembly.is_whole)
    }

    /// Room for this many bytes, counted where its own are.
    pub(super) fn room(&self, bytes: u64) -> Reservation {
        Reservation {
            bucket: self.name.bucket().clone(),
            account: self.account.clone(),
            bytes,
        }
    }

    pub(super) fn to_upload(&self, published: Option<crate::Published>) -> ResumableUpload {
        ResumableUpload {
            id: self.id.clone(),
            offset: self.offset,
            size: self.size,
            is_partial: self.is_partial,
            note: self.note.clone(),
            expires: self.expires,
            published,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_as_it_was() {
        let id = UploadId::new("01jd3k5gqz0000000000000000", [7; 16]);
        assert_eq!(id.as_str().parse::<UploadId>().unwrap(), id);
        for seen in [None, Some(None), Some("12".parse().ok())] {
            let record = UploadRecord {
                id: id.clone(),
                owner: "user:a".to_owned(),
                name: FileName::new("b".parse().unwrap(), "a/b").unwrap(),
                size: Some(9),
                content_type: None,
                settings: FileSettings {
                    metadata: vec![("a".to_owned(), "b".to_owned())],
                    ..FileSettings::default()
                },
                digests: Digests {
                    sha256: Some([1; 32]),
                    md5: None,
                },
                seen,
                offset: 3,
                parts: 1,
                hashes: Some(vec![1, 2, 3]),
                assembly: Some(Assembly {
                    key: "k".to_owned(),
                    id: String::new(),
                    part_bytes: 5,
                    sent: 2,
                    is_whole: true,
                }),
                account: Some("a".to_owned()),
                reserved: 7,
                replaces: 2,
                is_partial: true,
                is_done: false,
                note: "bucket Yg==".to_owned(),
                expires: Timestamp::from_micros_clamped(5),
            };
            assert_eq!(UploadRecord::from_map(&record.to_map(), &id).unwrap(), record);
        }
    }

    #[test]
    fn the_key_of_a_part_tells_its_upload() {
        let id = UploadId::new("01jd3k5gqz0000000000000000", [7; 16]);
        let key = id.part_key("01jd3k5gqz0000000000000001");
        assert_eq!(upload_of_part(&key), Some(id));
        for other in ["01jd3k5gqz0000000000000001", "a.b", ""] {
            assert_eq!(upload_of_part(other), None);
        }
    }
}
