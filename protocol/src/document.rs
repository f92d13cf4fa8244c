//! Documents as they stand in answers, and the body of batch-get.

use serde::ser::{Serialize, SerializeStruct, Serializer};
use serde::{Deserialize, Deserializer, de};

use crate::json_input::object;
use crate::write_json::bounded_paths;
use crate::{DocumentPath, Map, Timestamp, Value, Version};

/// A document with its data read into memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Where it stands.
    pub path: DocumentPath,
    /// The version of the commit that last wrote it.
    pub version: Version,
    /// When it was created.
    pub create_time: Timestamp,
    /// When it was last written: the moment of `version`.
    pub update_time: Timestamp,
    /// Its fields.
    pub data: Map,
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The map as a value, so that a `$` key at the top is written as the protocol wants it.
        let mut fields = serializer.serialize_struct("Document", 6)?;
        fields.serialize_field("path", &self.path)?;
        fields.serialize_field("id", self.path.id())?;
        fields.serialize_field("version", &self.version)?;
        fields.serialize_field("createTime", &self.create_time)?;
        fields.serialize_field("updateTime", &self.update_time)?;
        fields.serialize_field("data", &crate::value_json::MapJson(&self.data))?;
        fields.end()
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        struct Wire {
            path: DocumentPath,
            id: Option<String>,
            version: Version,
            create_time: Timestamp,
            update_time: Timestamp,
            data: Value,
        }
        let wire: Wire = object(deserializer, "a document")?;
        if wire.id.is_some_and(|id| id != wire.path.id()) {
            return Err(de::Error::custom(format!(
                "`id` is not the last segment of the path `{}`",
                wire.path
            )));
        }
        let Value::Map(data) = wire.data else {
            return Err(de::Error::custom("a document's data is a JSON object"));
        };
        Ok(Self {
            path: wire.path,
            version: wire.version,
            create_time: wire.create_time,
            update_time: wire.update_time,
            data,
        })
    }
}

/// The body of `POST /api/v1/batch-get`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct BatchGetBody {
    /// The documents to read, all at one version.
    pub paths: Vec<DocumentPath>,
}

impl<'de> Deserialize<'de> for BatchGetBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            #[serde(deserialize_with = "bounded_paths")]
            paths: Vec<DocumentPath>,
        }
        let wire: Wire = object(deserializer, "the body of a batch-get: {\"paths\": […]}")?;
        Ok(Self { paths: wire.paths })
    }
}

/// Appends a document as it stands in answers, its data passed through as the JSON text that it is stored as.
///
/// `created` and `version` are the versions of the commits that created and last wrote it; `data` must be an object of
/// value JSON.
pub fn write_document_json(
    (collection, id): (&str, &str),
    (created, version): (Version, Version),
    data: &str,
    out: &mut Vec<u8>,
) {
    // Written by hand: this runs for every document of every answer, and the data is text already.
    out.reserve(data.len() + collection.len() + 2 * id.len() + 192);
    out.extend_from_slice(b"{\"path\":");
    crate::write_json_string(collection, out);
    // The id continues the string of the collection: its opening quote is overwritten by the slash.
    out.pop();
    let slash = out.len();
    crate::write_json_string(id, out);
    out[slash] = b'/';
    out.extend_from_slice(b",\"id\":\"");
    out.extend_from_within(slash + 1..out.len() - 7);
    out.extend_from_slice(b",\"version\":\"");
    out.extend_from_slice(itoa::Buffer::new().format(version.as_micros()).as_bytes());
    out.extend_from_slice(b"\",\"createTime\":\"");
    let created_text = created.to_timestamp().to_rfc3339_bytes();
    out.extend_from_slice(&created_text);
    out.extend_from_slice(b"\",\"updateTime\":\"");
    let updated_text = if version == created {
        created_text
    } else {
        version.to_timestamp().to_rfc3339_bytes()
    };
    out.extend_from_slice(&updated_text);
    out.extend_from_slice(b"\",\"data\":");
    out.extend_from_slice(data.as_bytes());
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_written_by_hand_is_what_serde_writes() {
        for (collection, id, data) in [
            ("posts", "p1", "{}"),
            ("a/\"quoted\"/c", "i\\d\n", r#"{"$map":{"$x":1}}"#),
            ("ü", "日本", r#"{"a":[1.0]}"#),
        ] {
            let (created, version) = (
                Version::from_micros(17),
                Version::from_micros(1_795_326_035_123_456),
            );
            let mut json = Vec::new();
            write_document_json((collection, id), (created, version), data, &mut json);
            let document = Document {
                path: format!("{collection}/{id}").parse().unwrap(),
                version,
                create_time: created.to_timestamp(),
                update_time: version.to_timestamp(),
                data: crate::data_from_json(data.as_bytes()).unwrap(),
            };
            assert_eq!(
                String::from_utf8(json).unwrap(),
                serde_json::to_string(&document).unwrap()
            );
        }
    }
}
