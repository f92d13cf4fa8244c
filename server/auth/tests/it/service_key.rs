//! Service keys through their public interface.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use andiron_auth::{AuthError, ClientInfo, CreatedKey, NewKey, ServiceKey, ServiceKeys};
use andiron_engine::{Caller, Engine, EngineOptions, Scopes, Surroundings};
use andiron_protocol::{CommitBody, Precondition, Timestamp, Value, Write, WriteKind};
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

impl TestKeys {
    async fn create(&self, name: &str) -> Result<CreatedKey, AuthError> {
        create(&self.keys, NewKey::for_everything(name)).await
    }

    async fn revoke(&self, name_or_id: &str) -> Result<ServiceKey, AuthError> {
        self.keys
            .revoke(name_or_id, &Caller::Owner, &ClientInfo::default())
            .await
    }
}

async fn create(keys: &ServiceKeys, new: NewKey) -> Result<CreatedKey, AuthError> {
    keys.create(new, &Caller::Owner, &ClientInfo::default()).await
}

fn over(store: Arc<MemoryStore>) -> TestKeys {
    over_at(store, Surroundings::system())
}

fn over_at(store: Arc<MemoryStore>, surroundings: Surroundings) -> TestKeys {
    let engine = Engine::open(store, EngineOptions::default(), surroundings).unwrap();
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
    let created = over(Arc::clone(&store)).create("importer").await.unwrap();
    let test = over(store);
    let caller = test.keys.verify(created.key.expose()).unwrap();
    assert_eq!(caller, Caller::unrestricted_key(&created.service_key.id));
    let listed = test.keys.list().await.unwrap();
    assert!(listed[0].last_used >= Some(created.service_key.created));
    let unused = ServiceKey {
        last_used: None,
        ..listed[0].clone()
    };
    assert_eq!((listed.len(), unused), (1, created.service_key));
}

#[tokio::test]
async fn a_revoked_key_is_refused_at_once_and_its_name_is_free_again() {
    let test = empty();
    let first = test.create("ci").await.unwrap();
    let second = test.create("worker").await.unwrap();
    test.keys.verify(first.key.expose()).unwrap();
    assert_eq!(test.revoke("ci").await.unwrap().id, first.service_key.id);
    assert!(matches!(
        test.keys.verify(first.key.expose()),
        Err(AuthError::Unauthenticated)
    ));
    test.keys.verify(second.key.expose()).unwrap();
    assert!(matches!(
        test.revoke("ci").await,
        Err(AuthError::NoSuchKey { .. })
    ));
    test.create("ci").await.unwrap();
    test.revoke(&second.service_key.id).await.unwrap();
    assert!(matches!(
        test.keys.verify(second.key.expose()),
        Err(AuthError::Unauthenticated)
    ));
}

#[tokio::test]
async fn what_is_no_key_in_force_is_refused_in_one_and_the_same_way() {
    let test = empty();
    let created = test.create("a").await.unwrap();
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
    test.create("deploy.prod-1").await.unwrap();
    assert!(matches!(
        test.create("deploy.prod-1").await,
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
            matches!(test.create(name).await, Err(AuthError::Input(_))),
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
            tokio::spawn(async move { create(&keys, NewKey::for_everything("same")).await.is_ok() })
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
    let created = test.create("a").await.unwrap();
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

/// A clock that stands until it is moved, in seconds.
fn clock(seconds: i64) -> (Arc<AtomicI64>, Surroundings) {
    let now = Arc::new(AtomicI64::new(seconds));
    let read = Arc::clone(&now);
    let surroundings = Surroundings {
        now: Arc::new(move || Timestamp::from_micros_clamped(read.load(Ordering::SeqCst) * 1_000_000)),
        ..Surroundings::system()
    };
    (now, surroundings)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros_clamped(seconds * 1_000_000)
}

const NOW: i64 = 1_800_000_000;

#[tokio::test]
async fn a_key_ends_when_it_is_said_to_and_says_so_to_who_has_it() {
    let (now, surroundings) = clock(NOW);
    let test = over_at(Arc::new(MemoryStore::new()), surroundings);
    let new = NewKey {
        expires: Some(at(NOW + 60)),
        ..NewKey::for_everything("short")
    };
    let created = create(&test.keys, new.clone()).await.unwrap();
    let key = created.key.expose();
    test.keys.verify(key).unwrap();
    assert_eq!(test.keys.verify_lasting(key).unwrap().expires, Some(at(NOW + 60)));
    now.store(NOW + 59, Ordering::SeqCst);
    test.keys.verify(key).unwrap();
    now.store(NOW + 60, Ordering::SeqCst);
    assert!(matches!(test.keys.verify(key), Err(AuthError::KeyExpired)));
    assert!(matches!(
        test.keys.verify(&format!("{key}x")),
        Err(AuthError::Unauthenticated)
    ));
    let listed = test.keys.list().await.unwrap();
    assert_eq!(listed[0].expires, Some(at(NOW + 60)));
    assert_eq!(listed[0].last_used, Some(at(NOW + 59)));
    let late = NewKey {
        name: "late".to_owned(),
        ..new
    };
    assert!(matches!(create(&test.keys, late).await, Err(AuthError::Input(_))));
}

#[tokio::test]
async fn uses_that_were_noted_are_known_after_a_restart() {
    let store = Arc::new(MemoryStore::new());
    let (now, surroundings) = clock(NOW);
    let test = over_at(Arc::clone(&store), surroundings.clone());
    let created = test.create("a").await.unwrap();
    let unused = test.create("b").await.unwrap();
    now.store(NOW + 5, Ordering::SeqCst);
    test.keys.verify(created.key.expose()).unwrap();
    test.keys.note_uses().await.unwrap();
    let used = |listed: Vec<ServiceKey>| listed.iter().map(|key| key.last_used).collect::<Vec<_>>();
    drop(test);
    let test = over_at(Arc::clone(&store), surroundings.clone());
    assert_eq!(used(test.keys.list().await.unwrap()), [Some(at(NOW + 5)), None]);
    test.keys.verify(unused.key.expose()).unwrap();
    test.revoke("b").await.unwrap();
    test.keys.note_uses().await.unwrap();
    let path = format!("_key_uses/{}", unused.service_key.id).parse().unwrap();
    assert!(test.engine.get(&Caller::System, &path).unwrap().is_none());
}

#[tokio::test]
async fn a_key_has_the_scopes_that_it_was_made_with() {
    let store = Arc::new(MemoryStore::new());
    let test = over(Arc::clone(&store));
    let scopes = |names: &[&str]| Some(Scopes::parse(names).unwrap());
    let reader = NewKey {
        scopes: scopes(&["documents:read:posts", "audit:read"]),
        ..NewKey::for_everything("reader")
    };
    let reader = create(&test.keys, reader).await.unwrap();
    let everything = NewKey {
        scopes: scopes(&["admin:*", "audit:read"]),
        ..NewKey::for_everything("all")
    };
    let everything = create(&test.keys, everything).await.unwrap();
    drop(test);
    let test = over(store);
    let caller = test.keys.verify(reader.key.expose()).unwrap();
    let names: Vec<_> = caller.scopes().unwrap().names().collect();
    assert_eq!(names, ["documents:read:posts", "audit:read"]);
    assert!(!caller.is_admin());
    assert_eq!(
        test.keys.verify(everything.key.expose()).unwrap(),
        Caller::unrestricted_key(&everything.service_key.id)
    );
    let new = NewKey::for_everything("more");
    let refused = test.keys.create(new, &caller, &ClientInfo::default()).await;
    assert!(matches!(refused, Err(AuthError::Engine(_))));
    let refused = test.keys.revoke("all", &caller, &ClientInfo::default()).await;
    assert!(matches!(refused, Err(AuthError::Engine(_))));
}

#[tokio::test]
async fn a_scope_that_is_not_known_makes_the_key_worth_nothing() {
    let test = empty();
    let created = test.create("a").await.unwrap();
    test.keys.verify(created.key.expose()).unwrap();
    let write = Write {
        path: format!("_keys/{}", created.service_key.id).parse().unwrap(),
        kind: WriteKind::Update {
            fields: vec![(
                "scopes".parse().unwrap(),
                Value::Array(vec![Value::from("documents:read"), Value::from("of:tomorrow")]),
            )],
            transforms: Vec::new(),
        },
        precondition: Precondition::None,
    };
    let body = CommitBody {
        writes: vec![write],
        ..CommitBody::default()
    };
    test.engine.commit(&Caller::System, body, None).await.unwrap();
    assert!(matches!(
        test.keys.verify(created.key.expose()),
        Err(AuthError::Unauthenticated)
    ));
}
