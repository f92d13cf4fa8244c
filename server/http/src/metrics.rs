//! What `/metrics` tells: the engine's figures, requests, connections and the process.
//!
//! Labels are bounded: routes are those of the router, methods and statuses come from fixed lists, and nothing that a
//! client sends becomes a label.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::http::{Method, StatusCode};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::{Registry, Unit};

use andiron_engine::Engine;

/// Methods that are counted by name; the last stands for all others.
const METHODS: [&str; 8] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other",
];
/// Statuses that are counted by number; others are counted under 0.
const STATUSES: [u16; 25] = [
    200, 201, 204, 304, 308, 400, 401, 403, 404, 405, 408, 409, 412, 413, 414, 415, 429, 431, 499, 500, 501,
    503, 504, 505, 0,
];
/// Upper bounds of the buckets of durations, in seconds; one more holds the rest.
const DURATION_BUCKETS: [f64; 12] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0, 30.0,
];
/// Clock ticks a second in which Linux tells CPU time to programs, whatever the kernel itself counts in.
const CLOCK_TICKS_PER_SECOND: f64 = 100.0;

/// How many connections are open.
#[derive(Clone, Debug, Default)]
pub struct ConnectionCount(Gauge);

impl ConnectionCount {
    /// Connections open now.
    pub fn open(&self) -> i64 {
        self.0.get()
    }

    /// Counts one connection until the guard goes.
    pub(crate) fn guard(&self) -> ConnectionGuard {
        self.0.inc();
        ConnectionGuard(self.0.clone())
    }
}

/// One open connection.
pub(crate) struct ConnectionGuard(Gauge);

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The figures of one server.
#[derive(Debug)]
pub(crate) struct HttpMetrics {
    registry: OnceLock<Registry>,
    requests: Arc<RequestMetrics>,
}

impl HttpMetrics {
    /// Figures that begin at nothing. Until [`HttpMetrics::register`] there is nothing to show.
    pub(crate) fn new() -> Self {
        Self {
            registry: OnceLock::new(),
            requests: Arc::default(),
        }
    }

    /// The figures of a route, made at its first mention.
    pub(crate) fn route(&self, route: &str) -> Arc<RouteMetrics> {
        let mut routes = self
            .requests
            .routes
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(known) = routes.iter().find(|known| known.route == route) {
            return Arc::clone(known);
        }
        let new = Arc::new(RouteMetrics::new(route));
        routes.push(Arc::clone(&new));
        new
    }

    /// Requests under way.
    pub(crate) fn in_flight(&self) -> &Gauge {
        &self.requests.in_flight
    }

    /// Puts together what is shown.
    pub(crate) fn register(&self, engine: &Engine, connections: &ConnectionCount, process: ProcessMetrics) {
        let mut registry = Registry::default();
        engine.metrics().register(&mut registry);
        registry.register(
            "andiron_http_connections",
            "Connections open",
            connections.0.clone(),
        );
        registry.register(
            "andiron_http_requests_in_flight",
            "Requests whose answer has not begun",
            self.requests.in_flight.clone(),
        );
        registry.register_collector(Box::new(Arc::clone(&self.requests)));
        registry.register_collector(Box::new(process));
        // Called once, when the server is put together; a second time would change nothing.
        let _ = self.registry.set(registry);
    }

    /// Everything in the OpenMetrics text format, which Prometheus reads.
    pub(crate) fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        if let Some(registry) = self.registry.get() {
            encode(&mut text, registry)?;
        }
        Ok(text)
    }
}

/// The requests of all routes.
#[derive(Debug, Default)]
struct RequestMetrics {
    in_flight: Gauge,
    routes: std::sync::Mutex<Vec<Arc<RouteMetrics>>>,
}

/// The requests of one route.
#[derive(Debug)]
pub(crate) struct RouteMetrics {
    route: String,
    counts: [[AtomicU64; STATUSES.len()]; METHODS.len()],
    durations: [AtomicU64; DURATION_BUCKETS.len() + 1],
    duration_nanos: AtomicU64,
}

impl RouteMetrics {
    fn new(route: &str) -> Self {
        Self {
            route: route.to_owned(),
            counts: Default::default(),
            durations: Default::default(),
            duration_nanos: AtomicU64::new(0),
        }
    }

    /// The route, as it is written in the router.
    pub(crate) fn route(&self) -> &str {
        &self.route
    }

    /// Counts a request.
    pub(crate) fn count(&self, method: usize, status: StatusCode, duration: Duration) {
        let last = STATUSES.len() - 1;
        let status = STATUSES
            .iter()
            .position(|known| *known == status.as_u16())
            .unwrap_or(last);
        self.counts[method.min(METHODS.len() - 1)][status].fetch_add(1, Ordering::Relaxed);
        let seconds = duration.as_secs_f64();
        let bucket = DURATION_BUCKETS
            .iter()
            .position(|bound| seconds <= *bound)
            .unwrap_or(DURATION_BUCKETS.len());
        self.durations[bucket].fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.duration_nanos.fetch_add(nanos, Ordering::Relaxed);
    }
}

/// The place of a method in the counts.
pub(crate) fn method_index(method: &Method) -> usize {
    METHODS
        .iter()
        .position(|known| *known == method.as_str())
        .unwrap_or(METHODS.len() - 1)
}

/// The name of a method, as logs and metrics have it.
pub(crate) fn method_name(index: usize) -> &'static str {
    METHODS.get(index).copied().unwrap_or("other")
}

impl Collector for RequestMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let routes = self
            .routes
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut requests = encoder.encode_descriptor(
            "andiron_http_requests",
            "Requests answered.",
            None,
            MetricType::Counter,
        )?;
        for route in routes.iter() {
            for (method, counts) in METHODS.iter().zip(&route.counts) {
                for (status, count) in STATUSES.iter().zip(counts) {
                    let count = count.load(Ordering::Relaxed);
                    if count > 0 {
                        let labels = [
                            ("route", route.route.clone()),
                            ("method", (*method).to_owned()),
                            ("status", status.to_string()),
                        ];
                        ConstCounter::new(count).encode(requests.encode_family(&labels)?)?;
                    }
                }
            }
        }
        let mut durations = encoder.encode_descriptor(
            "andiron_http_request_duration",
            "Seconds from a request's head to the beginning of its answer.",
            Some(&Unit::Seconds),
            MetricType::Histogram,
        )?;
        for route in routes.iter() {
            let counts = route
                .durations
                .each_ref()
                .map(|count| count.load(Ordering::Relaxed));
            let total = counts.iter().sum::<u64>();
            if total == 0 {
                continue;
            }
            let bounds = DURATION_BUCKETS.iter().copied().chain([f64::INFINITY]);
            let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
            let seconds = Duration::from_nanos(route.duration_nanos.load(Ordering::Relaxed)).as_secs_f64();
            durations
                .encode_family(&[("route", route.route.clone())])?
                .encode_histogram::<NoLabelSet>(seconds, total, &buckets, None)?;
        }
        Ok(())
    }
}

/// The process that the server runs in.
#[derive(Debug)]
pub(crate) struct ProcessMetrics {
    /// The program's version.
    pub(crate) version: String,
    /// When the server was put together.
    pub(crate) started: Instant,
    /// The same in seconds since 1970.
    pub(crate) started_seconds: f64,
}

impl Collector for ProcessMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut build =
            encoder.encode_descriptor("andiron_build_info", "The program.", None, MetricType::Gauge)?;
        let version = [("version", self.version.clone())];
        ConstGauge::new(1.0).encode(build.encode_family(&version)?)?;
        let uptime = self.started.elapsed().as_secs_f64();
        let gauges = [
            (
                "andiron_uptime_seconds",
                "Seconds since the server started.",
                Some(uptime),
            ),
            (
                "process_start_time_seconds",
                "When the server started, in seconds since 1970.",
                Some(self.started_seconds),
            ),
            (
                "process_resident_memory_bytes",
                "Memory in use.",
                resident_memory_bytes(),
            ),
            ("process_open_fds", "File descriptors open.", open_descriptors()),
        ];
        for (name, help, value) in gauges {
            if let Some(value) = value {
                let gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
                ConstGauge::new(value).encode(gauge)?;
            }
        }
        if let Some(seconds) = cpu_seconds() {
            let counter = encoder.encode_descriptor(
                "process_cpu_seconds",
                "CPU time used.",
                None,
                MetricType::Counter,
            )?;
            ConstCounter::new(seconds).encode(counter)?;
        }
        Ok(())
    }
}

/// As the kernel tells it; `None` where there is no `/proc`.
fn resident_memory_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0)
}

fn open_descriptors() -> Option<f64> {
    let entries = std::fs::read_dir("/proc/self/fd").ok()?.count();
    // One of them is the listing's own.
    u32::try_from(entries.saturating_sub(1)).ok().map(f64::from)
}

fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name, in parentheses, may contain anything; what follows it is fields 3 and on.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) / CLOCK_TICKS_PER_SECOND)
}
