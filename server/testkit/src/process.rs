//! The program itself, as a process of its own that can be killed.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Api;

/// A server that has not printed its address by then has failed.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// What a command did.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its exit code.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it said beside.
    pub stderr: String,
}

impl Output {
    /// The same output, if the command ended with this code.
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        self
    }
}

/// Runs a command of the program to its end.
pub fn run(program: &Path, folder: &Path, arguments: &[&str]) -> Output {
    run_with(program, folder, &[], arguments)
}

/// Runs a command of the program to its end, with these variables in its environment.
pub fn run_with(program: &Path, folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let output = command(program, folder)
        .envs(variables.iter().copied())
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    Output {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The program in a folder, with nothing of the developer's own settings.
fn command(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ANDIRON_") {
            command.env_remove(name);
        }
    }
    command
}

/// `andiron serve` as a process. Killed when it goes out of scope.
pub struct ServerProcess {
    program: PathBuf,
    folder: PathBuf,
    arguments: Vec<String>,
    child: Child,
    address: SocketAddr,
    greeting: String,
    errors: Option<std::thread::JoinHandle<String>>,
}

impl ServerProcess {
    /// Starts a server on a folder and waits until it has printed its address.
    pub fn start(program: &Path, folder: &Path, arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let (child, address, greeting, errors) = spawn(program, folder, &arguments);
        Self {
            program: program.to_owned(),
            folder: folder.to_owned(),
            arguments,
            child,
            address,
            greeting,
            errors: Some(errors),
        }
    }

    /// Starts the server again after it has ended.
    pub fn start_again(&mut self) {
        let (child, address, greeting, errors) = spawn(&self.program, &self.folder, &self.arguments);
        (self.child, self.address, self.greeting) = (child, address, greeting);
        self.errors = Some(errors);
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The server as nobody in particular sees it.
    pub fn anonymous(&self) -> Api {
        Api::new(self.address)
    }

    /// What it printed when it was ready.
    pub fn greeting(&self) -> &str {
        &self.greeting
    }

    /// The service key that it printed.
    pub fn printed_key(&self) -> Option<&str> {
        self.greeting
            .split_whitespace()
            .find(|word| word.starts_with("ak_"))
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it as `kill -9` does, and waits until it is gone.
    pub fn kill(&mut self) {
        self.child.kill().expect("a process of our own can be killed");
        self.child.wait().expect("a process of our own can be waited for");
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(id.expect("a process has an id"), signal).expect("a process of our own takes signals");
    }

    /// Waits for its end, and gives what it wrote to standard error.
    pub fn wait(&mut self) -> (ExitStatus, String) {
        let status = self.child.wait().expect("a process of our own can be waited for");
        let errors = self
            .errors
            .take()
            .map(|thread| thread.join().expect("reading a pipe does not panic"));
        (status, errors.unwrap_or_default())
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

type Spawned = (Child, SocketAddr, String, std::thread::JoinHandle<String>);

fn spawn(program: &Path, folder: &Path, arguments: &[String]) -> Spawned {
    let mut child = command(program, folder)
        .args(["serve", "--listen", "127.0.0.1:0"])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let mut stderr = child.stderr.take().expect("standard error is a pipe");
    let errors = std::thread::spawn(move || {
        let mut text = Vec::new();
        // Whatever was read before an error is still worth showing.
        let _ = stderr.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let stdout = child.stdout.take().expect("standard output is a pipe");
    let (sender, lines) = mpsc::channel();
    // Read to the end, so that the server never blocks on a full pipe.
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    let begun = Instant::now();
    let mut greeting = String::new();
    let mut address = None;
    // A blank line ends the greeting.
    while let Ok(line) = lines.recv_timeout(START_TIMEOUT.saturating_sub(begun.elapsed())) {
        if line.is_empty() {
            break;
        }
        address = address.or_else(|| address_in(&line));
        greeting.push_str(&line);
        greeting.push('\n');
    }
    match address {
        Some(address) => (child, address, greeting, errors),
        None => {
            let _ = child.kill();
            let _ = child.wait();
            panic!(
                "the server printed no address: {greeting}\n{}",
                errors.join().unwrap_or_default()
            );
        }
    }
}

fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("http://")?;
    rest.split_whitespace().next()?.parse().ok()
}
