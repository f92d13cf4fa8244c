//! Mail by SMTP.

use std::time::Duration;

use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

use super::{Deliver, Mail, MailDelivery};
use crate::{AuthError, SecretText};

/// How long an SMTP server may take for one step.
const SMTP_TIMEOUT: Duration = Duration::from_secs(20);

/// How the way to an SMTP server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// TLS from the first byte on, usually at port 465.
    Tls,
    /// TLS after `STARTTLS`, usually at port 587; without it nothing is sent.
    StartTls,
    /// None: only for a server on this machine.
    None,
}

/// An SMTP server.
#[derive(Clone, Debug)]
pub struct SmtpOptions {
    /// Its name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the way there is protected.
    pub security: SmtpSecurity,
    /// Who signs in there, and with what.
    pub credentials: Option<(String, SecretText)>,
    /// What stands in `From`, as in `Example <no-reply@example.org>`.
    pub from: String,
}

/// Sends by an SMTP server.
pub struct SmtpTransport {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl SmtpTransport {
    /// A way to an SMTP server; nothing is connected yet.
    ///
    /// # Errors
    /// If the sender is no address or the server's name none for TLS.
    pub fn new(options: SmtpOptions) -> Result<Self, AuthError> {
        let failed = |detail: String| AuthError::NotPossible(format!("mail by SMTP: {detail}"));
        let from = options
            .from
            .parse()
            .map_err(|error| failed(format!("`{}` is no sender: {error}", options.from)))?;
        let builder = match options.security {
            SmtpSecurity::Tls => AsyncSmtpTransport::<Tokio1Executor>::relay(&options.host),
            SmtpSecurity::StartTls => AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(&options.host),
            SmtpSecurity::None => Ok(AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(
                &options.host,
            )),
        };
        let mut builder = builder
            .map_err(|error| failed(error.to_string()))?
            .port(options.port)
            .timeout(Some(SMTP_TIMEOUT));
        if let Some((user, password)) = options.credentials {
            builder = builder.credentials(Credentials::new(user, password.expose().to_owned()));
        }
        Ok(Self {
            transport: builder.build(),
            from,
        })
    }

    async fn send(&self, mail: Mail) -> Result<String, String> {
        let to: lettre::Address = mail.to.as_str().parse().map_err(|error| format!("{error}"))?;
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(mail.subject)
            .multipart(MultiPart::alternative_plain_html(mail.text, mail.html))
            .map_err(|error| error.to_string())?;
        let said = self
            .transport
            .send(message)
            .await
            .map_err(|error| error.to_string())?;
        let lines: Vec<_> = said.message().collect();
        Ok(format!("{} {}", said.code(), lines.join(" ")))
    }
}

impl Deliver for SmtpTransport {
    fn deliver(&self, mail: Mail) -> MailDelivery<'_> {
        Box::pin(self.send(mail))
    }
}
