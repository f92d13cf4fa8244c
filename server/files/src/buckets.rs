//! Buckets that something is said of: who may read them, what may be put there, how much of it.
//!
//! A bucket of which nothing is said has no limits of its own. What the project's configuration says of a bucket holds;
//! administrators may say it of others, and that lies in documents.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use andiron_engine::{Caller, StoredDocument};
use andiron_protocol::{
    CollectionPath, CommitBody, InputError, Map, Precondition, Query, Source, Value, Write, WriteKind,
    data_from_json,
};

use crate::fields::Fields;
use crate::{BucketName, ContentType, Files, FilesError};

/// The collection of what administrators say of buckets.
const BUCKETS: &str = "_buckets";
/// Buckets that administrators may say something of.
const BUCKETS_MAX: u32 = 1000;
/// Types that one bucket may allow.
const TYPES_MAX: usize = 50;

/// A type that a bucket takes: `image/png`, or `image/*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypePattern(String);

impl TypePattern {
    /// Whether a type is of this kind.
    pub fn matches(&self, content_type: &ContentType) -> bool {
        match self.0.strip_suffix('*') {
            Some(kind) => content_type.essence().starts_with(kind),
            None => content_type.essence() == self.0,
        }
    }
}

impl FromStr for TypePattern {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        let malformed =
            || InputError::new("a type is of the form `image/png` or `image/*`").in_field("types");
        match text.strip_suffix("/*") {
            None if text.contains('*') => return Err(malformed()),
            // With any subtype it has to be a type.
            Some(kind) => ContentType::parse(&format!("{kind}/x")).map(|_| kind),
            None => ContentType::parse(text).and_then(|parsed| {
                (parsed.essence() == parsed.as_str())
                    .then_some("")
                    .ok_or_else(malformed)
            }),
        }
        .map_err(|_| malformed())?;
        Ok(Self(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for TypePattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Which variants of images are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VariantPolicy {
    /// Those that a link is signed for, and the presets.
    #[default]
    Presets,
    /// Whatever is asked for by who may read the image.
    Free,
}

/// What is said of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BucketSettings {
    /// Whether everybody may read its files, by their names, whatever the rules say. Lists are not meant.
    pub public_read: bool,
    /// Bytes of one file.
    pub file_bytes_max: Option<u64>,
    /// Bytes of all its files.
    pub bytes_max: Option<u64>,
    /// Bytes of those of its files that one account has uploaded.
    pub account_bytes_max: Option<u64>,
    /// The types that its files may have; all if there are none.
    pub types: Vec<TypePattern>,
    /// Which variants of its images are made.
    pub variants: VariantPolicy,
}

/// What the project's configuration says of buckets.
pub type BucketList = BTreeMap<BucketName, BucketSettings>;

/// A bucket and what is said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: BucketName,
    /// What is said of it.
    pub settings: BucketSettings,
    /// Whether the project's configuration says so, and not an administrator.
    pub is_declared: bool,
}

impl BucketSettings {
    /// Whether it takes files of this type.
    ///
    /// # Errors
    /// [`FilesError::TypeNotAllowed`].
    pub(crate) fn check_type(&self, content_type: &ContentType) -> Result<(), FilesError> {
        if self.types.is_empty() || self.types.iter().any(|pattern| pattern.matches(content_type)) {
            Ok(())
        } else {
            Err(FilesError::TypeNotAllowed {
                content_type: content_type.as_str().to_owned(),
            })
        }
    }

    fn to_map(&self) -> Map {
        let mut map = Map::new();
        let mut put = |name: &str, value: Value| map.insert(name.to_owned(), value);
        put("publicRead", Value::Boolean(self.public_read));
        put(
            "freeVariants",
            Value::Boolean(self.variants == VariantPolicy::Free),
        );
        let types = self.types.iter().map(|pattern| Value::from(pattern.0.as_str()));
        put("types", Value::Array(types.collect()));
        for (name, limit) in [
            ("fileBytes", self.file_bytes_max),
            ("bytes", self.bytes_max),
            ("accountBytes", self.account_bytes_max),
        ] {
            if let Some(limit) = limit {
                put(name, Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX)));
            }
        }
        map
    }

    fn from_map(map: &Map, of: &str) -> Result<Self, FilesError> {
        let fields = Fields::new(map, of);
        let types = match map.get("types") {
            Some(Value::Array(types)) => types.iter().map(|pattern| match pattern {
                Value::String(pattern) => pattern.parse().map_err(|_| fields.damaged("types")),
                _ => Err(fields.damaged("types")),
            }),
            _ => return Err(fields.damaged("types")),
        };
        Ok(Self {
            public_read: fields.flag("publicRead"),
            file_bytes_max: fields.count("fileBytes"),
            bytes_max: fields.count("bytes"),
            account_bytes_max: fields.count("accountBytes"),
            types: types.collect::<Result<_, _>>()?,
            variants: if fields.flag("freeVariants") {
                VariantPolicy::Free
            } else {
                VariantPolicy::Presets
            },
        })
    }
}

impl Files {
    /// What is said of a bucket; the default if nothing is.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn bucket(&self, name: &BucketName) -> Result<BucketSettings, FilesError> {
        if let Some(declared) = self.options().buckets.get(name) {
            return Ok(declared.clone());
        }
        let path = BUCKETS.parse::<CollectionPath>()?.document(name.as_str())?;
        match self.engine().get(&Caller::System, &path)? {
            Some(document) => read(&document),
            None => Ok(BucketSettings::default()),
        }
    }

    /// The buckets that something is said of, by their names.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn buckets(&self) -> Result<Vec<Bucket>, FilesError> {
        let mut buckets: BTreeMap<BucketName, Bucket> = BTreeMap::new();
        let query = Query {
            limit: Some(BUCKETS_MAX),
            ..Query::all(Source::Collection(BUCKETS.parse()?))
        };
        let found = self.query(query).await?;
        for document in found {
            let name: BucketName = document.path.id().parse()?;
            let bucket = Bucket {
                name: name.clone(),
                settings: read(&document)?,
                is_declared: false,
            };
            buckets.insert(name, bucket);
        }
        for (name, settings) in &self.options().buckets {
            let bucket = Bucket {
                name: name.clone(),
                settings: settings.clone(),
                is_declared: true,
            };
            buckets.insert(name.clone(), bucket);
        }
        Ok(buckets.into_values().collect())
    }

    /// Says something of a bucket. Files that are there stay, whatever it is.
    ///
    /// # Errors
    /// If the configuration says something of it, or there are too many.
    pub async fn set_bucket(&self, name: &BucketName, settings: BucketSettings) -> Result<(), FilesError> {
        if settings.types.len() > TYPES_MAX {
            return Err(
                InputError::new(format!("a bucket allows at most {TYPES_MAX} types"))
                    .in_field("types")
                    .into(),
            );
        }
        let known = self.buckets().await?;
        if known.len() >= BUCKETS_MAX as usize && known.iter().all(|bucket| bucket.name != *name) {
            return Err(InputError::new(format!("there are {BUCKETS_MAX} buckets already")).into());
        }
        self.write_bucket(name, WriteKind::Set(settings.to_map().into()))
            .await
    }

    /// Takes back what was said of a bucket. Its files stay.
    ///
    /// # Errors
    /// If the configuration says something of it.
    pub async fn unset_bucket(&self, name: &BucketName) -> Result<(), FilesError> {
        self.write_bucket(name, WriteKind::Delete).await
    }

    async fn write_bucket(&self, name: &BucketName, kind: WriteKind) -> Result<(), FilesError> {
        if self.options().buckets.contains_key(name) {
            return Err(FilesError::BucketDeclared(name.to_string()));
        }
        let write = Write {
            path: BUCKETS.parse::<CollectionPath>()?.document(name.as_str())?,
            kind,
            precondition: Precondition::None,
        };
        let body = CommitBody {
            writes: vec![write],
            ..CommitBody::default()
        };
        self.engine().commit(&Caller::System, body, None).await?;
        Ok(())
    }
}

fn read(document: &StoredDocument) -> Result<BucketSettings, FilesError> {
    let id = document.path.id();
    let map = data_from_json(document.data.as_bytes())
        .map_err(|error| FilesError::Internal(format!("the bucket `{id}` cannot be read: {error}")))?;
    BucketSettings::from_map(&map, id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_back_as_they_were() {
        let settings = BucketSettings {
            public_read: true,
            file_bytes_max: Some(1),
            bytes_max: Some(2),
            account_bytes_max: None,
            types: vec!["image/*".parse().unwrap(), "text/plain".parse().unwrap()],
            variants: VariantPolicy::Free,
        };
        assert_eq!(
            BucketSettings::from_map(&settings.to_map(), "b").unwrap(),
            settings
        );
    }

    #[test]
    fn patterns_are_types_or_kinds_of_types() {
        let of = |text: &str| ContentType::parse(text).unwrap();
        let images: TypePattern = "image/*".parse().unwrap();
        assert!(images.matches(&of("image/png")) && !images.matches(&of("imagex/png")));
        let plain: TypePattern = "text/plain".parse().unwrap();
        assert!(plain.matches(&of("text/plain; charset=utf-8")) && !plain.matches(&of("text/plainer")));
        for bad in [
            "",
            "*",
            "*/*",
            "image",
            "image/",
            "image/p*",
            "text/plain; charset=x",
            "a b/*",
        ] {
            assert!(bad.parse::<TypePattern>().is_err(), "{bad}");
        }
    }
}
