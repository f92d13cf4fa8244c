//! Mails: what they say, and the ways out.
//!
//! A mail is written from templates and handed to a [`Deliver`]: an SMTP server, or in development a mailbox in memory.
//! Links in mails begin with the URL of the settings and never with what a request said about its host. The code stands
//! behind `#`, which no browser sends: following a link, by whoever, uses nothing up.

mod mailbox;
mod smtp;
mod templates;

use std::future::Future;
use std::pin::Pin;

pub use mailbox::{Mailbox, MailboxEntry};
pub use smtp::{SmtpOptions, SmtpSecurity, SmtpTransport};
pub use templates::MailTemplates;

use crate::EmailAddress;

/// A mail, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// To whom.
    pub to: EmailAddress,
    /// What it is about; one line.
    pub subject: String,
    /// What it says, in plain text.
    pub text: String,
    /// The same in HTML.
    pub html: String,
}

/// What the delivery of a mail ends in: what the next mail server said to it, or a reason for the log.
pub type MailDelivery<'d> = Pin<Box<dyn Future<Output = Result<String, String>> + Send + 'd>>;

/// What a delivery ends in: nothing, or a reason for the log.
pub type Delivery<'d> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'd>>;

/// A way out for mails.
pub trait Deliver: Send + Sync + 'static {
    /// Delivers a mail, or hands it to somebody who will. The error is for the log.
    fn deliver(&self, mail: Mail) -> MailDelivery<'_>;
}

/// What a mail is about; the name of its template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MailKind {
    VerifyEmail,
    ResetPassword,
    ChangeEmail,
    EmailChanged,
    SignInLink,
    SignInCode,
    Invitation,
    Test,
}

impl MailKind {
    pub(crate) const ALL: [Self; 8] = [
        Self::VerifyEmail,
        Self::ResetPassword,
        Self::ChangeEmail,
        Self::EmailChanged,
        Self::SignInLink,
        Self::SignInCode,
        Self::Invitation,
        Self::Test,
    ];

    /// The name of its template, and the `mode` of its link.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify-email",
            Self::ResetPassword => "reset-password",
            Self::ChangeEmail => "change-email",
            Self::EmailChanged => "email-changed",
            Self::SignInLink => "sign-in-link",
            Self::SignInCode => "sign-in-code",
            Self::Invitation => "invitation",
            Self::Test => "test",
        }
    }
}
