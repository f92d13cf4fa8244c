//! Live queries on the wire: the socket, the event stream, and who may stay on them.
//!
//! The engine says what is to be told; here it is put into frames and sent, and the caller's credentials are looked at for
//! as long as the connection lasts. Left out: what a result is, and what becomes of it.

mod change_stream;
mod events;
mod frames;
mod runtime;
mod session;
mod socket;
mod tickets;
mod websocket;

pub(crate) use change_stream::Following;
pub(crate) use events::{Listen, events};
pub(crate) use runtime::LiveRuntime;
pub(crate) use session::{Credential, Session};
pub(crate) use socket::{SUBPROTOCOL, serve_socket};
pub(crate) use tickets::ListenTickets;
pub(crate) use websocket::Opening;
