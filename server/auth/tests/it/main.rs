//! Service keys through their public interface.

#![expect(clippy::unwrap_used, reason = "tests, helpers included, may panic")]

use std::sync::Arc;

use andiron_auth::{AuthError, ServiceKeys};
use andiron_engine::{Caller, Engine, EngineOptions, Surroundings};
use andiron_store::memory::MemoryStore;

struct TestKeys {
    keys: ServiceKeys,
    engine: Engine,
}

impl Drop for TestKeys {
    fn drop(&mut self) {
        self.engine.close();
    }
}

fn over(store: Arc<MemoryStore>) -> TestKeys {
    let engine = Engine::open(store, EngineOptions::default(), Surroundings::system()).unwrap();
    TestKeys {
        keys: ServiceKeys::new(engine.clone()),
        engine,
    }
}

fn empty() -> TestKeys {
    over(Arc::new(MemoryStore::new()))
}

#[tokio::test]
async fn a_key_verifies_as_its_caller_also_after_a_restart() {
    let store = Arc::new(MemoryStore::new());
    let created = over(Arc::clone(&store)).keys.create("importer").await.unwrap();
    let test = over(store);
    let caller = test.keys.verify(created.key.expose()).unwrap();
    assert_eq!(caller, Caller::ServiceKey(created.service_key.id.clone()));
    assert_eq!(test.keys.list().await.unwrap(), [created.service_key]);
}

#[tokio::test]
async fn a_revoked_key_is_refused_at_once_and_its_name_is_free_again() {
    let test = empty();
    let first = test.keys.create("ci").await.unwrap();
    let second = test.keys.create("worker").await.unwrap();
    test.keys.verify(first.key.expose()).unwrap();
    assert_eq!(test.keys.revoke("ci").await.unwrap(), first.service_key);
    assert!(matches!(
        test.keys.verify(first.key.expose()),
        Err(AuthError::Unauthenticated)
    ));
    test.keys.verify(second.key.expose()).unwrap();
    assert!(matches!(
        test.keys.revoke("ci").await,
        Err(AuthError::NoSuchKey { .. })
    ));
    test.keys.create("ci").await.unwrap();
    test.keys.revoke(&second.service_key.id).await.unwrap();
    assert!(matches!(
        test.keys.verify(second.key.expose()),
        Err(AuthError::Unauthenticated)
    ));
}

#[tokio::test]
async fn what_is_no_key_in_force_is_refused_in_one_and_the_same_way() {
    let test = empty();
    let created = test.keys.create("a").await.unwrap();
    let key = created.key.expose();
    let id = &created.service_key.id;
    let (_, secret) = key["ak_".len()..].split_once('_').unwrap();
    for token in [
        String::new(),
        "ak_".to_owned(),
        "ak__".to_owned(),
        format!("ak_{id}"),
        format!("ak_{id}_"),
        format!("ak_{id}_{secret}x"),
        format!("ak_{id}_{}", &secret[1..]),
        format!("ak_{id}_{}", secret.to_uppercase()),
        format!("AK_{id}_{secret}"),
        format!("ak_{id}x_{secret}"),
        format!("ak_../_keys/{id}_{secret}"),
        format!("ak_.._{secret}"),
        format!("ak_{id}/x_{secret}"),
        "ak_\0_x".to_owned(),
        "x".repeat(1 << 20),
    ] {
        let refused = test.keys.verify(&token);
        assert!(matches!(refused, Err(AuthError::Unauthenticated)), "{token:.80}");
    }
    test.keys.verify(key).unwrap();
}

#[tokio::test]
async fn names_are_unique_and_plain() {
    let test = empty();
    test.keys.create("deploy.prod-1").await.unwrap();
    assert!(matches!(
        test.keys.create("deploy.prod-1").await,
        Err(AuthError::NameTaken { .. })
    ));
    for name in [
        "",
        "with space",
        "a/b",
        "..",
        ".",
        "__x__",
        "ü",
        "new\nline",
        &"x".repeat(65),
    ] {
        assert!(
            matches!(test.keys.create(name).await, Err(AuthError::Input(_))),
            "{name:?}"
        );
    }
    assert_eq!(test.keys.list().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_concurrent_creations_of_one_name_one_succeeds() {
    let test = empty();
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let keys = test.keys.clone();
            tokio::spawn(async move { keys.create("same").await.is_ok() })
        })
        .collect();
    let mut created = 0;
    for task in tasks {
        created += usize::from(task.await.unwrap());
    }
    assert_eq!(created, 1);
    assert_eq!(test.keys.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_store_holds_no_secret_and_debug_output_shows_none() {
    let store = Arc::new(MemoryStore::new());
    let test = over(Arc::clone(&store));
    let created = test.keys.create("a").await.unwrap();
    let secret = created.key.expose()["ak_".len()..]
        .split_once('_')
        .unwrap()
        .1
        .to_owned();
    let path = format!("_keys/{}", created.service_key.id).parse().unwrap();
    let document = test.engine.get(&Caller::System, &path).unwrap().unwrap();
    assert!(!document.data.contains(&secret));
    assert!(!format!("{created:?}").contains(&secret));
}
