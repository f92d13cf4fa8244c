//! Variants of images: smaller, cut, in another format; made when they are asked for and kept beside the image.
//!
//! Who may read an image may read its variants, and nobody else. Which there are is limited by what is said of the bucket:
//! presets and what a link was signed for, or any. What is made is a blob of its own, under the key of the image's bytes: so
//! a variant belongs to those bytes and goes with them.

mod avif;
mod head;
mod parameters;
mod render;
mod resize;
mod work;

pub use parameters::{Fit, VARIANT_SIDE_MAX, Variant, VariantFormat};
pub(crate) use work::VariantWork;

use std::collections::BTreeMap;
use std::sync::Arc;

use andiron_engine::{Caller, StoredDocument};
use andiron_protocol::{
    CollectionPath, CommitBody, InputError, Map, Precondition, Query, Source, Value, Write, WriteKind,
    data_from_json,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::ImageFormat;
use sha2::{Digest as _, Sha256};

use self::render::Plan;
use crate::embedded::{embed, embedded_key};
use crate::fields::Fields;
use crate::files::key_of;
use crate::{ContentType, FileRecord, Files, FilesError, LinkGrant, StoredFile, VariantPolicy};

/// The collection that says which variants there are, under the key of an image.
const VARIANTS: &str = "_file_variants";
/// Bytes of an image of which variants are made.
const SOURCE_BYTES_MAX: u64 = 64 << 20;
/// Bytes of an image that are read before there is memory for the rest: where its head is, in all but odd ones.
const HEAD_BYTES: u64 = 256 << 10;
/// Variants of one image that are kept; more are made anew each time.
const KEPT_MAX: u32 = 50;

/// Variants that have a name.
pub type Presets = BTreeMap<String, Variant>;

impl Files {
    /// The variant that a name stands for.
    ///
    /// # Errors
    /// If there is none of this name.
    pub fn preset(&self, name: &str) -> Result<Variant, InputError> {
        self.options()
            .presets
            .get(name)
            .copied()
            .ok_or_else(|| InputError::new("there is no preset of this name").in_field("variant"))
    }

    /// Whether a variant of a file is made: a preset, what the link says, or any if the bucket's are free.
    ///
    /// # Errors
    /// [`FilesError::VariantNotAllowed`].
    pub fn check_variant(
        &self,
        file: &StoredFile,
        variant: &Variant,
        link: Option<&LinkGrant>,
    ) -> Result<(), FilesError> {
        let is_signed = || {
            let signed = link?.variant.as_deref()?.parse::<Variant>().ok()?;
            Some(signed.to_string() == variant.to_string())
        };
        let text = variant.to_string();
        if self
            .options()
            .presets
            .values()
            .any(|preset| preset.to_string() == text)
            || is_signed() == Some(true)
            || self.bucket(file.record.name.bucket())?.variants == VariantPolicy::Free
        {
            return Ok(());
        }
        Err(FilesError::VariantNotAllowed)
    }

    /// A variant of an image that the caller may read, as if it were a file of its own: the bytes are read by
    /// [`Files::read`].
    ///
    /// # Errors
    /// If the file is no image that can be read here, or too large a one; or too many are wanted at once.
    pub async fn variant(&self, file: &StoredFile, variant: Variant) -> Result<StoredFile, FilesError> {
        if let Some(kept) = self.kept_variant(file, &variant)? {
            return Ok(kept);
        }
        if head::source_format(&file.record.sniffed).is_none() {
            return Err(FilesError::NoImage);
        }
        if file.record.size > SOURCE_BYTES_MAX {
            return Err(FilesError::TooLarge {
                bytes_max: SOURCE_BYTES_MAX,
            });
        }
        let (files, source) = (self.clone(), file.clone());
        let make = async move {
            let made = files.make_variant(&source, variant).await;
            made.map(Arc::new).map_err(Arc::new)
        };
        let made = self
            .variant_work()
            .fulfil((file.record.key.clone(), variant), make)
            .await;
        match made {
            // Whoever asked at another version of the metadata answers with those.
            Ok(made) => Ok(StoredFile {
                record: as_variant_of(file, &made.record),
                version: file.version,
            }),
            Err(error) => Err(FilesError::of_shared(&error)),
        }
    }

    async fn make_variant(&self, file: &StoredFile, variant: Variant) -> Result<StoredFile, FilesError> {
        // Somebody may have been just before.
        if let Some(kept) = self.kept_variant(file, &variant)? {
            return Ok(kept);
        }
        let Some(format) = head::source_format(&file.record.sniffed) else {
            return Err(FilesError::NoImage);
        };
        let (made, encoded_as) = self.render_variant(file, format, variant).await?;
        let is_kept = self.variants_kept(&file.record.key, KEPT_MAX).await?.len() < KEPT_MAX as usize;
        let id = self.engine().generate_id();
        // What is not kept is in no document; it is collected once it is old enough.
        let is_embedded = is_kept && made.len() <= self.options().embedded_bytes_max;
        let key = if is_embedded { embedded_key(&id) } else { id };
        let mut record = file.record.clone();
        record.size = made.len() as u64;
        record.content_type = ContentType::parse(encoded_as.content_type())?;
        record.sha256 = Sha256::digest(&made).into();
        record.key = key;
        let bytes = if is_embedded {
            Some(embed(&record.key, made)?)
        } else {
            let mut writer = self.blobs().write(&record.key);
            writer.write(&made).await?;
            writer.finish().await?;
            None
        };
        if is_kept {
            self.keep_variant(file, &variant, &record, bytes).await?;
        }
        Ok(StoredFile {
            record,
            version: file.version,
        })
    }

    /// Reads an image and makes a variant of it, within the memory that there is for all of them.
    async fn render_variant(
        &self,
        file: &StoredFile,
        format: ImageFormat,
        variant: Variant,
    ) -> Result<(Vec<u8>, VariantFormat), FilesError> {
        let size = file.record.size;
        let mut bytes = Vec::new();
        self.read_on(file, &mut bytes, size.min(HEAD_BYTES)).await?;
        let planned = Plan::of(&bytes, format, variant)?;
        let work = self.variant_work();
        let is_avif = variant.format == Some(VariantFormat::Avif);
        let room = work
            .room(is_avif, planned.map(|plan| plan.memory_bytes(size)))
            .await?;
        bytes.reserve_exact(usize::try_from(size).unwrap_or(0).saturating_sub(bytes.len()));
        self.read_on(file, &mut bytes, size).await?;
        let plan = match planned {
            Some(plan) => plan,
            None => Plan::of(&bytes, format, variant)?.ok_or(FilesError::NoImage)?,
        };
        if plan.memory_bytes(size) > room.memory_bytes {
            return Err(work.too_much());
        }
        let made = room.run(move || plan.render(&bytes)).await?;
        Ok((made, plan.encoded_as()))
    }

    /// Reads a file from where the bytes end that are there, up to some place.
    async fn read_on(&self, file: &StoredFile, bytes: &mut Vec<u8>, until: u64) -> Result<(), FilesError> {
        let from = bytes.len() as u64;
        if from < until {
            let mut source = self.read(file, from..until).await?;
            while let Some(more) = source.next().await? {
                bytes.extend_from_slice(&more);
            }
        }
        Ok(())
    }

    fn kept_variant(&self, file: &StoredFile, variant: &Variant) -> Result<Option<StoredFile>, FilesError> {
        let path = variants_of(&file.record.key)?.document(&variant.to_string())?;
        let Some(document) = self.engine().get(&Caller::System, &path)? else {
            return Ok(None);
        };
        let map = map_of(&document)?;
        let fields = Fields::new(&map, &document.path);
        let mut record = file.record.clone();
        record.size = fields.needed_count("size")?;
        record.content_type = fields
            .content_type("contentType")
            .ok_or_else(|| fields.damaged("contentType"))?;
        record.sha256 = fields.needed_bytes("sha256")?;
        record.key = fields.needed_text("key")?;
        Ok(Some(StoredFile {
            record,
            version: file.version,
        }))
    }

    /// Keeps what was made, with its bytes if they lie in a document.
    async fn keep_variant(
        &self,
        file: &StoredFile,
        variant: &Variant,
        record: &FileRecord,
        bytes: Option<Write>,
    ) -> Result<(), FilesError> {
        let map = Map::from([
            (
                "size".to_owned(),
                Value::Integer(i64::try_from(record.size).unwrap_or(i64::MAX)),
            ),
            (
                "contentType".to_owned(),
                Value::from(record.content_type.as_str()),
            ),
            ("sha256".to_owned(), Value::from(STANDARD.encode(record.sha256))),
            ("key".to_owned(), Value::from(record.key.as_str())),
        ]);
        let mut writes = vec![Write {
            path: variants_of(&file.record.key)?.document(&variant.to_string())?,
            kind: WriteKind::Set(map.into()),
            precondition: Precondition::None,
        }];
        writes.extend(key_of(record)?);
        writes.extend(bytes);
        let body = CommitBody {
            writes,
            ..CommitBody::default()
        };
        self.engine().commit(&Caller::System, body, None).await?;
        Ok(())
    }

    /// Removes the variants of bytes that are being collected.
    pub(crate) async fn collect_variants(&self, key: &str) -> Result<(), FilesError> {
        let kept = self.variants_kept(key, KEPT_MAX + 1).await?;
        if kept.is_empty() {
            return Ok(());
        }
        let mut writes = Vec::new();
        for document in kept {
            let map = map_of(&document)?;
            let key = Fields::new(&map, &document.path).needed_text("key")?;
            writes.extend(self.remove_bytes(&key).await?);
            for path in [document.path, crate::files::key_path(&key)?] {
                writes.push(Write {
                    path,
                    kind: WriteKind::Delete,
                    precondition: Precondition::None,
                });
            }
        }
        let body = CommitBody {
            writes,
            ..CommitBody::default()
        };
        self.engine().commit(&Caller::System, body, None).await?;
        Ok(())
    }

    async fn variants_kept(&self, key: &str, limit: u32) -> Result<Vec<StoredDocument>, FilesError> {
        let query = Query {
            limit: Some(limit),
            ..Query::all(Source::Collection(variants_of(key)?))
        };
        self.query(query).await
    }
}

/// A file's metadata with the bytes of a variant.
fn as_variant_of(file: &StoredFile, made: &FileRecord) -> FileRecord {
    let mut record = file.record.clone();
    record.size = made.size;
    record.content_type = made.content_type.clone();
    record.sha256 = made.sha256;
    record.key.clone_from(&made.key);
    record
}

fn variants_of(key: &str) -> Result<CollectionPath, InputError> {
    format!("{VARIANTS}/{key}/made").parse()
}

fn map_of(document: &StoredDocument) -> Result<Map, FilesError> {
    data_from_json(document.data.as_bytes())
        .map_err(|error| FilesError::Internal(format!("`{}` cannot be read: {error}", document.path)))
}
