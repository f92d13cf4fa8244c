//! Stores of files on the network that others have written, each in a process of its own on a free port: `moto` speaks S3,
//! `azurite` Azure Blob Storage. (What there is of Google Cloud Storage in Python and Node.js knows nothing of the XML interface
//! by which files are read and written there.)
//!
//! The packages come into the ignored folder `.tools/`; whoever asks for one panics if Python or Node.js is missing. What
//! is stored stays in memory and is gone with the process.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const MOTO: &str = "moto[server]==5.2.1";
const AZURITE: &str = "azurite@3.37.0";
/// The bucket that there is.
const BUCKET: &str = "andiron-test";
/// What azurite's one account is called, and its key: the same for everybody, so no secret.
const AZURE_ACCOUNT: &str = "devstoreaccount1";
const AZURE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
/// Makes the bucket there. It has to be signed, and Node.js is at hand where azurite is.
const AZURE_CREATE: &str = "
    const [host, port, account, key, bucket] = process.argv.slice(1);
    const date = new Date().toUTCString(), version = '2021-08-06';
    const text = `PUT\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\nx-ms-date:${date}\\nx-ms-version:${version}\\n/${account}/${account}/${bucket}\\nrestype:container`;
    const signature = require('crypto').createHmac('sha256', Buffer.from(key, 'base64')).update(text).digest('base64');
    fetch(`http://${host}:${port}/${account}/${bucket}?restype=container`, {
        method: 'PUT',
        headers: { 'x-ms-date': date, 'x-ms-version': version, authorization: `SharedKey ${account}:${signature}` },
    }).then(async (answer) => { if (answer.status !== 201) throw new Error(await answer.text()); });
";

/// A store on the network. Killed when it goes out of scope.
pub struct StoreServer {
    child: Child,
    address: SocketAddr,
    store: String,
    endpoint: String,
    key_id: &'static str,
    secret: &'static str,
}

impl StoreServer {
    /// One that speaks S3.
    pub fn s3() -> Self {
        let environment = python_package("moto", MOTO);
        let mut command = Command::new(environment.join("bin/moto_server"));
        command.args(["-H", "127.0.0.1", "-p", "0"]);
        let (child, address) = start(
            command.stderr(Stdio::piped()),
            |child| child.stderr.take(),
            |line| {
                line.split_once("Running on http://")
                    .map(|(_, address)| address.trim().to_owned())
            },
        );
        let server = Self {
            child,
            address,
            store: format!("s3://{BUCKET}"),
            endpoint: format!("http://{address}"),
            key_id: "test",
            secret: "test",
        };
        let made = server.ask("PUT", &format!("/{BUCKET}"), "");
        assert!(made.starts_with("HTTP/1.1 200"), "{made}");
        server
    }

    /// One that speaks as Azure Blob Storage does.
    pub fn azure() -> Self {
        let packages = node_package("azurite", AZURITE);
        let mut command = Command::new("node");
        command
            .arg(packages.join("node_modules/azurite/dist/src/blob/main.js"))
            .args([
                "--inMemoryPersistence",
                "--disableTelemetry",
                "--skipApiVersionCheck",
                "--blobPort",
                "0",
            ]);
        let (child, address) = start(
            command.stdout(Stdio::piped()),
            |child| child.stdout.take(),
            |line| {
                let (_, address) = line.split_once("successfully listens on http://")?;
                Some(address.trim().to_owned())
            },
        );
        let made = Command::new("node")
            .args(["-e", AZURE_CREATE])
            .args([address.ip().to_string(), address.port().to_string()])
            .args([AZURE_ACCOUNT, AZURE_KEY, BUCKET])
            .status();
        assert!(
            made.expect("Node.js is there").success(),
            "azurite did not make a container"
        );
        Self {
            child,
            address,
            store: format!("azure://{AZURE_ACCOUNT}/{BUCKET}"),
            endpoint: format!("http://{address}/{AZURE_ACCOUNT}"),
            key_id: "",
            secret: AZURE_KEY,
        }
    }

    /// The setting `files.store` for it.
    pub fn store(&self) -> &str {
        &self.store
    }

    /// The other settings that lead there: key and value.
    pub fn settings(&self) -> [(&'static str, &str); 3] {
        [
            ("files.store_endpoint", &self.endpoint),
            ("files.store_key_id", self.key_id),
            ("files.store_secret", self.secret),
        ]
    }

    /// Sends a request that nobody has signed, and gives the whole answer.
    pub fn ask(&self, method: &str, target: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.address).expect("the store listens");
        let head = format!(
            "{method} {target} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        stream
            .write_all(head.as_bytes())
            .expect("the store takes requests");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("the store answers");
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Ends it, and waits until it is gone.
    pub fn kill(&mut self) {
        self.child.kill().expect("a process of our own can be killed");
        self.child.wait().expect("a process of our own can be waited for");
    }
}

impl Drop for StoreServer {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a program, and waits for the line that tells its address. What it writes afterwards is read and forgotten.
fn start<R: std::io::Read + Send + 'static>(
    command: &mut Command,
    output: impl FnOnce(&mut Child) -> Option<R>,
    address_of: impl Fn(&str) -> Option<String>,
) -> (Child, SocketAddr) {
    let mut child = command
        .stdin(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?} did not start: {error}"));
    let mut lines = BufReader::new(output(&mut child).expect("the output is a pipe"));
    let mut seen = String::new();
    loop {
        let mut line = String::new();
        let read = lines.read_line(&mut line).expect("the program writes text");
        assert!(read > 0, "the store ended: {seen}");
        if let Some(address) = address_of(&line) {
            std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
            return (child, address.parse().expect("an address"));
        }
        seen.push_str(&line);
    }
}

fn tools(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../.tools")
        .join(name)
}

/// Installs what is not there yet, once for all processes that ask.
fn installed(name: &str, package: &str, install: impl FnOnce(&Path)) -> PathBuf {
    let folder = tools(name);
    std::fs::create_dir_all(&folder).expect("the folder of tools can be made");
    let lock = std::fs::File::create(folder.with_extension("lock")).expect("a file can be made");
    lock.lock().expect("a file can be locked");
    let stamp = folder.join("installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == package) {
        return folder;
    }
    install(&folder);
    std::fs::write(stamp, package).expect("a file can be written");
    folder
}

fn python_package(name: &str, package: &str) -> PathBuf {
    installed(name, package, |folder| {
        let made = Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(folder)
            .status();
        let made = made.unwrap_or_else(|error| panic!("python3 is needed for {package}: {error}"));
        assert!(
            made.success(),
            "python3 could not make an environment for {package}"
        );
        let added = Command::new(folder.join("bin/pip"))
            .args(["install", "--quiet", "--no-input", package])
            .status();
        assert!(
            added.expect("pip is there").success(),
            "pip could not install {package}"
        );
    })
}

fn node_package(name: &str, package: &str) -> PathBuf {
    installed(name, package, |folder| {
        std::fs::write(folder.join("package.json"), "{\"private\": true}\n").expect("a file can be written");
        let added = Command::new("npm")
            .args([
                "install",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                "--save-exact",
                package,
            ])
            .current_dir(folder)
            .stdout(Stdio::null())
            .status();
        let added = added.unwrap_or_else(|error| panic!("npm is needed for {package}: {error}"));
        assert!(added.success(), "npm could not install {package}");
    })
}
