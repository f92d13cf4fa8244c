//! `/healthz`, `/readyz` and `/metrics`.

use andiron_http::{HttpOptions, MetricsAccess};

use crate::client::Request;
use crate::server::Server;

#[tokio::test]
async fn a_server_that_can_read_is_alive_and_ready() {
    let server = Server::start().await;
    for (target, status) in [("/healthz", "alive"), ("/readyz", "ready")] {
        let answer = server.send_as_it_is(Request::get(target)).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json()["status"], status);
    }
}

/// The value of a sample, by its name and labels as they are written.
pub(crate) fn sample(metrics: &str, name: &str) -> f64 {
    let line = metrics
        .lines()
        .find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
    let line = line.unwrap_or_else(|| panic!("there is no sample {name} in\n{metrics}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn metrics_count_requests_by_route_method_and_status() {
    let server = Server::start().await;
    server
        .send(Request::new("PUT", "/api/v1/docs/posts/p1").body("{}"))
        .await;
    for id in ["p1", "p1", "p2"] {
        server
            .send(Request::get(&format!("/api/v1/docs/posts/{id}")))
            .await;
    }
    server.send(Request::get("/some/secret/path")).await;
    server.send(Request::new("BREW", "/healthz")).await;
    let answer = server.send(Request::get("/metrics")).await;
    assert!(
        answer
            .header("content-type")
            .starts_with("application/openmetrics-text")
    );
    let metrics = answer.text();
    assert!(metrics.ends_with("# EOF\n"), "{metrics}");
    for (labels, count) in [
        ("route=\"/api/v1/docs/{path}\",method=\"PUT\",status=\"201\"", 1.0),
        ("route=\"/api/v1/docs/{path}\",method=\"GET\",status=\"200\"", 2.0),
        ("route=\"/api/v1/docs/{path}\",method=\"GET\",status=\"404\"", 1.0),
        ("route=\"unmatched\",method=\"GET\",status=\"404\"", 1.0),
        ("route=\"/healthz\",method=\"other\",status=\"405\"", 1.0),
    ] {
        assert_eq!(
            sample(&metrics, &format!("andiron_http_requests_total{{{labels}}}")),
            count
        );
    }
    let count = "andiron_http_request_duration_seconds_count{route=\"/api/v1/docs/{path}\"}";
    assert_eq!(sample(&metrics, count), 4.0);
    assert_eq!(sample(&metrics, "andiron_http_requests_in_flight"), 1.0);
    assert!(sample(&metrics, "andiron_http_connections") >= 1.0);
    assert!(sample(&metrics, "andiron_commits_total") >= 1.0);
    assert_eq!(
        sample(&metrics, "andiron_build_info{version=\"0.0.0-test\"}"),
        1.0
    );
    assert!(sample(&metrics, "process_resident_memory_bytes") > 1e6);
    assert!(sample(&metrics, "process_open_fds") > 3.0);
    assert!(sample(&metrics, "process_cpu_seconds_total") >= 0.0);
    assert!(sample(&metrics, "process_start_time_seconds") > 1.7e9);
    assert!(sample(&metrics, "andiron_uptime_seconds") >= 0.0);
    assert!(
        !metrics.contains("secret") && !metrics.contains("BREW"),
        "what clients send is no label"
    );
}

#[tokio::test]
async fn metrics_are_for_administrators_unless_configured_otherwise() {
    let server = Server::start().await;
    assert_eq!(
        server.send_as_it_is(Request::get("/metrics")).await.code(),
        "permission-denied"
    );
    let server = Server::with(HttpOptions {
        metrics_access: MetricsAccess::Everyone,
        ..Default::default()
    })
    .await;
    let answer = server.send_as_it_is(Request::get("/metrics")).await;
    assert_eq!(answer.status, 200);
    assert!(!answer.text().contains(&server.key));
}
