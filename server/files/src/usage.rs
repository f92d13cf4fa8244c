//! How many bytes there are, of buckets and of accounts, and that they are not more than there may be.
//!
//! The figures lie in documents that are changed by the very commits that publish and delete files, so they are exact at
//! every version. What an unfinished upload has said to bring is *reserved* from its beginning to its end. Where there is a
//! limit, the commit has it as a [`Ceiling`] of the figure: of many who upload at once nobody gets past it, and nobody waits for
//! another.

use andiron_engine::{Caller, Ceiling, StoredDocument};
use andiron_protocol::{
    CollectionPath, DocumentPath, FieldPath, Precondition, Transform, Value, Write, WriteData, WriteKind,
    data_from_json,
};

use crate::fields::Fields;
use crate::{BucketName, BucketSettings, FileRecord, Files, FilesError};

/// The collection of figures.
const USAGE: &str = "_file_usage";
/// What is below that, of the figures of one account in all buckets. No bucket has a name with a blank in it.
const ALL_BUCKETS: &str = "all buckets";

/// The figures, as their documents call them.
const FILES: &str = "files";
const BYTES: &str = "bytes";
const RESERVED: &str = "reserved";

/// How many files there are, and how large they are together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that unfinished uploads are going to bring, as far as they have said so.
    pub reserved: u64,
}

impl Usage {
    /// Bytes for which there is no room any more.
    fn taken(&self) -> u64 {
        self.bytes.saturating_add(self.reserved)
    }
}

/// Room that an unfinished upload has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reservation {
    pub(crate) bucket: BucketName,
    /// The account that began it.
    pub(crate) account: Option<String>,
    pub(crate) bytes: u64,
}

/// What a commit changes of what there is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Accounting<'a> {
    /// Files that go.
    pub(crate) going: Vec<&'a FileRecord>,
    /// Files that come.
    pub(crate) coming: Vec<&'a FileRecord>,
    /// Room that is given back.
    pub(crate) released: &'a [Reservation],
    /// Room that is taken.
    pub(crate) reserved: Option<&'a Reservation>,
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
            Self::Account(uid) => of(ALL_BUCKETS, uid)?,
        })
    }

    /// Whether room of an upload is in it.
    fn holds(&self, room: &Reservation) -> bool {
        match self {
            Self::Bucket(bucket) => *bucket == room.bucket,
            Self::AccountInBucket(bucket, uid) => {
                *bucket == room.bucket && room.account.as_ref() == Some(uid)
            }
            Self::Account(uid) => room.account.as_ref() == Some(uid),
        }
    }

    /// The error that there is no more room in it.
    fn is_full(&self, bytes_max: u64) -> FilesError {
        let of = match self {
            Self::Bucket(_) => OF_BUCKET,
            Self::AccountInBucket(..) => OF_ACCOUNT_IN_BUCKET,
            Self::Account(_) => OF_ACCOUNT,
        };
        FilesError::QuotaExceeded { of, bytes_max }
    }
}

const OF_BUCKET: &str = "the bucket";
const OF_ACCOUNT_IN_BUCKET: &str = "the account in this bucket";
const OF_ACCOUNT: &str = "the account";

/// The error that there is no more room, of the document that says how much there is.
pub(crate) fn is_full(figures: &DocumentPath, sum_max: i64) -> FilesError {
    let mut segments = figures.as_str().split('/').skip(1);
    let of = match (segments.next(), segments.next()) {
        (_, None) => OF_BUCKET,
        (Some(ALL_BUCKETS), _) => OF_ACCOUNT,
        _ => OF_ACCOUNT_IN_BUCKET,
    };
    let bytes_max = u64::try_from(sum_max).unwrap_or_default();
    FilesError::QuotaExceeded { of, bytes_max }
}

/// What a commit has to do so that the figures stay right.
#[derive(Debug, Default)]
pub(crate) struct Accounted {
    /// The changes of figures.
    pub(crate) writes: Vec<Write>,
    /// How high those may become.
    pub(crate) ceilings: Vec<Ceiling>,
}

/// What a commit does to one figure.
struct Change {
    scope: Scope,
    files: i64,
    bytes: i64,
    reserved: i64,
    limit: Option<u64>,
}

impl Files {
    /// How much a bucket has.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn bucket_usage(&self, bucket: &BucketName) -> Result<Usage, FilesError> {
        self.usage(&Scope::Bucket(bucket.clone()).document()?)
    }

    /// What accounts for what a commit does. If there is no room for it, the commit fails with [`FilesError::QuotaExceeded`].
    pub(crate) fn account_for(&self, accounting: &Accounting<'_>) -> Result<Accounted, FilesError> {
        let mut changes = Vec::new();
        for (records, sign) in [(&accounting.going, -1), (&accounting.coming, 1)] {
            for record in records {
                let (bucket, account) = (record.name.bucket(), record.account.as_deref());
                self.count(&mut changes, bucket, account, |change| {
                    change.files += sign;
                    change.bytes += sign * signed(record.size);
                })?;
            }
        }
        let released = accounting.released.iter().map(|room| (room, -1));
        for (room, sign) in released.chain(accounting.reserved.map(|room| (room, 1))) {
            self.count(&mut changes, &room.bucket, room.account.as_deref(), |change| {
                change.reserved += sign * signed(room.bytes);
            })?;
        }
        let mut accounted = Accounted::default();
        for change in changes {
            if change.files == 0 && change.bytes == 0 && change.reserved == 0 {
                continue;
            }
            let more = change.bytes.saturating_add(change.reserved);
            let path = change.scope.document()?;
            // What becomes less is never too much.
            if let Some(bytes_max) = change.limit
                && more > 0
            {
                accounted.ceilings.push(Ceiling {
                    path: path.clone(),
                    fields: &[BYTES, RESERVED],
                    sum_max: signed(bytes_max),
                });
            }
            let by = |number| Transform::Increment(Value::Integer(number));
            let transforms = vec![
                (FILES.parse::<FieldPath>()?, by(change.files)),
                (BYTES.parse::<FieldPath>()?, by(change.bytes)),
                (RESERVED.parse::<FieldPath>()?, by(change.reserved)),
            ];
            accounted.writes.push(Write {
                path,
                kind: WriteKind::Merge(WriteData {
                    transforms,
                    ..WriteData::default()
                }),
                precondition: Precondition::None,
            });
        }
        Ok(accounted)
    }

    /// Whether this many bytes more have room now, for an upload that is about to begin: it need not begin otherwise. Its
    /// own reservations are not in its way.
    ///
    /// # Errors
    /// [`FilesError::QuotaExceeded`].
    pub(crate) fn check_room(
        &self,
        bucket: &BucketName,
        settings: &BucketSettings,
        account: Option<&str>,
        bytes: u64,
        own: &[Reservation],
    ) -> Result<(), FilesError> {
        for (scope, limit) in self.limits(bucket, settings, account) {
            let Some(bytes_max) = limit else { continue };
            let usage = self.usage(&scope.document()?)?;
            let own = own.iter().filter(|room| scope.holds(room));
            let own: u64 = own.map(|room| room.bytes).sum();
            if usage.taken().saturating_sub(own).saturating_add(bytes) > bytes_max {
                return Err(scope.is_full(bytes_max));
            }
        }
        Ok(())
    }

    fn count(
        &self,
        changes: &mut Vec<Change>,
        bucket: &BucketName,
        account: Option<&str>,
        apply: impl Fn(&mut Change),
    ) -> Result<(), FilesError> {
        let settings = self.bucket(bucket)?;
        for (scope, limit) in self.limits(bucket, &settings, account) {
            let known = changes.iter().position(|change| change.scope == scope);
            let place = known.unwrap_or_else(|| {
                changes.push(Change {
                    scope,
                    files: 0,
                    bytes: 0,
                    reserved: 0,
                    limit,
                });
                changes.len() - 1
            });
            apply(&mut changes[place]);
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

    fn usage(&self, path: &DocumentPath) -> Result<Usage, FilesError> {
        let document: Option<StoredDocument> = self.engine().get(&Caller::System, path)?;
        let Some(document) = document else {
            return Ok(Usage::default());
        };
        let map = data_from_json(document.data.as_bytes())
            .map_err(|error| FilesError::Internal(format!("the figures `{path}` cannot be read: {error}")))?;
        let fields = Fields::new(&map, path);
        Ok(Usage {
            files: fields.needed_count(FILES)?,
            bytes: fields.needed_count(BYTES)?,
            reserved: fields.count(RESERVED).unwrap_or_default(),
        })
    }
}

/// A number of bytes as documents have numbers.
pub(crate) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
