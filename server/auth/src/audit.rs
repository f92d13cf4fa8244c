//! The audit log: security events, each a document of `_audit`.
//!
//! An event is written by the commit that it tells of, so that there is one exactly if the other happened; refusals,
//! which change nothing, have a commit of their own. No API changes or removes an event; age does.

use andiron_engine::{Caller, Engine};
use andiron_protocol::{
    CollectionPath, Direction, FieldRef, Filter, Operator, OrderBy, Query, Source, Timestamp, Value,
};
use serde::{Deserialize, Serialize};

use crate::records::{Batch, Record, record_path};
use crate::{Accounts, AuthError, ClientInfo};

pub(crate) const AUDIT: &str = "_audit";
/// Events in one page.
pub const AUDIT_PAGE_MAX: u32 = 1000;

/// A security event.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEvent {
    /// Its id; ids order by time.
    #[serde(default)]
    pub id: String,
    /// When it happened.
    pub time: Timestamp,
    /// What happened, as in `sign-in` or `sign-in-refused`.
    pub event: String,
    /// The account that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Who did it, if it was not the account itself: `user:…`, `key:…` or `owner`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The address that it came from; empty for the local socket.
    pub address: String,
    /// What the client calls itself.
    pub device: String,
    /// More about it; never a secret.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// Which events to list.
#[derive(Clone, Debug, Default)]
pub struct AuditQuery {
    /// Only about this account.
    pub uid: Option<String>,
    /// Only of this kind.
    pub event: Option<String>,
    /// Only those before the event with this id.
    pub before: Option<String>,
    /// At most so many, and at most 1,000.
    pub limit: u32,
}

/// An event about to be written.
pub(crate) struct Event<'e> {
    pub(crate) event: &'static str,
    pub(crate) uid: Option<&'e str>,
    pub(crate) actor: Option<String>,
    pub(crate) client: &'e ClientInfo,
    pub(crate) detail: String,
}

impl<'e> Event<'e> {
    pub(crate) fn new(event: &'static str, uid: &'e str, client: &'e ClientInfo) -> Self {
        Self {
            event,
            uid: Some(uid),
            actor: None,
            client,
            detail: String::new(),
        }
    }

    pub(crate) fn by(mut self, caller: &Caller) -> Self {
        self.actor = match caller {
            Caller::Anonymous => None,
            Caller::User(user) => Some(format!("user:{}", user.uid)),
            Caller::ServiceKey(key) => Some(format!("key:{}", key.id)),
            Caller::Owner => Some("owner".to_owned()),
            Caller::System => Some("system".to_owned()),
        };
        self
    }

    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }
}

/// Adds an event to what is about to be committed.
pub(crate) fn add_event(engine: &Engine, batch: &mut Batch, event: Event<'_>) -> Result<(), AuthError> {
    let id = engine.generate_id();
    let record = AuditEvent {
        id: String::new(),
        time: engine.now(),
        event: event.event.to_owned(),
        uid: event.uid.map(ToOwned::to_owned),
        actor: event.actor,
        address: event.client.address(),
        device: event.client.device().to_owned(),
        detail: event.detail,
    };
    batch.create(record_path(AUDIT, &id)?, &record)
}

/// Writes an event of something refused, which changes nothing else. A refusal stands even where its event cannot be
/// written.
pub(crate) async fn write_refusal(engine: &Engine, event: Event<'_>) {
    let mut batch = Batch::default();
    let written = match add_event(engine, &mut batch, event) {
        Ok(()) => batch
            .commit_unasked(engine)
            .await
            .map(drop)
            .map_err(AuthError::from),
        Err(error) => Err(error),
    };
    if let Err(error) = written {
        tracing::error!(%error, "a security event could not be written");
    }
}

impl Accounts {
    /// Adds an event to what is about to be committed.
    pub(crate) fn audit(&self, batch: &mut Batch, event: Event<'_>) -> Result<(), AuthError> {
        add_event(self.engine(), batch, event)
    }

    /// Writes an event of something refused, which changes nothing else.
    pub(crate) async fn audit_refusal(&self, event: Event<'_>) {
        write_refusal(self.engine(), event).await;
    }

    /// Security events, newest first.
    ///
    /// # Errors
    /// If the engine cannot read.
    pub async fn audit_events(&self, query: AuditQuery) -> Result<Vec<AuditEvent>, AuthError> {
        let mut parts = Vec::new();
        for (field, value) in [("uid", &query.uid), ("event", &query.event)] {
            if let Some(value) = value {
                let field = FieldRef::Field(field.parse()?);
                parts.push(Filter::compare(
                    field,
                    Operator::Equal,
                    Value::from(value.as_str()),
                )?);
            }
        }
        if let Some(before) = &query.before {
            let place = Value::from(before.as_str());
            parts.push(Filter::compare(FieldRef::Id, Operator::Less, place)?);
        }
        let filter = match parts.len() {
            0 => None,
            1 => parts.pop(),
            _ => Some(Filter::And(parts)),
        };
        let query = Query {
            filter,
            order_by: vec![OrderBy {
                field: FieldRef::Id,
                direction: Direction::Descending,
            }],
            limit: Some(query.limit.clamp(1, AUDIT_PAGE_MAX)),
            ..Query::all(Source::Collection(AUDIT.parse::<CollectionPath>()?))
        };
        let (found, _) = self
            .engine()
            .query(
                &Caller::System,
                query,
                Default::default(),
                Vec::<andiron_engine::StoredDocument>::new(),
            )
            .await?;
        let mut events = Vec::with_capacity(found.len());
        for document in found {
            let record: Record<AuditEvent> = Record::of(document)?;
            let id = record.path.id().to_owned();
            events.push(AuditEvent { id, ..record.data });
        }
        Ok(events)
    }
}
