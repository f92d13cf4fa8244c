//! The development mailbox: the last mails, kept in memory, shown to administrators and delivered to nobody.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use andiron_engine::Engine;
use andiron_protocol::Timestamp;
use parking_lot::Mutex;
use serde::Serialize;

use super::{Deliver, Delivery, Mail};

/// Mails that are kept; the oldest makes way.
const MAILS_MAX: usize = 200;

/// Mails that were not sent.
#[derive(Clone)]
pub struct Mailbox {
    engine: Engine,
    mails: Arc<Mutex<VecDeque<MailboxEntry>>>,
    count: Arc<AtomicU64>,
}

/// A mail that was not sent.
#[derive(Clone, Debug, Serialize)]
pub struct MailboxEntry {
    /// Its number; numbers count up.
    pub id: u64,
    /// When it was written.
    pub time: Timestamp,
    /// To whom.
    pub to: String,
    /// What it is about.
    pub subject: String,
    /// What it says.
    pub text: String,
    /// The same in HTML.
    pub html: String,
}

impl Mailbox {
    /// An empty one, with the clock of an engine.
    pub fn new(engine: Engine) -> Self {
        Self {
            engine,
            mails: Arc::default(),
            count: Arc::default(),
        }
    }

    /// The mails in it, newest first.
    pub fn mails(&self) -> Vec<MailboxEntry> {
        self.mails.lock().iter().rev().cloned().collect()
    }
}

impl Deliver for Mailbox {
    fn deliver(&self, mail: Mail) -> Delivery<'_> {
        let link = mail.text.split_whitespace().find(|word| word.contains("#mode="));
        // Only in development, where the developer is the receiver.
        tracing::info!(to = %mail.to, subject = mail.subject, link, "a mail went to the development mailbox");
        let mut mails = self.mails.lock();
        if mails.len() >= MAILS_MAX {
            mails.pop_front();
        }
        mails.push_back(MailboxEntry {
            id: self.count.fetch_add(1, Ordering::Relaxed) + 1,
            time: self.engine.now(),
            to: mail.to.as_str().to_owned(),
            subject: mail.subject,
            text: mail.text,
            html: mail.html,
        });
        Box::pin(std::future::ready(Ok(())))
    }
}
