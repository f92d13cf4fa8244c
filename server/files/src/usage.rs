//! How many bytes there are, of buckets and of accounts, and that they are not more than there may be.
//!
//! The figures lie in documents that are changed by the very commits that publish and delete files, so they are exact at
//! every version. Where there is a limit, the commit rests on the figure that it was compared with: of many who upload at
//! once nobody gets past it, and who is overtaken compares again.

use andiron_engine::{Caller, StoredDocument};
use andiron_protocol::{
    CollectionPath, DocumentPath, FieldPath, Precondition, Transform, Value, Version, Write, WriteData,
    WriteKind, data_from_json,
};

use crate::fields::Fields;
use crate::{BucketName, BucketSettings, FileRecord, Files, FilesError};

/// The collection of figures.
const USAGE: &str = "_file_usage";

/// How many files there are, and how large they are together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What a figure is of.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Scope {
    Bucket(BucketName),
    AccountInBucket(BucketName, String),
    Account(String),
}

impl Scope {
    fn document(&self) -> Result<DocumentPath, FilesError> {
        let of = |accounts_of: &str, uid: &str| {
            format!("{USAGE}/{accounts_of}/accounts")
                .parse::<CollectionPath>()?
                .document(uid)
        };
        Ok(match self {
            Self::Bucket(bucket) => USAGE.parse::<CollectionPath>()?.document(bucket.as_str())?,
            Self::AccountInBucket(bucket, uid) => of(bucket.as_str(), uid)?,
            // No bucket has a name with a blank in it.
            Self::Account(uid) => of("all buckets", uid)?,
        })
    }

    /// The error that there is no more room in it.
    fn is_full(&self, bytes_max: u64) -> FilesError {
        let of = match self {
            Self::Bucket(_) => "the bucket",
            Self::AccountInBucket(..) => "the account in this bucket",
            Self::Account(_) => "the account",
        };
        FilesError::QuotaExceeded { of, bytes_max }
    }
}

/// What a commit does to one figure.
struct Change {
    scope: Scope,
    files: i64,
    bytes: i64,
    limit: Option<u64>,
}

impl Files {
    /// How much a bucket has.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn bucket_usage(&self, bucket: &BucketName) -> Result<Usage, FilesError> {
        Ok(self.usage(&Scope::Bucket(bucket.clone()).document()?)?.0)
    }

    /// The writes that account for files that go and files that come, if there is room for those.
    ///
    /// # Errors
    /// [`FilesError::QuotaExceeded`].
    pub(crate) fn account_for<'r>(
        &self,
        going: impl IntoIterator<Item = &'r FileRecord>,
        coming: impl IntoIterator<Item = &'r FileRecord>,
    ) -> Result<Vec<Write>, FilesError> {
        let mut changes = Vec::new();
        for record in going {
            self.count(&mut changes, record, -1)?;
        }
        for record in coming {
            self.count(&mut changes, record, 1)?;
        }
        let mut writes = Vec::new();
        for change in changes {
            if change.files == 0 && change.bytes == 0 {
                continue;
            }
            let path = change.scope.document()?;
            let mut precondition = Precondition::None;
            // What becomes less is never too much.
            if let Some(bytes_max) = change.limit
                && change.bytes > 0
            {
                let (usage, version) = self.usage(&path)?;
                if usage.bytes.saturating_add(change.bytes.unsigned_abs()) > bytes_max {
                    return Err(change.scope.is_full(bytes_max));
                }
                precondition = match version {
                    Some(version) => Precondition::Version(version),
                    None => Precondition::Exists(false),
                };
            }
            let by = |number| Transform::Increment(Value::Integer(number));
            let transforms = vec![
                ("files".parse::<FieldPath>()?, by(change.files)),
                ("bytes".parse::<FieldPath>()?, by(change.bytes)),
            ];
            writes.push(Write {
                path,
                kind: WriteKind::Merge(WriteData {
                    transforms,
                    ..WriteData::default()
                }),
                precondition,
            });
        }
        Ok(writes)
    }

    /// Whether this many bytes more have room now, for an upload that is about to begin: it need not begin otherwise.
    ///
    /// # Errors
    /// [`FilesError::QuotaExceeded`].
    pub(crate) fn check_room(
        &self,
        bucket: &BucketName,
        settings: &BucketSettings,
        account: Option<&str>,
        bytes: u64,
    ) -> Result<(), FilesError> {
        for (scope, limit) in self.limits(bucket, settings, account) {
            let Some(bytes_max) = limit else { continue };
            let (usage, _) = self.usage(&scope.document()?)?;
            if usage.bytes.saturating_add(bytes) > bytes_max {
                return Err(scope.is_full(bytes_max));
            }
        }
        Ok(())
    }

    fn count(&self, changes: &mut Vec<Change>, record: &FileRecord, sign: i64) -> Result<(), FilesError> {
        let bucket = record.name.bucket();
        let settings = self.bucket(bucket)?;
        let bytes = sign * i64::try_from(record.size).unwrap_or(i64::MAX);
        for (scope, limit) in self.limits(bucket, &settings, record.account.as_deref()) {
            match changes.iter_mut().find(|change| change.scope == scope) {
                Some(change) => {
                    change.files += sign;
                    change.bytes += bytes;
                }
                None => changes.push(Change {
                    scope,
                    files: sign,
                    bytes,
                    limit,
                }),
            }
        }
        Ok(())
    }

    /// The figures that a file of an account counts to, and their limits.
    fn limits(
        &self,
        bucket: &BucketName,
        settings: &BucketSettings,
        account: Option<&str>,
    ) -> Vec<(Scope, Option<u64>)> {
        let mut limits = vec![(Scope::Bucket(bucket.clone()), settings.bytes_max)];
        if let Some(uid) = account {
            let in_bucket = Scope::AccountInBucket(bucket.clone(), uid.to_owned());
            limits.push((in_bucket, settings.account_bytes_max));
            limits.push((Scope::Account(uid.to_owned()), self.options().account_bytes_max));
        }
        limits
    }

    fn usage(&self, path: &DocumentPath) -> Result<(Usage, Option<Version>), FilesError> {
        let document: Option<StoredDocument> = self.engine().get(&Caller::System, path)?;
        let Some(document) = document else {
            return Ok((Usage::default(), None));
        };
        let map = data_from_json(document.data.as_bytes())
            .map_err(|error| FilesError::Internal(format!("the figures `{path}` cannot be read: {error}")))?;
        let fields = Fields::new(&map, path);
        let usage = Usage {
            files: fields.needed_count("files")?,
            bytes: fields.needed_count("bytes")?,
        };
        Ok((usage, Some(document.version)))
    }
}
