//! Lists: the files of a bucket that the caller may see, in the order of their names.
//!
//! Every file is put to the rules before it counts, with its own metadata, so that a page, its end and its cursor tell of
//! none that the caller may not list. A cursor is the last name or folder that the caller was shown.

use andiron_engine::{Caller, FileMethod, FileOperation, StoredDocument};
use andiron_protocol::{
    Direction, FieldRef, Filter, InputError, Operator, OrderBy, Query, Source, Value, data_from_json,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::name::{check_prefix, id_of, name_of};
use crate::{BucketName, FileName, FileRecord, Files, FilesError, StoredFile};

/// Documents read at once.
const READ_AT_ONCE: u32 = 200;

/// Which files to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// What their names begin with.
    pub prefix: String,
    /// Whether files in folders behind the prefix are gathered into one entry for each folder.
    pub folders: bool,
    /// The cursor of the page before.
    pub cursor: Option<String>,
    /// Files and folders in the page.
    pub limit: usize,
}

/// A page of files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The files, by name.
    pub files: Vec<StoredFile>,
    /// The folders, each ending with a slash.
    pub folders: Vec<String>,
    /// Where the next page begins; `None` if this is the last.
    pub cursor: Option<String>,
}

impl Files {
    /// Lists files.
    ///
    /// # Errors
    /// If the prefix or the cursor is wrong, or too many files would have to be looked at.
    pub async fn list(
        &self,
        caller: &Caller,
        bucket: &BucketName,
        query: ListQuery,
    ) -> Result<Listing, FilesError> {
        check_prefix(&query.prefix)?;
        let judge = self.engine().file_judge(caller, bucket.as_str())?;
        let prefix = id_of(&query.prefix);
        let mut place = match &query.cursor {
            Some(cursor) => read_cursor(cursor, &query.prefix)?,
            None => Place::From(prefix.clone()),
        };
        let mut listing = Listing::default();
        let mut last_shown = String::new();
        let mut examined = 0;
        'reading: loop {
            let documents = self.read_from(bucket, &place).await?;
            let is_last = documents.len() < READ_AT_ONCE as usize;
            let mut skipped = None;
            for document in documents {
                let id = document.path.id().to_owned();
                if !id.starts_with(&prefix) {
                    break 'reading;
                }
                if skipped
                    .as_ref()
                    .is_some_and(|folder: &String| id.starts_with(folder))
                {
                    continue;
                }
                place = Place::After(id.clone());
                examined += 1;
                if examined > self.options().list_examined_max {
                    return Err(FilesError::ListTooCostly {
                        examined_max: self.options().list_examined_max,
                    });
                }
                let file = stored_file(bucket, &document)?;
                let before = file.to_rules();
                let verdict = judge.decide(FileOperation {
                    method: FileMethod::List,
                    bucket: bucket.as_str(),
                    name: file.record.name.name(),
                    before: Some(&before),
                    after: None,
                    unknown: &[],
                });
                match verdict {
                    Ok(_) => {}
                    Err(andiron_engine::EngineError::PermissionDenied(_)) => continue,
                    Err(error) => return Err(error.into()),
                }
                // One more than the page holds says that there is a next.
                if listing.files.len() + listing.folders.len() == query.limit {
                    listing.cursor = Some(URL_SAFE_NO_PAD.encode(&last_shown));
                    break 'reading;
                }
                let name = file.record.name.name();
                let folder = name[query.prefix.len()..]
                    .find('/')
                    .filter(|_| query.folders)
                    .map(|slash| name[..query.prefix.len() + slash + 1].to_owned());
                match folder {
                    Some(folder) => {
                        let folder_id = id_of(&folder);
                        place = Place::AfterFolder(folder_id.clone());
                        skipped = Some(folder_id);
                        last_shown.clone_from(&folder);
                        listing.folders.push(folder);
                    }
                    None => {
                        name.clone_into(&mut last_shown);
                        listing.files.push(file);
                    }
                }
            }
            if is_last {
                break;
            }
        }
        Ok(listing)
    }

    pub(crate) async fn read_from(
        &self,
        bucket: &BucketName,
        place: &Place,
    ) -> Result<Vec<StoredDocument>, FilesError> {
        let filter = match place {
            Place::From(id) if id.is_empty() => None,
            Place::From(id) => Some((Operator::GreaterOrEqual, id.clone())),
            Place::After(id) => Some((Operator::Greater, id.clone())),
            // The character after the one that stands for a slash: what follows all that is in the folder.
            Place::AfterFolder(id) => Some((Operator::GreaterOrEqual, format!("{} ", &id[..id.len() - 1]))),
        };
        let filter = filter
            .map(|(operator, id)| Filter::compare(FieldRef::Id, operator, Value::from(id.as_str())))
            .transpose()?;
        let query = Query {
            filter,
            order_by: vec![OrderBy {
                field: FieldRef::Id,
                direction: Direction::Ascending,
            }],
            limit: Some(READ_AT_ONCE),
            ..Query::all(Source::Collection(bucket.files()?))
        };
        self.query(query).await
    }
}

/// Where reading goes on, by ids of documents.
pub(crate) enum Place {
    From(String),
    After(String),
    AfterFolder(String),
}

pub(crate) fn stored_file(bucket: &BucketName, document: &StoredDocument) -> Result<StoredFile, FilesError> {
    let damaged = |error: InputError| {
        FilesError::Internal(format!(
            "the document `{}` cannot be read: {error}",
            document.path
        ))
    };
    let name = FileName::new(bucket.clone(), &name_of(document.path.id())).map_err(damaged)?;
    let map = data_from_json(document.data.as_bytes()).map_err(damaged)?;
    Ok(StoredFile {
        record: FileRecord::from_map(&map, name)?,
        version: document.version,
    })
}

fn read_cursor(cursor: &str, prefix: &str) -> Result<Place, FilesError> {
    let shown = URL_SAFE_NO_PAD
        .decode(cursor)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|shown| shown.starts_with(prefix) && check_prefix(shown).is_ok() && !shown.is_empty());
    let Some(shown) = shown else {
        return Err(InputError::new("the cursor is not one of this list")
            .in_field("cursor")
            .into());
    };
    let id = id_of(&shown);
    Ok(if shown.ends_with('/') {
        Place::AfterFolder(id)
    } else {
        Place::After(id)
    })
}
