//! The operations, in a dialect that is easy to read.

use andiron_bench::{
    dataset::Document,
    load::Feed as _,
    workload::{Dialect, Mix, Requests, Statuses, Workload},
};
use jiff::Timestamp;

struct Plain;

impl Dialect for Plain {
    fn create(&self, document: &Document) -> Vec<u8> {
        format!("create {}", document.title).into_bytes()
    }

    fn read(&self, id: &str) -> Vec<u8> {
        // A key in the head may hold anything, the number that marks a hole included.
        format!("read {id} key 777777").into_bytes()
    }

    fn patch(&self, id: &str, views: &str) -> Vec<u8> {
        format!("patch {id} key 777777 views {views}").into_bytes()
    }

    fn list(&self, category: &str, limit: u32) -> Vec<u8> {
        format!("list {category} {limit}").into_bytes()
    }

    fn list_before(&self, category: &str, moment: Timestamp, limit: u32) -> Vec<u8> {
        format!("list {category} before {moment} {limit}").into_bytes()
    }

    fn post(&self, path: &str, body: &str) -> Vec<u8> {
        format!("post {path} {body}").into_bytes()
    }

    fn statuses(&self) -> Statuses {
        Statuses { create: 201, ok: 200 }
    }
}

/// The first `count` requests of a workload, with the statuses they expect.
fn requests(workload: Workload, seed: u64, count: usize) -> Vec<(u16, String)> {
    let requests = Requests::new(&Plain);
    let mut mix = Mix::workload(&requests, workload, seed);
    (0..count)
        .map(|_| {
            let mut out = Vec::new();
            let status = mix.next(&mut out).expect("a mix has no end");
            (status, String::from_utf8(out).unwrap())
        })
        .collect()
}

#[test]
fn equal_seeds_give_equal_requests() {
    for workload in Workload::ALL {
        assert_eq!(
            requests(workload, 3, 100),
            requests(workload, 3, 100),
            "{workload}"
        );
        assert_ne!(
            requests(workload, 3, 100),
            requests(workload, 4, 100),
            "{workload}"
        );
    }
}

#[test]
fn ids_and_numbers_are_written_into_their_holes_only() {
    for (status, request) in requests(Workload::Read, 1, 200) {
        assert_eq!(status, 200);
        let number: u32 = request
            .strip_prefix("read item")
            .unwrap()
            .strip_suffix(" key 777777")
            .unwrap()
            .parse()
            .unwrap();
        assert!(number < 10_000);
    }
    for (_, request) in requests(Workload::Patch, 1, 200) {
        let (head, views) = request.split_once(" views ").unwrap();
        assert!(
            head.starts_with("patch item0000000") && head.ends_with(" key 777777"),
            "{head}"
        );
        assert!((100_000..1_000_000).contains(&views.parse::<u32>().unwrap()));
    }
}

#[test]
fn a_create_expects_the_status_of_a_create() {
    assert!(
        requests(Workload::Create, 1, 50)
            .iter()
            .all(|(status, text)| *status == 201 && text.starts_with("create "))
    );
    assert!(
        requests(Workload::List, 1, 50)
            .iter()
            .all(|(status, text)| *status == 200 && text.ends_with(" 30"))
    );
}

#[test]
fn the_mix_has_its_shares() {
    let requests = requests(Workload::Mixed, 1, 10_000);
    let share = |kind: &str| requests.iter().filter(|(_, text)| text.starts_with(kind)).count();
    assert!((7_800..8_200).contains(&share("read")), "{} reads", share("read"));
    assert!((1_350..1_650).contains(&share("list")), "{} lists", share("list"));
    assert!((400..600).contains(&share("patch")), "{} patches", share("patch"));
}

#[test]
fn the_growing_query_asks_from_many_places() {
    let requests = Requests::new(&Plain);
    let mut mix = Mix::growing_query(&requests, 1);
    let mut seen = std::collections::HashSet::new();
    for _ in 0..1000 {
        let mut out = Vec::new();
        mix.next(&mut out);
        seen.insert(out);
    }
    assert!(seen.len() > 800, "{} different ones", seen.len());
}

#[test]
fn a_workload_is_known_by_its_name() {
    for workload in Workload::ALL {
        assert_eq!(workload.name().parse::<Workload>().unwrap(), workload);
    }
    assert_eq!(
        "raed".parse::<Workload>().unwrap_err().to_string(),
        "no workload is called `raed`"
    );
}
