//! That the place where bytes are kept can be used, and is this project's: of two projects in one place each would take the
//! other's bytes for those of nobody.

use std::fmt::Write as _;

use andiron_engine::Caller;
use andiron_protocol::{
    CommitBody, DocumentPath, Map, Precondition, Value, Write, WriteKind, data_from_json,
};

use crate::fields::Fields;
use crate::files::is_conflict;
use crate::{Files, FilesError};

/// The document with the name by which a store on the network knows the project.
const PLACE: &str = "_file_place/owner";

impl Files {
    /// Sees whether files can be read and written where they are to be, and that no other project has them there. To be
    /// called before a server takes requests.
    ///
    /// # Errors
    /// [`FilesError::Storage`] says what cannot be done, [`FilesError::PlaceTaken`] that the place is another project's.
    pub async fn claim_place(&self) -> Result<(), FilesError> {
        if !self.blobs().is_remote() {
            return Ok(());
        }
        let owner = self.place_owner().await?;
        self.blobs().claim(&owner).await
    }

    /// Sees whether bytes can be reached. The answer may be some seconds old.
    ///
    /// # Errors
    /// [`FilesError::Storage`] if they cannot.
    pub async fn check_place(&self) -> Result<(), FilesError> {
        self.blobs().check().await
    }

    async fn place_owner(&self) -> Result<String, FilesError> {
        let path: DocumentPath = PLACE.parse()?;
        loop {
            if let Some(document) = self.engine().get(&Caller::System, &path)? {
                let map = data_from_json(document.data.as_bytes())
                    .map_err(|error| FilesError::Internal(format!("`{path}` cannot be read: {error}")))?;
                return Fields::new(&map, &path).needed_text("id");
            }
            let mut random = [0; 16];
            self.engine().fill_random(&mut random);
            let mut id = String::new();
            for byte in random {
                // Writing to a string does not fail.
                let _ = write!(id, "{byte:02x}");
            }
            let body = CommitBody {
                writes: vec![Write {
                    path: path.clone(),
                    kind: WriteKind::Create(Map::from([("id".to_owned(), Value::from(id))]).into()),
                    precondition: Precondition::None,
                }],
                ..CommitBody::default()
            };
            match self.engine().commit(&Caller::System, body, None).await {
                Ok(_) => {}
                Err(error) if is_conflict(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
