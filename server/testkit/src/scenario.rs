//! Tables of endpoint scenarios: one line of the table, one request and what must come of it.

use http::Method;
use serde_json::Value;

use crate::{Answer, Api};

/// A request and what must come of it.
#[derive(Clone, Copy, Debug)]
pub struct Scenario<'s> {
    /// What it shows.
    pub name: &'s str,
    /// The method.
    pub method: &'s str,
    /// The path with its query.
    pub path: &'s str,
    /// Headers beyond those that every request has.
    pub headers: &'s [(&'s str, &'s str)],
    /// The body; empty for none.
    pub body: &'s str,
    /// The status of the answer.
    pub status: u16,
    /// The code of the problem; empty if it is none.
    pub code: &'s str,
    /// What must stand in the answer's body.
    pub contains: &'s [&'s str],
}

impl Scenario<'_> {
    /// A scenario to fill in: `..Scenario::EMPTY`.
    pub const EMPTY: Scenario<'static> = Scenario {
        name: "",
        method: "GET",
        path: "/",
        headers: &[],
        body: "",
        status: 200,
        code: "",
        contains: &[],
    };
}

/// Plays scenarios one after the other on one server, and fails with all complaints at once.
pub async fn check(api: &Api, scenarios: &[Scenario<'_>]) {
    let mut complaints = Vec::new();
    for scenario in scenarios {
        let method: Method = scenario.method.parse().expect("the scenario names a method");
        let body = (!scenario.body.is_empty()).then(|| scenario.body.to_owned());
        let answer = api.request(method, scenario.path, scenario.headers, body).await;
        complaints.extend(complaint(scenario, &answer));
    }
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

fn complaint(scenario: &Scenario<'_>, answer: &Answer) -> Option<String> {
    let text = answer.text();
    let problem: Value = serde_json::from_str(&text).unwrap_or_default();
    let missing = scenario.contains.iter().find(|part| !text.contains(**part));
    let fault = if answer.status != scenario.status {
        format!("status {} instead of {}", answer.status, scenario.status)
    } else if !scenario.code.is_empty() && problem["code"] != scenario.code {
        format!("code {} instead of {}", problem["code"], scenario.code)
    } else if let Some(missing) = missing {
        format!("`{missing}` is not in the answer")
    } else {
        return None;
    };
    Some(format!(
        "{}: {} {}: {fault}: {text}",
        scenario.name, scenario.method, scenario.path
    ))
}
