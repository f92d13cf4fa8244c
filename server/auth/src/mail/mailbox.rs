//! The development mailbox: the last mails and text messages, kept in memory, shown to administrators and delivered to nobody.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use andiron_engine::Engine;
use andiron_protocol::Timestamp;
use parking_lot::Mutex;
use serde::Serialize;

use super::{Deliver, Delivery, Mail, MailDelivery};
use crate::text_message::{DeliverText, TextMessage};

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

    fn put(&self, to: String, subject: String, text: String, html: String) {
        let mut mails = self.mails.lock();
        if mails.len() >= MAILS_MAX {
            mails.pop_front();
        }
        mails.push_back(MailboxEntry {
            id: self.count.fetch_add(1, Ordering::Relaxed) + 1,
            time: self.engine.now(),
            to,
            subject,
            text,
            html,
        });
    }
}

impl Deliver for Mailbox {
    fn deliver(&self, mail: Mail) -> MailDelivery<'_> {
        let link = mail.text.split_whitespace().find(|word| word.contains("#mode="));
        // Only in development, where the developer is the receiver.
        tracing::info!(to = %mail.to, subject = mail.subject, link, "a mail went to the development mailbox");
        self.put(mail.to.as_str().to_owned(), mail.subject, mail.text, mail.html);
        Box::pin(std::future::ready(Ok(
            "it is in the development mailbox".to_owned()
        )))
    }
}

impl DeliverText for Mailbox {
    fn deliver_text(&self, message: TextMessage) -> Delivery<'_> {
        tracing::info!(to = %message.to, text = message.text, "a text message went to the development mailbox");
        let to = message.to.as_str().to_owned();
        self.put(to, "Text message".to_owned(), message.text, String::new());
        Box::pin(std::future::ready(Ok(())))
    }
}
