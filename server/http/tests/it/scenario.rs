//! Tables of endpoint scenarios: each is named, sends one request with the service key and says what comes back.

use serde_json::Value;

use crate::client::Request;
use crate::server::Server;

/// One request and what is expected of its answer.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) request: Request,
    pub(crate) status: u16,
    /// The problem's code, where the answer is one.
    pub(crate) code: Option<&'static str>,
    /// What the body contains.
    pub(crate) contains: Vec<&'static str>,
    /// Members that the JSON has, by JSON pointer.
    pub(crate) members: Vec<(&'static str, Value)>,
}

/// A scenario in which an administrator gets an answer.
pub(crate) fn answers(name: &'static str, method: &str, target: &str, status: u16) -> Scenario {
    Scenario {
        name,
        request: Request::new(method, target),
        status,
        code: None,
        contains: Vec::new(),
        members: Vec::new(),
    }
}

/// A scenario in which an administrator is refused.
pub(crate) fn refuses(
    name: &'static str,
    method: &str,
    target: &str,
    status: u16,
    code: &'static str,
) -> Scenario {
    Scenario {
        code: Some(code),
        ..answers(name, method, target, status)
    }
}

impl Scenario {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub(crate) fn body(mut self, body: impl Into<bytes::Bytes>) -> Self {
        self.request = self.request.body(body);
        self
    }

    pub(crate) fn contains(mut self, text: &'static str) -> Self {
        self.contains.push(text);
        self
    }

    pub(crate) fn member(mut self, pointer: &'static str, value: impl Into<Value>) -> Self {
        self.members.push((pointer, value.into()));
        self
    }
}

/// Runs a table on one server, top to bottom, and names every scenario that went wrong.
pub(crate) async fn run(server: &Server, table: Vec<Scenario>) {
    let mut complaints = Vec::new();
    for scenario in table {
        let Scenario {
            name,
            request,
            status,
            code,
            contains,
            members,
        } = scenario;
        let answer = server.send(request).await;
        let text = answer.text();
        let mut complain = |what: String| complaints.push(format!("{name}: {what}\n    {text}"));
        if answer.status.as_u16() != status {
            complain(format!("{} instead of {status}", answer.status));
            continue;
        }
        if let Some(code) = code
            && answer.code() != code
        {
            complain(format!("not `{code}`"));
        }
        for part in contains {
            if !text.contains(part) {
                complain(format!("does not contain `{part}`"));
            }
        }
        for (pointer, expected) in members {
            let json = answer.json();
            let found = json.pointer(pointer).unwrap_or(&Value::Null);
            if *found != expected {
                complain(format!("`{pointer}` is {found} instead of {expected}"));
            }
        }
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}
