//! `andiron backup` and `andiron restore`: everything of a project at one moment, while it is written to, and back.
//!
//! The database is copied first, as it was at one moment, and the bytes of files after it. Each of those is written once and
//! never changed, and stays for as long as the past does though its file is overwritten or deleted: so what the copy of the
//! database names is among what is copied. A backup has its name once it is whole and on the disk.

use std::fs::{DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use andiron_store_sqlite::DATABASE_FILE;
use bytes::Bytes;
use clap::Args;
use http::Method;

use crate::AndironError;
use crate::cli::FolderArguments;
use crate::cli::connection::{Expectation, Session};
use crate::cli::doctor;
use crate::cli::output::{counted, grouped, note};
use crate::cli::progress::{Done, Progress};
use crate::files::FILES_FOLDER;
use crate::local_api::{COPY, Copied, CopyOrder};
use crate::project::Project;

/// What the name of a copy ends with that is not whole.
const UNFINISHED: &str = ".unfinished";

#[derive(Debug, Args)]
#[command(after_help = "\
The server may run and be written to; a backup is of one moment all the same. It has the documents, accounts, keys, rules, \
history and files. andiron.toml, the rules files and what the environment says are not in it. Files in a store of \
`files.store` stay there: have that keep versions, or copy it after the backup.")]
pub(crate) struct BackupArguments {
    /// The folder to make, on another disk if the backup is to outlive this one
    to: PathBuf,
    #[command(flatten)]
    folder: FolderArguments,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The project must have no data: move `andiron-data` away, or name another folder. What was restored is read and compared, \
as `andiron doctor` does.")]
pub(crate) struct RestoreArguments {
    /// The folder that `andiron backup` made
    from: PathBuf,
    #[command(flatten)]
    folder: FolderArguments,
}

pub(crate) async fn backup(arguments: BackupArguments) -> Result<(), AndironError> {
    let project = Project::open(&arguments.folder.dir, &[])?;
    let to = std::path::absolute(&arguments.to).map_err(AndironError::file("making", &arguments.to))?;
    let began = Instant::now();
    let unfinished = Unfinished::beside(&to)?;
    let order = CopyOrder {
        to: unfinished.0.clone(),
    };
    let body = serde_json::to_vec(&order)
        .map_err(|_| AndironError::Usage(format!("`{}` is not UTF-8", to.display())))?;
    let session = Session::open_folder(&project, Expectation::HasData).await?;
    let mut client = session.client().patient();
    let copied = client
        .json::<Copied>(Method::POST, COPY, Some(Bytes::from(body)))
        .await;
    // A folder that no server had open is still ours until the files are copied.
    let files = copied.and_then(|copied| {
        let from = project.data_folder().join(FILES_FOLDER);
        let files = copy_folder(&from, &unfinished.0.join(FILES_FOLDER))?;
        Ok((copied, files))
    });
    session.close().await;
    let (copied, files) = files?;
    unfinished.complete(&to)?;
    note(&format!(
        "`{}` has the database ({} KiB) and {} of files ({} KiB), made in {:.1} s",
        to.display(),
        grouped(copied.size_bytes >> 10),
        counted(files.records, "blob"),
        grouped(files.bytes >> 10),
        began.elapsed().as_secs_f64()
    ));
    if let Some(store) = &project.settings().files_store.0 {
        note(&format!("the files in `{store}` are not in it"));
    }
    Ok(())
}

pub(crate) async fn restore(arguments: RestoreArguments) -> Result<(), AndironError> {
    let project = Project::open(&arguments.folder.dir, &[])?;
    let from = &arguments.from;
    if !from.join(DATABASE_FILE).is_file() {
        return Err(AndironError::Usage(format!(
            "`{}` is no backup: there is no `{DATABASE_FILE}` in it",
            from.display()
        )));
    }
    let data = project.data_folder();
    let is_empty = std::fs::read_dir(&data).map_or_else(
        |error| error.kind() == ErrorKind::NotFound,
        |mut entries| entries.next().is_none(),
    );
    if !is_empty {
        return Err(AndironError::Usage(format!(
            "there is something in `{}` already: move it away first, it may still be needed",
            data.display()
        )));
    }
    let unfinished = Unfinished::beside(&data)?;
    make_folder(&unfinished.0)?;
    let database = unfinished.0.join(DATABASE_FILE);
    std::fs::copy(from.join(DATABASE_FILE), &database)
        .map_err(AndironError::file("copying to", &database))?;
    copy_folder(&from.join(FILES_FOLDER), &unfinished.0.join(FILES_FOLDER))?;
    // An empty folder gives way to the one of its name.
    unfinished.complete(&data)?;
    doctor::examine_restored(&project).await
}

/// A copy that is not whole; removed when it is dropped.
struct Unfinished(PathBuf);

impl Unfinished {
    /// Where a folder is made until it gets its name. Nothing is made yet.
    fn beside(to: &Path) -> Result<Self, AndironError> {
        let taken = |path: &Path| {
            AndironError::Usage(format!(
                "there is `{}` already; name a folder that is to be made",
                path.display()
            ))
        };
        if std::fs::read_dir(to).is_ok_and(|mut entries| entries.next().is_some()) || to.is_file() {
            return Err(taken(to));
        }
        let mut name = to.as_os_str().to_owned();
        name.push(UNFINISHED);
        let path = PathBuf::from(name);
        if path.exists() {
            return Err(taken(&path));
        }
        Ok(Self(path))
    }

    /// Puts everything onto the disk, and then gives it its name.
    fn complete(self, to: &Path) -> Result<(), AndironError> {
        let file = AndironError::file("finishing", to);
        let sync = || -> std::io::Result<()> {
            // One call for any number of files.
            rustix::fs::syncfs(File::open(&self.0)?)?;
            std::fs::rename(&self.0, to)?;
            match to.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                Some(parent) => File::open(parent)?.sync_all(),
                None => File::open(".")?.sync_all(),
            }
        };
        sync().map_err(file)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After it was completed there is nothing of this name.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn make_folder(path: &Path) -> Result<(), AndironError> {
    DirBuilder::new()
        .mode(0o700)
        .create(path)
        .map_err(AndironError::file("making", path))
}

/// Copies a folder with all in it, if it is there. What goes meanwhile is of no more use to anybody.
fn copy_folder(from: &Path, to: &Path) -> Result<Done, AndironError> {
    let progress = Progress::begin("copying files", None, "blob");
    let mut done = Done { records: 0, bytes: 0 };
    let mut folders = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = folders.pop() {
        let entries = match std::fs::read_dir(&from) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(AndironError::file("reading", &from)(error)),
        };
        make_folder(&to)?;
        for entry in entries {
            let entry = entry.map_err(AndironError::file("reading", &from))?;
            let (source, target) = (entry.path(), to.join(entry.file_name()));
            let kind = entry
                .file_type()
                .map_err(AndironError::file("reading", &source))?;
            if kind.is_dir() {
                folders.push((source, target));
                continue;
            }
            // What is being written has another name until it is whole.
            if entry.file_name().as_encoded_bytes().contains(&b'#') {
                continue;
            }
            match std::fs::copy(&source, &target) {
                Ok(bytes) => {
                    done.records += 1;
                    done.bytes += bytes;
                    progress.advance(done);
                }
                Err(error) if error.kind() == ErrorKind::NotFound && !source.exists() => {
                    // It went between the two.
                    let _ = std::fs::remove_file(&target);
                }
                Err(error) => return Err(AndironError::file("copying", &source)(error)),
            }
        }
    }
    progress.end();
    Ok(done)
}
