//! From a listener to the router: connections, their limits, and the end.
//!
//! HTTP/1.1 and HTTP/2 in clear text share a port; the first bytes tell them apart. Each connection is a task with a
//! watch on it (see `watch`) that ends it when its client takes too long.

mod connection;
mod watch;

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch as watch_channel};
use tokio::time::timeout;

use crate::HttpOptions;
use crate::client::Peer;
use connection::Connections;

pub(crate) use connection::ConnectionLife;

/// Bytes that the system takes of an answer before they are on their way. Without a bound it takes megabytes for each
/// client that reads slowly; more than this does not make a fast one faster.
#[cfg(target_os = "linux")]
const UNSENT_BYTES_MAX: u32 = 256 * 1024;
/// How long nothing is accepted after accepting failed, as it does when the process has no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long connections that were told to stop at once may take for that.
const ABORT_TIME_MAX: Duration = Duration::from_secs(1);

/// Where connections come from.
pub trait Listener: Send {
    /// A connection.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Waits for the next connection. Dropping the future loses none.
    fn accept(&mut self) -> impl Future<Output = io::Result<Self::Io>> + Send;

    /// The address that a connection comes from; `None` where there are none, as on a local socket.
    fn peer(_io: &Self::Io) -> Option<IpAddr> {
        None
    }
}

impl Listener for TcpListener {
    type Io = tokio::net::TcpStream;

    async fn accept(&mut self) -> io::Result<Self::Io> {
        let (stream, _) = TcpListener::accept(self).await?;
        // Answers are written whole; waiting to fill a packet would only delay them. A socket that refuses this works.
        let _ = stream.set_nodelay(true);
        #[cfg(target_os = "linux")]
        let _ = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES_MAX);
        Ok(stream)
    }

    fn peer(io: &Self::Io) -> Option<IpAddr> {
        io.peer_addr().ok().map(|address| address.ip())
    }
}

#[cfg(unix)]
impl Listener for tokio::net::UnixListener {
    type Io = tokio::net::UnixStream;

    async fn accept(&mut self) -> io::Result<Self::Io> {
        let (stream, _) = tokio::net::UnixListener::accept(self).await?;
        Ok(stream)
    }
}

/// What connections are to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Go on.
    Serving,
    /// Take no new request, finish those under way.
    Finishing,
    /// Stop at once.
    Aborting,
}

/// Serves a router until `shutdown` comes, then stops accepting, finishes the requests under way, and returns; what
/// has not finished after [`HttpOptions::shutdown_timeout`] is cut off.
///
/// When accepting fails, for want of descriptors for instance, it pauses and goes on.
///
/// # Errors
/// None at present; a listener that can never accept again would be one.
pub async fn serve<L: Listener>(
    mut listener: L,
    router: Router,
    options: &HttpOptions,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let connections_max =
        u32::try_from(options.connections_max.clamp(1, Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
    let slots = Arc::new(Semaphore::new(
        usize::try_from(connections_max).unwrap_or(Semaphore::MAX_PERMITS),
    ));
    let (phase, phases) = watch_channel::channel(Phase::Serving);
    let connections = Connections::new(router, options, phases);
    let mut shutdown = pin!(shutdown);
    loop {
        // A connection that cannot be served stays in the system's queue.
        let next = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            (slot, listener.accept().await)
        };
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = next => accepted,
        };
        match accepted {
            (Ok(slot), Ok(io)) => {
                let peer = Peer(L::peer(&io));
                connections.spawn(io, peer, slot);
            }
            (Err(_), _) => break,
            (Ok(_), Err(error)) if is_of_one_connection(&error) => {}
            (Ok(_), Err(error)) => {
                tracing::warn!(%error, "no connection can be accepted at the moment");
                tokio::select! {
                    () = &mut shutdown => break,
                    () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                }
            }
        }
    }
    drop(listener);
    // Every connection holds a slot, so all slots together mean that none is left.
    let all_ended = || Arc::clone(&slots).acquire_many_owned(connections_max);
    phase.send_replace(Phase::Finishing);
    if timeout(options.shutdown_timeout, all_ended()).await.is_err() {
        let left = slots_taken(&slots, connections_max);
        tracing::warn!(
            connections = left,
            "requests took longer than the shutdown waits, and are cut off"
        );
        phase.send_replace(Phase::Aborting);
        let _ = timeout(ABORT_TIME_MAX, all_ended()).await;
    }
    Ok(())
}

fn slots_taken(slots: &Semaphore, connections_max: u32) -> usize {
    usize::try_from(connections_max)
        .unwrap_or(usize::MAX)
        .saturating_sub(slots.available_permits())
}

/// Whether the error is about a connection that came and went, and the next may be accepted at once.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}
