//! The order of things: servers get the same files, then each operation is measured on one after the other, round by round.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Envelope, FileCell, FileDialect, FileReport, FileScenario, memory, nginx, picture,
    transfer::{self, Amount, Connection, Request},
};
use crate::{
    BenchError,
    http::Client,
    io,
    load::{self, Feed, Load, Measured},
    machine,
    process::ServerProcess,
    report::Sample,
    target::{Andiron, Session, Target},
};

const KB: usize = 1 << 10;
const MB: usize = 1 << 20;

/// Connections of small requests.
const SMALL_CONNECTIONS: [usize; 2] = [1, 64];
/// Files of 1 KB that are read.
const SMALL_FILES: usize = 500;
/// Pictures whose thumbnail is asked for the first time in one measurement.
const COLD_PICTURES: usize = 24;
/// Connections that ask for thumbnails for the first time.
const COLD_CONNECTIONS: [usize; 2] = [1, 4];

/// How large files are moved.
struct Size {
    name: &'static str,
    bytes: usize,
    connections: [usize; 2],
    /// Uploads of one measurement: what they leave on the disk is bounded by this.
    uploads_max: usize,
}

const MEDIUM: Size = Size {
    name: "1m",
    bytes: MB,
    connections: [1, 16],
    uploads_max: 300,
};
const LARGE: Size = Size {
    name: "100m",
    bytes: 100 * MB,
    connections: [1, 4],
    uploads_max: 4,
};

/// How long, how often and where.
#[derive(Debug, Clone, Copy)]
pub struct FilesPlan<'p> {
    /// Andiron's executable, if it is among the targets.
    pub andiron: Option<&'p Path>,
    /// nginx's executable, if large downloads are to be measured beside it.
    pub nginx: Option<&'p Path>,
    /// Rounds to take medians of.
    pub rounds: usize,
    /// Uncounted time before each measurement of small requests.
    pub warm_up: Duration,
    /// Time of each measurement.
    pub measure: Duration,
    /// Where the servers' folders are made.
    pub folder: &'p Path,
}

/// A server that has been set up.
struct Server {
    name: String,
    process: ServerProcess,
    /// None of nginx, whose files are put into its folder.
    dialect: Option<Box<dyn FileDialect>>,
    /// The request that reads each of the files.
    downloads: Vec<Vec<u8>>,
    /// The request for the thumbnail of each of the pictures.
    thumbnails: Vec<Vec<u8>>,
}

/// Measures one scenario on all servers, each on a folder of its own.
///
/// # Errors
/// A server refuses something, breaks off, or gives other bytes than it was given.
pub fn run(
    scenario: FileScenario,
    targets: &[Box<dyn Target>],
    plan: FilesPlan<'_>,
    report: &mut FileReport,
    progress: &mut dyn FnMut(&str),
) -> Result<(), BenchError> {
    let mut servers = Vec::new();
    let mut folders = Vec::new();
    for target in targets {
        let (server, folder) = open(target.as_ref(), plan.folder, scenario.name())?;
        folders.push(folder);
        servers.extend(server);
    }
    let mut run = Run {
        plan,
        servers,
        report,
        progress,
    };
    match scenario {
        FileScenario::Small => run.small(&mut folders)?,
        FileScenario::Medium => run.sized(&MEDIUM, &mut folders)?,
        FileScenario::Large => run.sized(&LARGE, &mut folders)?,
        FileScenario::Thumbnails => run.thumbnails()?,
        FileScenario::Quota => run.quota()?,
        FileScenario::TenUploads => run.ten_uploads()?,
    }
    for server in run.servers {
        server.process.stop()?;
    }
    for folder in folders {
        fs::remove_dir_all(&folder).map_err(io(format!("removing {}", folder.display())))?;
    }
    Ok(())
}

/// A server on a folder of its own, if it takes files.
fn open(target: &dyn Target, place: &Path, name: &str) -> Result<(Option<Server>, PathBuf), BenchError> {
    let folder = place.join(format!("{}-{name}", target.name()));
    fs::create_dir_all(&folder).map_err(io(format!("creating {}", folder.display())))?;
    let Session { server, files, .. } = target.open(&folder)?;
    let Some(dialect) = files else {
        server.stop()?;
        return Ok((None, folder));
    };
    let mut client = Client::connect(server.address())?;
    for (status, request) in dialect.set_up() {
        client.expect("setting up files", status, &request)?;
    }
    let server = Server {
        name: target.name().to_owned(),
        process: server,
        dialect: Some(dialect),
        downloads: Vec::new(),
        thumbnails: Vec::new(),
    };
    Ok((Some(server), folder))
}

struct Run<'r, 'p> {
    plan: FilesPlan<'p>,
    servers: Vec<Server>,
    report: &'r mut FileReport,
    progress: &'r mut dyn FnMut(&str),
}

impl Run<'_, '_> {
    fn small(&mut self, folders: &mut Vec<PathBuf>) -> Result<(), BenchError> {
        let body = bytes(KB);
        for server in &mut self.servers {
            server.fill(SMALL_FILES, &body)?;
        }
        // On one connection syncing the disk is most of the time there is, so the promise that the peer gives is shown too.
        let relaxed = self
            .plan
            .andiron
            .map(|binary| Andiron::relaxed(binary.to_owned()));
        if let Some(relaxed) = relaxed {
            let (server, folder) = open(&relaxed, self.plan.folder, "relaxed")?;
            folders.push(folder);
            self.servers.extend(server);
        }
        for connections in SMALL_CONNECTIONS {
            self.uploads("upload 1k", connections, &body, &|dialect, name, size| {
                Some(dialect.upload(name, "application/octet-stream", size))
            })?;
            let (measured, done) = std::mem::take(&mut self.servers)
                .into_iter()
                .partition(|server| !server.downloads.is_empty());
            self.servers = measured;
            for server in done {
                server.process.stop()?;
            }
        }
        for connections in SMALL_CONNECTIONS {
            let measure = |plan: &FilesPlan<'_>, server: &Server, _| {
                let mut feed = InTurn::of(&server.downloads, usize::MAX);
                load::run(&server.load(plan, connections), &mut feed, None)
            };
            self.measure("download 1k", connections, &measure)?;
        }
        Ok(())
    }

    fn quota(&mut self) -> Result<(), BenchError> {
        // Whoever knows no quotas has nothing to compare.
        self.servers.retain(|server| {
            let dialect = server.dialect.as_deref();
            dialect.is_some_and(|dialect| dialect.limited_upload("x", 1).is_some())
        });
        let body = bytes(KB);
        for connections in SMALL_CONNECTIONS {
            self.uploads("without a quota", connections, &body, &|dialect, name, size| {
                Some(dialect.upload(name, "application/octet-stream", size))
            })?;
            self.uploads("with a quota", connections, &body, &|dialect, name, size| {
                dialect.limited_upload(name, size)
            })?;
        }
        Ok(())
    }

    fn uploads(
        &mut self,
        operation: &str,
        connections: usize,
        body: &[u8],
        envelope: &dyn Fn(&dyn FileDialect, &str, usize) -> Option<Envelope>,
    ) -> Result<(), BenchError> {
        let label = operation.replace(' ', "-");
        let measure = |plan: &FilesPlan<'_>, server: &Server, round: usize| {
            let Some(dialect) = server.dialect.as_deref() else {
                return Err(BenchError::Answer("a server without uploads"));
            };
            let mut feed = Uploads {
                make: &mut |number| {
                    envelope(
                        dialect,
                        &format!("{label}-{connections}-{round}-{number}"),
                        body.len(),
                    )
                },
                body,
                number: 0,
            };
            load::run(&server.load(plan, connections), &mut feed, None)
        };
        self.measure(operation, connections, &measure)
    }

    fn thumbnails(&mut self) -> Result<(), BenchError> {
        let photo = picture::photo()?;
        (self.progress)(&format!("thumbnails of a photo of {} bytes", photo.len()));
        let pictures = COLD_PICTURES * COLD_CONNECTIONS.len() * self.plan.rounds;
        for server in &mut self.servers {
            server.fill_pictures(pictures, &photo)?;
        }
        for (number, connections) in COLD_CONNECTIONS.into_iter().enumerate() {
            let measure = |plan: &FilesPlan<'_>, server: &Server, round| {
                let first = (number * plan.rounds + round) * COLD_PICTURES;
                let requests = &server.thumbnails[first..first + COLD_PICTURES];
                let mut feed = InTurn::of(requests, COLD_PICTURES);
                let once = Load {
                    warm_up: Duration::ZERO,
                    measure: Duration::from_secs(600),
                    ..server.load(plan, connections)
                };
                load::run(&once, &mut feed, None)
            };
            self.measure("thumbnail, cold", connections, &measure)?;
        }
        for connections in SMALL_CONNECTIONS {
            let measure = |plan: &FilesPlan<'_>, server: &Server, _| {
                let mut feed = InTurn::of(&server.thumbnails, usize::MAX);
                load::run(&server.load(plan, connections), &mut feed, None)
            };
            self.measure("thumbnail, warm", connections, &measure)?;
        }
        for server in &self.servers {
            let mut client = Client::connect(server.process.address())?;
            let thumbnail = client.expect("a thumbnail", 200, &server.thumbnails[0])?;
            picture::check_thumbnail(&server.name, &thumbnail)?;
        }
        Ok(())
    }

    fn sized(&mut self, size: &Size, folders: &mut Vec<PathBuf>) -> Result<(), BenchError> {
        let body = bytes(size.bytes);
        for server in &mut self.servers {
            server.fill(1, &body)?;
        }
        let amount = Amount {
            time: self.plan.measure,
            requests_max: size.uploads_max,
        };
        for connections in size.connections {
            let measure = |_: &FilesPlan<'_>, server: &Server, round| {
                let Some(dialect) = server.dialect.as_deref() else {
                    return Err(BenchError::Answer("a server without uploads"));
                };
                let next = |number: usize| {
                    let name = format!("large-{connections}-{round}-{number}");
                    Request {
                        envelope: dialect.upload(&name, "application/octet-stream", body.len()),
                        body: &body,
                    }
                };
                let process = &server.process;
                transfer::drive(process.address(), process.pid(), connections, amount, &next)
            };
            self.measure(&format!("upload {}", size.name), connections, &measure)?;
        }
        if let Some(binary) = self.plan.nginx {
            let folder = self.plan.folder.join(format!("nginx-{}", size.name));
            fs::create_dir_all(&folder).map_err(io(format!("creating {}", folder.display())))?;
            let (process, root) = nginx::start(binary, &folder)?;
            fs::write(root.join("file"), &body).map_err(io("writing a file for nginx"))?;
            folders.push(folder);
            self.servers.push(Server {
                name: "nginx".to_owned(),
                process,
                dialect: None,
                downloads: vec![crate::http::request("GET", "/file", &[], None)],
                thumbnails: Vec::new(),
            });
            (self.progress)(&nginx::version(binary)?);
        }
        let amount = Amount {
            requests_max: usize::MAX - size.connections[1],
            ..amount
        };
        for connections in size.connections {
            let measure = |_: &FilesPlan<'_>, server: &Server, _| {
                let next = |_: usize| whole(&server.downloads[0]);
                let process = &server.process;
                transfer::drive(process.address(), process.pid(), connections, amount, &next)
            };
            self.measure(&format!("download {}", size.name), connections, &measure)?;
        }
        Ok(())
    }

    fn ten_uploads(&mut self) -> Result<(), BenchError> {
        for server in &self.servers {
            if let Some(dialect) = server.dialect.as_deref()
                && let Some(uploads) = memory::ten_uploads(&server.name, &server.process, dialect)?
            {
                (self.progress)(&uploads.to_string());
                self.report.ten_uploads.push(uploads);
            }
        }
        Ok(())
    }

    /// One operation on every server, in turn.
    fn measure(
        &mut self,
        operation: &str,
        connections: usize,
        measure: &dyn Fn(&FilesPlan<'_>, &Server, usize) -> Result<Measured, BenchError>,
    ) -> Result<(), BenchError> {
        let count = self.servers.len();
        let mut samples = vec![Vec::with_capacity(self.plan.rounds); count];
        for round in 0..self.plan.rounds {
            for turn in 0..count {
                let number = (turn + round) % count;
                let server = &self.servers[number];
                machine::settle_disk(self.plan.folder)?;
                server.process.reset_peak()?;
                let measured = measure(&self.plan, server, round)?;
                samples[number].push(Sample::new(&measured, server.process.memory()?));
            }
        }
        for (server, rounds) in self.servers.iter().zip(samples) {
            let cell = FileCell {
                operation: operation.to_owned(),
                connections,
                server: server.name.clone(),
                median: Sample::median(&rounds),
                rounds,
            };
            (self.progress)(&cell.to_string());
            self.report.cells.push(cell);
        }
        Ok(())
    }
}

impl Server {
    fn load(&self, plan: &FilesPlan<'_>, connections: usize) -> Load {
        Load {
            address: self.process.address(),
            pid: self.process.pid(),
            connections,
            warm_up: plan.warm_up,
            measure: plan.measure,
        }
    }

    /// Uploads files, and sees that the first comes back as it was.
    fn fill(&mut self, files: usize, body: &[u8]) -> Result<(), BenchError> {
        let locations = self.store("f", "application/octet-stream", files, body)?;
        let Some(dialect) = self.dialect.as_deref() else {
            return Ok(());
        };
        self.downloads = locations
            .iter()
            .map(|location| dialect.download(location))
            .collect();
        // Larger ones are compared by their length alone, with every answer.
        if body.len() <= MB {
            let got = Client::connect(self.process.address())?.expect("a file", 200, &self.downloads[0])?;
            if got != body {
                return Err(BenchError::Server {
                    server: self.name.clone(),
                    detail: "a file is not as it was uploaded".to_owned(),
                });
            }
        }
        Ok(())
    }

    fn fill_pictures(&mut self, files: usize, photo: &[u8]) -> Result<(), BenchError> {
        let locations = self.store("p", "image/jpeg", files, photo)?;
        let Some(dialect) = self.dialect.as_deref() else {
            return Ok(());
        };
        self.thumbnails = locations
            .iter()
            .map(|location| dialect.thumbnail(location))
            .collect();
        Ok(())
    }

    fn store(&self, prefix: &str, kind: &str, files: usize, body: &[u8]) -> Result<Vec<String>, BenchError> {
        let Some(dialect) = self.dialect.as_deref() else {
            return Ok(Vec::new());
        };
        let suffix = if kind == "image/jpeg" { ".jpg" } else { "" };
        let mut connection = Connection::open(self.process.address())?;
        (0..files)
            .map(|number| {
                let name = format!("{prefix}{number}{suffix}");
                let envelope = dialect.upload(&name, kind, body.len());
                let answer = connection.ask(&Request { envelope, body })?;
                Ok(dialect.location(&name, &answer))
            })
            .collect()
    }
}

/// A request without a body of its own.
fn whole(request: &[u8]) -> Request<'static> {
    Request {
        envelope: Envelope {
            head: request.to_vec(),
            tail: Vec::new(),
            status: 200,
        },
        body: &[],
    }
}

/// Bytes that no compression and no comparison of pages makes less.
pub(super) fn bytes(len: usize) -> Vec<u8> {
    let mut random = crate::dataset::Random::new(len as u64);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&random.draw().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Requests one after the other and over again, so many times.
struct InTurn<'q> {
    requests: &'q [Vec<u8>],
    sent: usize,
    max: usize,
}

impl<'q> InTurn<'q> {
    fn of(requests: &'q [Vec<u8>], max: usize) -> Self {
        Self {
            requests,
            sent: 0,
            max,
        }
    }
}

impl Feed for InTurn<'_> {
    fn next(&mut self, out: &mut Vec<u8>) -> Option<u16> {
        let number = self.sent;
        if number >= self.max {
            return None;
        }
        self.sent += 1;
        out.extend_from_slice(&self.requests[number % self.requests.len()]);
        Some(200)
    }
}

/// Uploads of new names.
struct Uploads<'u> {
    make: &'u mut dyn FnMut(usize) -> Option<Envelope>,
    body: &'u [u8],
    number: usize,
}

impl Feed for Uploads<'_> {
    fn next(&mut self, out: &mut Vec<u8>) -> Option<u16> {
        let envelope = (self.make)(self.number)?;
        self.number += 1;
        for part in [envelope.head.as_slice(), self.body, envelope.tail.as_slice()] {
            out.extend_from_slice(part);
        }
        Some(envelope.status)
    }
}
