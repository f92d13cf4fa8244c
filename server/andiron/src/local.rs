//! The local socket: how commands on a folder reach the server that has it open.
//!
//! It lies in the data folder, has mode 0600, and takes connections of its owner (and root) alone; whoever is in is the
//! owner of the data and needs no key.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// Bytes that a socket's path may have on every Unix, its end included.
const SOCKET_PATH_BYTES_MAX: usize = 104;

/// A listening local socket; its file goes with it.
pub(crate) struct LocalSocket {
    listener: UnixListener,
    owner: u32,
}

/// Removes the file of a local socket at its end, before somebody else may open the folder.
pub(crate) struct SocketFile(PathBuf);

impl LocalSocket {
    /// Listens at `path`, replacing what an earlier server left there. Only for the one who holds the folder's lock.
    pub(crate) fn bind(path: &Path) -> io::Result<(Self, SocketFile)> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = ShortPath::of(path)?.with(|path| UnixListener::bind(path))?;
        let file = SocketFile(path.to_owned());
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        let owner = rustix::process::geteuid().as_raw();
        Ok((Self { listener, owner }, file))
    }
}

impl andiron_http::Listener for LocalSocket {
    type Io = UnixStream;

    async fn accept(&mut self) -> io::Result<UnixStream> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            // The mode of the file says it too, but not on every system and not in the moment before it is set.
            match stream.peer_cred() {
                Ok(peer) if peer.uid() == self.owner || peer.uid() == 0 => return Ok(stream),
                Ok(peer) => tracing::warn!(uid = peer.uid(), "refused a stranger on the local socket"),
                Err(error) => tracing::warn!(%error, "refused a connection on the local socket"),
            }
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // If it is gone already, all the better.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Connects to a local socket.
pub(crate) async fn connect(path: &Path) -> io::Result<UnixStream> {
    let short = ShortPath::of(path)?;
    UnixStream::connect(short.path()).await
}

/// A path that fits into a socket address: the path itself, or for a long one a way to it through an open descriptor of
/// its folder, which must stay open meanwhile.
struct ShortPath {
    path: PathBuf,
    _folder: Option<File>,
}

impl ShortPath {
    fn of(path: &Path) -> io::Result<Self> {
        if path.as_os_str().len() < SOCKET_PATH_BYTES_MAX {
            return Ok(Self {
                path: path.to_owned(),
                _folder: None,
            });
        }
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        };
        let folder = File::open(folder)?;
        let through = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string());
        if !through.exists() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidFilename,
                format!(
                    "its path is longer than {SOCKET_PATH_BYTES_MAX} bytes, and this system has no way around that"
                ),
            ));
        }
        Ok(Self {
            path: through.join(name),
            _folder: Some(folder),
        })
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn with<T>(self, work: impl FnOnce(&Path) -> T) -> T {
        work(&self.path)
    }
}
