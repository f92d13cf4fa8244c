//! The local socket: how commands on a folder reach the server that has it open.
//!
//! It lies in the data folder, has mode 0600, and takes connections of its owner (and root) alone; whoever is in is the
//! owner of the data and needs no key.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// Bytes that a socket's path may have on every Unix, its end included.
const SOCKET_PATH_BYTES_MAX: usize = 104;

/// A listening local socket; its file goes with it.
pub(crate) struct LocalSocket {
    listener: UnixListener,
    owner: u32,
}

/// The file of a local socket, which is removed with this: before somebody else may open the folder.
pub(crate) struct SocketFile {
    path: PathBuf,
    /// The folder that was made for it alone.
    folder: Option<PathBuf>,
}

impl LocalSocket {
    /// Listens at `path`, replacing what an earlier server left there. Only for the one who holds the folder's lock.
    pub(crate) fn bind(path: &Path) -> io::Result<(Self, SocketFile)> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = ShortPath::of(path)?.with(|path| UnixListener::bind(path))?;
        let file = SocketFile {
            path: path.to_owned(),
            folder: None,
        };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        let owner = rustix::process::geteuid().as_raw();
        Ok((Self { listener, owner }, file))
    }

    /// Listens in a new folder of its own among the system's temporary ones, for data that lies where nothing can be
    /// written.
    pub(crate) fn bind_elsewhere(name: &str) -> io::Result<(Self, SocketFile)> {
        let mut random = [0; 8];
        (andiron_engine::Surroundings::system().random)(&mut random);
        let folder = std::env::temp_dir().join(format!("andiron-{:016x}", u64::from_ne_bytes(random)));
        // Fails if it exists, so nobody can have prepared it.
        DirBuilder::new().mode(0o700).create(&folder)?;
        let (socket, mut file) = Self::bind(&folder.join(name)).inspect_err(|_| {
            // It is empty, and nothing else can be done about it.
            let _ = std::fs::remove_dir(&folder);
        })?;
        file.folder = Some(folder);
        Ok((socket, file))
    }
}

impl SocketFile {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
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
        let _ = std::fs::remove_file(&self.path);
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir(folder);
        }
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
