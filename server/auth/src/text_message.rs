//! Text messages: handed to a webhook, which knows somebody who sends them, or in development to the mailbox in memory.
//!
//! What the webhook gets is signed, with the time, so that it can tell our requests from others' and from old ones sent
//! again.

use andiron_engine::Engine;
use andiron_protocol::Timestamp;
use ring::hmac;
use serde::Serialize;

use crate::mail::Delivery;
use crate::outbound::Outbound;
use crate::{PhoneNumber, SecretText};

const SIGNATURE_HEADER: &str = "Andiron-Signature";

/// A text message, ready to be sent.
#[derive(Clone, Debug)]
pub struct TextMessage {
    /// To whom.
    pub to: PhoneNumber,
    /// What it says.
    pub text: String,
    /// The code in it, for who writes texts of their own.
    pub code: SecretText,
    /// What the code is for: `sign-in`, `confirm-phone` or `second-factor`.
    pub purpose: &'static str,
}

/// A way out for text messages.
pub trait DeliverText: Send + Sync + 'static {
    /// Delivers a message, or hands it to somebody who will. The error is for the log.
    fn deliver_text(&self, message: TextMessage) -> Delivery<'_>;
}

/// Hands messages to an HTTP server.
pub struct TextWebhook {
    url: String,
    key: hmac::Key,
    outbound: Outbound,
    engine: Engine,
}

#[derive(Serialize)]
struct Body<'b> {
    id: &'b str,
    time: Timestamp,
    to: &'b str,
    text: &'b str,
    code: &'b str,
    purpose: &'b str,
}

impl TextWebhook {
    /// Posts to a URL, signed with a secret. `allows_private` lets it be in a private network, and speak plain HTTP.
    pub fn new(url: &str, secret: &SecretText, allows_private: bool, engine: Engine) -> Self {
        Self {
            url: url.to_owned(),
            key: hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes()),
            outbound: Outbound::new(allows_private),
            engine,
        }
    }

    async fn post(&self, message: TextMessage) -> Result<(), String> {
        let time = self.engine.now();
        let body = Body {
            id: &self.engine.generate_id(),
            time,
            to: message.to.as_str(),
            text: &message.text,
            code: message.code.expose(),
            purpose: message.purpose,
        };
        let body = serde_json::to_vec(&body).map_err(|error| error.to_string())?;
        let signature = sign(&self.key, time, &body);
        self.outbound
            .post(&self.url, (SIGNATURE_HEADER, &signature), body)
            .await
    }
}

/// `t=SECONDS,v1=HEX`: the HMAC-SHA-256 of the seconds, a full stop and the body.
fn sign(key: &hmac::Key, time: Timestamp, body: &[u8]) -> String {
    let seconds = time.as_micros() / 1_000_000;
    let signed = [format!("{seconds}.").as_bytes(), body].concat();
    let tag = hmac::sign(key, &signed);
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={seconds},v1={hex}")
}

impl DeliverText for TextWebhook {
    fn deliver_text(&self, message: TextMessage) -> Delivery<'_> {
        Box::pin(self.post(message))
    }
}
