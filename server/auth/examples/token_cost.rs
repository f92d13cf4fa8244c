//! What accounts cost: verifying a token that is in use and one that is new, and a sign-in. `cargo run --release -p andiron-auth
//! --example token_cost`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use andiron_auth::{
    Accounts, AttemptLimits, AuthOptions, ClientInfo, EmailAddress, NewSignUp, Password, Post, ProfileChange,
    Rate,
};
use andiron_engine::{Caller, Engine, EngineOptions, Surroundings};
use andiron_store::memory::MemoryStore;

fn options() -> AuthOptions {
    let many = Rate::new(u32::MAX, Duration::from_secs(60));
    AuthOptions {
        limits: AttemptLimits {
            sign_in_by_account: many,
            ..AttemptLimits::default()
        },
        ..AuthOptions::default()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::open(
        Arc::new(MemoryStore::new()),
        EngineOptions::default(),
        Surroundings::system(),
    )?;
    let accounts = Accounts::open(engine.clone(), options(), Post::default()).await?;
    let client = ClientInfo::default();
    let new = NewSignUp {
        email: EmailAddress::parse("ada@example.org")?,
        password: Password::parse("correct horse battery".to_owned())?,
        profile: ProfileChange::default(),
        invitation: None,
    };
    let signed_in = accounts.sign_up(&Caller::Anonymous, new, &client).await?;
    let token = signed_in.tokens.access_token.expose();
    accounts.verify(token)?;
    print("a token in use", 1_000_000, || drop(accounts.verify(token)));
    let mut fresh = Vec::new();
    for _ in 0..200 {
        fresh.push(Accounts::open(engine.clone(), options(), Post::default()).await?);
    }
    let mut each = fresh.iter();
    print("a token that is new", 200, || {
        drop(each.next().map(|accounts| accounts.verify(token)));
    });
    let password = Password::parse("correct horse battery".to_owned())?;
    let started = Instant::now();
    const SIGN_INS: u32 = 50;
    for _ in 0..SIGN_INS {
        accounts.sign_in("ada@example.org", &password, &client).await?;
    }
    println!("a sign-in: {:?}", started.elapsed() / SIGN_INS);
    engine.close();
    Ok(())
}

fn print(what: &str, rounds: u32, mut work: impl FnMut()) {
    let started = Instant::now();
    for _ in 0..rounds {
        work();
    }
    println!("{what}: {:?}", started.elapsed() / rounds);
}
