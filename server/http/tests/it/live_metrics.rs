//! The figures of live queries: which there are, and what they count.

use std::collections::BTreeSet;

use serde_json::json;

use crate::client::Request;
use crate::health::sample;
use crate::live::put;
use crate::live_ears::{Ear, Transport};
use crate::server::Server;

const DOCUMENTATION: &str = include_str!("../../../../docs/live.md");

async fn metrics(server: &Server) -> String {
    server.send(Request::get("/metrics")).await.text()
}

#[tokio::test]
async fn the_figures_that_there_are_are_those_that_are_documented() {
    let server = Server::start().await;
    let metrics = metrics(&server).await;
    let exported: BTreeSet<String> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE andiron_live_"))
        .filter_map(|line| line.split_once(' '))
        .map(|(name, kind)| match kind {
            "counter" => format!("{name}_total"),
            _ => name.to_owned(),
        })
        .collect();
    let (_, table) = DOCUMENTATION.split_once("\n## Figures\n").unwrap();
    let named: BTreeSet<String> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split(" | ").next())
        .flat_map(|names| names.split(", "))
        .map(|name| name.trim_matches('`').to_owned())
        .collect();
    assert_eq!(exported, named);
}

#[tokio::test]
async fn figures_count_who_listens_and_how_they_went_on() {
    let server = Server::start().await;
    let listen = async |resume: Option<&str>| {
        Ear::listen(&server, Transport::Socket, &server.key, "from=posts", resume).await
    };
    let mut ears = [listen(None).await, listen(None).await];
    let mut token = String::new();
    for ear in &mut ears {
        ear.next().await;
    }
    put(&server, "posts/p1", json!({})).await;
    for ear in &mut ears {
        token = ear.next().await["resume"].as_str().unwrap().to_owned();
    }
    let mut third = listen(Some(&token)).await;
    assert_eq!(third.next().await["reset"], false);
    // What the feed has told by then it has counted, and once it takes the next step it has counted who is there.
    put(&server, "posts/p2", json!({})).await;
    third.next().await;
    let metrics = metrics(&server).await;
    for (name, least) in [
        ("connections", 3.0),
        ("listens", 3.0),
        ("views", 1.0),
        ("deliveries_total", 4.0),
        ("resets_total", 2.0),
        ("resumes_total", 1.0),
        ("step_seconds_count", 3.0),
        ("match_seconds_count", 2.0),
    ] {
        let value = sample(&metrics, &format!("andiron_live_{name}"));
        let is_right = match name {
            "deliveries_total" | "step_seconds_count" | "match_seconds_count" => value >= least,
            _ => value == least,
        };
        assert!(is_right, "{name}: {value}");
    }
    assert_eq!(sample(&metrics, "andiron_live_skips_total"), 0.0);
}
