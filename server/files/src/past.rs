//! Files as they were: the metadata of then, from the history of their documents, and the bytes, which are kept as long.

use andiron_engine::{Caller, FileMethod};
use andiron_protocol::Version;

use crate::embedded::{is_embedded, past_key};
use crate::files::key_path;
use crate::list::stored_file;
use crate::{FileName, Files, FilesError, StoredFile};

impl Files {
    /// The file as it was right after the last commit at or before `version`. Its bytes are read by [`Files::read`].
    ///
    /// As of documents, rules are asked twice, about the file as it was and as it is now, and both must allow it to be read. That
    /// a bucket's files are everybody's to read is said of them as they are: the past of such a bucket is for the rules, too.
    ///
    /// # Errors
    /// If the caller may not read it, the version is yet to come, or the history does not reach back that far.
    pub fn get_at(
        &self,
        caller: &Caller,
        name: &FileName,
        version: Version,
    ) -> Result<Option<StoredFile>, FilesError> {
        // First whether the caller may know anything at all.
        let _ = self.judge(caller, FileMethod::Get, name, self.find(name)?.as_ref(), None)?;
        let refuse = |text: String| Err(FilesError::OutOfRange(text));
        let newest = self.engine().version()?;
        if version > newest {
            return refuse(format!(
                "the version {version} is yet to come: the newest is {newest}"
            ));
        }
        let document = self
            .engine()
            .get_at(&Caller::System, &name.document()?, version)?;
        let past = document
            .map(|document| stored_file(name.bucket(), &document))
            .transpose()?;
        let _ = self.judge(caller, FileMethod::Get, name, past.as_ref(), None)?;
        let Some(mut file) = past else {
            return Ok(None);
        };
        let key = &file.record.key;
        if !is_embedded(key) && self.engine().get(&Caller::System, &key_path(key)?)?.is_none() {
            return refuse(format!(
                "the bytes of `{name}` as it was at {version} are not kept any more"
            ));
        }
        file.record.key = past_key(key, version);
        Ok(Some(file))
    }
}
