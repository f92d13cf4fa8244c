//! Stores of files on the network that others have written, each in a process of its own on a free port: `moto` speaks S3,
//! `azurite` Azure Blob Storage. What there is of Google Cloud Storage in Python and Node.js knows little of the XML interface
//! by which files are read and written there: no lists, no objects in parts. But that interface was made like S3's. So `moto` is
//! asked by a gate of ours that checks who asks as Google does, by a token that the key of a service account has signed, and gives
//! the few headers that differ their other names.
//!
//! The packages come into the ignored folder `.tools/`; whoever asks for one panics if Python or Node.js is missing. What
//! is stored stays in memory and is gone with the process.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use super::store_gate::{Deed, StoreGate, StoreRequest};

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

/// Makes a key of a service account, and the key to check what it signs.
const GOOGLE_KEYS: &str = "
    const { privateKey, publicKey } = require('crypto').generateKeyPairSync('rsa', { modulusLength: 2048 });
    console.log(JSON.stringify({
        type: 'service_account', client_email: 'test@andiron.example', private_key_id: '1',
        private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    }));
    console.log(JSON.stringify(publicKey.export({ type: 'spki', format: 'pem' })));
";
/// Checks a token: its signature, its time, and that it is for storage.
const GOOGLE_CHECK: &str = "
    const [publicKey, token] = process.argv.slice(1);
    const [head, claims, signature] = token.split('.');
    const read = (part) => JSON.parse(Buffer.from(part, 'base64url'));
    const { iss, sub, scope, iat, exp } = read(claims), now = Date.now() / 1000;
    const holds = require('crypto').verify('RSA-SHA256', Buffer.from(`${head}.${claims}`), JSON.parse(publicKey), Buffer.from(signature, 'base64url'))
        && read(head).alg === 'RS256' && read(head).kid === '1'
        && iss === 'test@andiron.example' && sub === iss && scope === 'https://www.googleapis.com/auth/cloud-platform'
        && iat <= now + 60 && now < exp && exp <= iat + 3600;
    process.exit(holds ? 0 : 1);
";
/// What `moto` takes for somebody who may do everything.
const MOTO_CREDENTIAL: &str =
    "AWS4-HMAC-SHA256 Credential=test/20200101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";

/// A store on the network. Killed when it goes out of scope.
pub struct StoreServer {
    child: Child,
    address: SocketAddr,
    /// Where servers ask: the same, or a gate before it.
    asked: SocketAddr,
    store: String,
    endpoint: String,
    key_id: &'static str,
    secret: String,
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
            asked: address,
            store: format!("s3://{BUCKET}"),
            endpoint: format!("http://{address}"),
            key_id: "test",
            secret: "test".to_owned(),
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
            asked: address,
            store: format!("azure://{AZURE_ACCOUNT}/{BUCKET}"),
            endpoint: format!("http://{address}/{AZURE_ACCOUNT}"),
            key_id: "",
            secret: AZURE_KEY.to_owned(),
        }
    }

    /// One that speaks as Google Cloud Storage does, as far as files need it.
    pub fn google() -> Self {
        let keys = Command::new("node").args(["-e", GOOGLE_KEYS]).output();
        let keys = keys.expect("Node.js is there").stdout;
        let keys = String::from_utf8(keys).expect("keys are text");
        let (account, public_key) = keys.trim().split_once('\n').expect("there are two keys");
        let google = Google {
            public_key: public_key.to_owned(),
            known: Mutex::default(),
        };
        let mut server = Self::s3().behind(move |request| google.to_s3(request));
        server.store = format!("gs://{BUCKET}");
        server.key_id = "";
        server.secret = account.to_owned();
        server
    }

    /// Puts a gate before it: all requests of a server pass it from now on.
    #[must_use]
    pub fn behind(mut self, judge: impl Fn(&mut StoreRequest) -> Deed + Send + Sync + 'static) -> Self {
        let gate = StoreGate::to(self.asked, judge);
        let (asked, gates) = (self.asked.to_string(), gate.address().to_string());
        self.endpoint = self.endpoint.replace(&asked, &gates);
        self.asked = gate.address();
        self
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
            ("files.store_secret", &self.secret),
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

/// What makes requests to Google's store requests to one that speaks S3.
struct Google {
    public_key: String,
    /// Tokens that have been checked.
    known: Mutex<HashSet<String>>,
}

impl Google {
    fn to_s3(&self, request: &mut StoreRequest) -> Deed {
        let token = request
            .header("authorization")
            .and_then(|said| said.strip_prefix("Bearer "));
        if !token.is_some_and(|token| self.is_good(token)) {
            let body = "<Error><Code>AuthenticationRequired</Code></Error>";
            return Deed::answer("401 Unauthorized", body);
        }
        for (name, value) in &mut request.headers {
            match name.as_str() {
                "authorization" => MOTO_CREDENTIAL.clone_into(value),
                "x-goog-copy-source" => "x-amz-copy-source".clone_into(name),
                other if other.starts_with("x-goog-") || other.starts_with("x-amz-") => {
                    let body = format!("<Error><Code>NotTranslated</Code><Details>{name}</Details></Error>");
                    return Deed::answer("400 Bad Request", &body);
                }
                _ => {}
            }
        }
        Deed::Pass
    }

    fn is_good(&self, token: &str) -> bool {
        let mut known = self.known.lock().expect("nobody panicked with the tokens");
        if known.contains(token) {
            return true;
        }
        let checked = Command::new("node")
            .args(["-e", GOOGLE_CHECK, &self.public_key, token])
            .status();
        let is_good = checked.expect("Node.js is there").success();
        if is_good {
            known.insert(token.to_owned());
        }
        is_good
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
