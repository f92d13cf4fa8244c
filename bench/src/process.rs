//! A server as a process of its own: started, timed until it is ready, watched through `/proc`, and ended by its id.
//!
//! Invariant: a [`ServerProcess`] that goes out of scope leaves no process behind.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    BenchError,
    http::{self, Client},
    io,
};

/// A server that is not ready by then has failed.
const READY_TIMEOUT: Duration = Duration::from_secs(30);

/// How often readiness is asked for; the precision of a start-up time.
const READY_POLL: Duration = Duration::from_micros(500);

/// How long a server has to end after SIGTERM before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// How a server's address becomes known.
#[derive(Debug, Clone, Copy)]
pub enum AddressSource {
    /// The command says where to listen.
    Given(SocketAddr),
    /// The server takes a free port and prints `http://ADDRESS` on its standard output.
    Printed,
}

/// A running server.
#[derive(Debug)]
pub struct ServerProcess {
    name: String,
    child: Child,
    address: SocketAddr,
    ready_after: Duration,
}

/// What a process holds in memory, in KiB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Memory {
    /// All resident pages.
    pub resident_kib: u64,
    /// Of these, what is no file: the heap, mostly.
    pub anonymous_kib: u64,
    /// The most that was resident since [`ServerProcess::reset_peak`].
    pub peak_kib: u64,
}

impl ServerProcess {
    /// Starts `command` and waits until `GET ready_path` answers 200. Its error output goes to `log`.
    ///
    /// # Errors
    /// It cannot be started, ends at once, or is not ready within 30 s.
    pub fn start(
        name: &str,
        mut command: Command,
        source: AddressSource,
        ready_path: &str,
        log: &Path,
    ) -> Result<Self, BenchError> {
        let errors = File::create(log).map_err(io(format!("creating {}", log.display())))?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        let begun = Instant::now();
        let child = command.spawn().map_err(io(format!("starting {name}")))?;
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        // Owned from here on: whatever fails below ends the process too.
        let mut server = Self {
            name: name.to_owned(),
            child,
            address: unknown,
            ready_after: Duration::ZERO,
        };
        let printed = server.drain_output();
        server.address = match source {
            AddressSource::Given(address) => address,
            AddressSource::Printed => match printed.recv_timeout(READY_TIMEOUT) {
                Ok(address) => address,
                Err(RecvTimeoutError::Timeout) => return Err(server.failure("printed no address", log)),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(server.failure("ended before it was ready", log));
                }
            },
        };
        let probe = http::request("GET", ready_path, &[], None);
        loop {
            // A refused connection comes back at once; only an accepted one is worth a request.
            if TcpStream::connect(server.address).is_ok()
                && Client::connect(server.address)
                    .and_then(|mut client| client.send(&probe))
                    .is_ok_and(|(status, _)| status == 200)
            {
                server.ready_after = begun.elapsed();
                return Ok(server);
            }
            if server
                .child
                .try_wait()
                .map_err(io("waiting for a server"))?
                .is_some()
            {
                return Err(server.failure("ended before it was ready", log));
            }
            if begun.elapsed() > READY_TIMEOUT {
                return Err(server.failure("was not ready within 30 s", log));
            }
            thread::sleep(READY_POLL);
        }
    }

    /// Reads the server's output to its end, so that it never blocks on a full pipe; gives the first address in it.
    fn drain_output(&mut self) -> mpsc::Receiver<SocketAddr> {
        let (sender, receiver) = mpsc::channel();
        let output = self.child.stdout.take().expect("standard output is a pipe");
        thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let Ok(line) = line else { break };
                if let Some(address) = address_in(&line) {
                    // Nobody listens for a second address, which is fine.
                    let _ = sender.send(address);
                }
            }
        });
        receiver
    }

    fn failure(&self, what: &str, log: &Path) -> BenchError {
        let log = fs::read(log).unwrap_or_default();
        let detail = format!("{what}; it said: {}", http::excerpt(&log).trim());
        BenchError::Server {
            server: self.name.clone(),
            detail,
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From before the process was made to its first good answer.
    #[must_use]
    pub fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it holds in memory now.
    ///
    /// # Errors
    /// The process has ended.
    pub fn memory(&self) -> Result<Memory, BenchError> {
        let path = format!("/proc/{}/status", self.pid());
        let text = fs::read_to_string(&path).map_err(io(format!("reading {path}")))?;
        let field = |name: &str| {
            text.lines()
                .find_map(|line| {
                    line.strip_prefix(name)?
                        .strip_prefix(':')?
                        .trim()
                        .strip_suffix(" kB")?
                        .parse()
                        .ok()
                })
                .unwrap_or(0)
        };
        Ok(Memory {
            resident_kib: field("VmRSS"),
            anonymous_kib: field("RssAnon"),
            peak_kib: field("VmHWM"),
        })
    }

    /// Starts the peak of [`Memory`] anew.
    ///
    /// # Errors
    /// The process has ended.
    pub fn reset_peak(&self) -> Result<(), BenchError> {
        let path = format!("/proc/{}/clear_refs", self.pid());
        fs::write(&path, "5").map_err(io(format!("writing {path}")))
    }

    /// Ends the server as a service manager would, with SIGTERM.
    ///
    /// # Errors
    /// It did not end within 20 s; it is killed then.
    pub fn stop(mut self) -> Result<(), BenchError> {
        if let Some(pid) = Pid::from_raw(i32::try_from(self.pid()).unwrap_or(0)) {
            // It may have ended by itself; the wait below tells.
            let _ = kill_process(pid, Signal::TERM);
        }
        let begun = Instant::now();
        while begun.elapsed() < STOP_TIMEOUT {
            if self
                .child
                .try_wait()
                .map_err(io("waiting for a server"))?
                .is_some()
            {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Err(BenchError::Server {
            server: self.name.clone(),
            detail: "did not end within 20 s of SIGTERM".into(),
        })
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address in a line such as `listening on http://127.0.0.1:8750`.
#[must_use]
pub fn address_in(line: &str) -> Option<SocketAddr> {
    let rest = &line[line.find("http://")? + "http://".len()..];
    let end = rest
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ':')))
        .unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// Processor time that a process has used, user and system, all threads, to a clock tick (10 ms).
///
/// # Errors
/// There is no such process.
pub fn cpu_time(pid: u32) -> Result<Duration, BenchError> {
    stat_time(&PathBuf::from(format!("/proc/{pid}/stat"))).map(|(_, time)| time)
}

/// The same of its threads of one name.
///
/// # Errors
/// There is no such process, or it has no such thread.
pub fn thread_cpu_time(pid: u32, name: &str) -> Result<Duration, BenchError> {
    let path = format!("/proc/{pid}/task");
    let mut found = None;
    for task in fs::read_dir(&path).map_err(io(format!("reading {path}")))? {
        let task = task.map_err(io(format!("reading {path}")))?;
        // A thread may have ended by now.
        let Ok((thread, time)) = stat_time(&task.path().join("stat")) else {
            continue;
        };
        if thread == name {
            *found.get_or_insert(Duration::ZERO) += time;
        }
    }
    found.ok_or_else(|| invalid(path, "no thread of this name"))
}

/// The name and the processor time in a `stat` of `/proc`.
fn stat_time(path: &Path) -> Result<(String, Duration), BenchError> {
    let text = fs::read_to_string(path).map_err(io(format!("reading {}", path.display())))?;
    let name = text.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')'));
    let (Some((name, _)), Some(ticks)) = (name, cpu_ticks(&text)) else {
        return Err(invalid(path.display().to_string(), "no processor times in it"));
    };
    let seconds = ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
    Ok((name.to_owned(), Duration::from_secs_f64(seconds)))
}

fn invalid(what: String, detail: &'static str) -> BenchError {
    BenchError::Io {
        what,
        source: std::io::Error::new(std::io::ErrorKind::InvalidData, detail),
    }
}

/// utime and stime of a `/proc/PID/stat` line. The command's name, second, may hold blanks and parentheses.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// A port that was free a moment ago, for servers that cannot take one by themselves.
///
/// # Errors
/// There is no free port.
pub fn free_address() -> Result<SocketAddr, BenchError> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(io("taking a free port"))?;
    listener.local_addr().map_err(io("taking a free port"))
}

/// The size of an executable in bytes.
///
/// # Errors
/// It is not there.
pub fn binary_bytes(path: &Path) -> Result<u64, BenchError> {
    Ok(fs::metadata(path)
        .map_err(io(format!("reading {}", path.display())))?
        .len())
}

/// Runs a command to its end and gives what it printed, without the last line end.
///
/// # Errors
/// It cannot be run or fails.
pub fn output_of(name: &str, command: &mut Command) -> Result<String, BenchError> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(io(format!("running {name}")))?;
    if !output.status.success() {
        let detail = format!("{command:?} failed: {}", http::excerpt(&output.stderr).trim());
        return Err(BenchError::Server {
            server: name.to_owned(),
            detail,
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

/// The log beside a server's data folder.
#[must_use]
pub fn log_path(folder: &Path) -> PathBuf {
    folder.with_extension("log")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_times_are_found_behind_a_hostile_name() {
        let stat = "42 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0 20 0 1 0 0 0";
        assert_eq!(cpu_ticks(stat), Some(175));
        assert_eq!(cpu_ticks("42 (cut off"), None);
    }

    #[test]
    fn an_address_is_found_in_a_printed_line() {
        let at = |line| address_in(line).map(|address| address.to_string());
        assert_eq!(
            at("Andiron listens on http://127.0.0.1:8750"),
            Some("127.0.0.1:8750".into())
        );
        assert_eq!(
            at("  http://127.0.0.1:41/_/ is the console"),
            Some("127.0.0.1:41".into())
        );
        assert_eq!(at("data lies in /srv/http"), None);
    }
}
