//! `andiron doctor`: is everything as it should be?

use std::fmt::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use http::Method;

use crate::AndironError;
use crate::cli::FolderArguments;
use crate::cli::connection::{Expectation, Session};
use crate::cli::output::{self, counted, grouped};
use crate::local_api::{EXAMINATION, Examination, INFO, Info};
use crate::project::Project;

/// Free space below which a warning is due: less than what a busy server writes in a while.
const FREE_BYTES_MIN: u64 = 512 * 1024 * 1024;

/// What was found.
#[derive(Default)]
struct Findings {
    text: String,
    problems: u64,
}

impl Findings {
    fn good(&mut self, text: &str) {
        let _ = writeln!(self.text, "ok       {text}");
    }

    fn bad(&mut self, text: &str) {
        self.problems += 1;
        let _ = writeln!(self.text, "PROBLEM  {text}");
    }

    fn tell(self) -> Result<(), AndironError> {
        output::print(&self.text)?;
        if self.problems > 0 {
            return Err(AndironError::Incomplete(format!(
                "{} found; docs/operations.md says what to do about each kind",
                counted(self.problems, "problem")
            )));
        }
        Ok(())
    }
}

pub(crate) async fn doctor(folder: FolderArguments) -> Result<(), AndironError> {
    let project = Project::open(&folder.dir, &[])?;
    let mut findings = Findings::default();
    findings.good(&format!(
        "the configuration of `{}` can be used",
        project.folder().display()
    ));
    let data = project.data_folder();
    if !project.has_data() {
        return Err(AndironError::NoData { folder: data });
    }
    examine_folder(&data, &mut findings);
    match examine_data(&project, &mut findings).await {
        Ok(()) => {}
        // A store that cannot be opened is what a doctor is for.
        Err(error) => findings.bad(&error.to_string()),
    }
    findings.tell()
}

/// Examines what has just been restored, and says so.
pub(crate) async fn examine_restored(project: &Project) -> Result<(), AndironError> {
    let mut findings = Findings::default();
    findings.good(&format!("restored into `{}`", project.data_folder().display()));
    examine_data(project, &mut findings).await?;
    findings.tell()
}

fn examine_folder(data: &Path, findings: &mut Findings) {
    match std::fs::metadata(data) {
        Ok(metadata) => {
            let mode = metadata.permissions().mode() & 0o777;
            if mode & 0o077 == 0 {
                findings.good(&format!("only its owner can look into `{}`", data.display()));
            } else {
                findings.bad(&format!(
                    "`{}` has mode {mode:o}, so others than its owner can look into it: chmod 700 it",
                    data.display()
                ));
            }
            let user = rustix::process::geteuid().as_raw();
            if metadata.uid() != user && user != 0 {
                findings.bad(&format!(
                    "`{}` belongs to user {}, and this is user {user}",
                    data.display(),
                    metadata.uid()
                ));
            }
        }
        Err(error) => findings.bad(&format!("`{}` cannot be examined: {error}", data.display())),
    }
    match rustix::fs::statvfs(data) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let mebibytes = grouped(free >> 20);
            if free >= FREE_BYTES_MIN {
                findings.good(&format!("{mebibytes} MiB are free on its disk"));
            } else {
                findings.bad(&format!(
                    "only {mebibytes} MiB are free on its disk; when it is full, writes are refused"
                ));
            }
        }
        Err(error) => findings.bad(&format!("the space on its disk cannot be told: {error}")),
    }
}

/// Examines what is stored, through the server if one is running.
async fn examine_data(project: &Project, findings: &mut Findings) -> Result<(), AndironError> {
    let session = Session::open_folder(project, Expectation::HasData).await?;
    let mut client = session.client().patient();
    let info = client.json::<Info>(Method::GET, INFO, None).await;
    let examination = client.json::<Examination>(Method::POST, EXAMINATION, None).await;
    let is_elsewhere = session.is_elsewhere();
    session.close().await;
    let info = info?;
    if is_elsewhere {
        let place = match info.address {
            Some(address) => format!("at http://{address}"),
            None => "for another command".to_owned(),
        };
        findings.good(&format!(
            "a server of version {} runs on it {place} (process {})",
            info.version, info.process
        ));
    }
    let examination = examination?;
    if examination.problems.is_empty() {
        findings.good(&format!(
            "every page, document, index entry and change was read and agrees ({} KiB, {})",
            grouped(examination.size_bytes >> 10),
            counted(examination.changes, "change")
        ));
    }
    if examination.files > 0 {
        findings.good(&format!(
            "the bytes of {} were read and are those that were published ({} KiB)",
            counted(examination.files, "file"),
            grouped(examination.file_bytes >> 10)
        ));
    }
    if examination.orphans > 0 {
        findings.good(&format!(
            "{} of uploads that broke off, or are under way: what is of no use goes by itself within two days",
            counted(examination.orphans, "blob")
        ));
    }
    for problem in &examination.problems {
        findings.bad(problem);
    }
    Ok(())
}
