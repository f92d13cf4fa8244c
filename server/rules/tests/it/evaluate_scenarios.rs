//! Whole files as projects have them, with requests that they allow and deny.

use std::sync::Arc;

use andiron_rules::evaluate::{BatchDecision, Method, Ruleset};

use crate::evaluate_support::{World, data, path, ruleset};

/// Requests with whether they are allowed.
fn check(rules: &Ruleset, cases: Vec<(&str, World, bool)>) {
    for (name, world, expected) in cases {
        assert_eq!(world.allows(rules), expected, "{name}");
    }
}

#[test]
fn a_blog() {
    let rules = ruleset(
        "rules_version = '2';
        service cloud.firestore {
          match /databases/{database}/documents {
            function signedIn() { return request.auth != null; }
            function isOwner(data) { return signedIn() && data.author == request.auth.uid; }
            match /posts/{post} {
              allow read: if resource.data.published == true || isOwner(resource.data);
              allow create: if isOwner(request.resource.data)
                && request.resource.data.keys().hasOnly(['author', 'title', 'published', 'created'])
                && request.resource.data.title is string && request.resource.data.title.size() <= 80
                && request.resource.data.created == request.time;
              allow update: if isOwner(resource.data)
                && request.resource.data.diff(resource.data).affectedKeys().hasOnly(['title', 'published']);
              allow delete: if isOwner(resource.data);
              match /comments/{comment} {
                allow read;
                allow create: if signedIn()
                  && get(/databases/$(database)/documents/posts/$(post)).data.published
                  && request.resource.data.by == request.auth.uid;
              }
            }
          }
        }",
    );
    let post = r#"{"author": "alice", "title": "t", "published": false}"#;
    let published = r#"{"author": "alice", "title": "t", "published": true}"#;
    let new = r#"{"author": "alice", "title": "t", "created": {"$time": "2026-11-22T05:40:35.123456Z"}}"#;
    let at = |method| World::new("posts/p", method);
    let comment = |uid: &str| {
        World::new("posts/p/comments/c", Method::Create)
            .by(uid)
            .after(r#"{"by": "bob"}"#)
    };
    check(
        &rules,
        vec![
            (
                "anyone reads what is published",
                at(Method::Get).before(published),
                true,
            ),
            ("nobody reads a draft", at(Method::Get).before(post), false),
            ("its author does", at(Method::Get).by("alice").before(post), true),
            ("others do not", at(Method::Get).by("bob").before(post), false),
            (
                "reading what is not there fails",
                at(Method::Get).by("alice"),
                false,
            ),
            ("authors create", at(Method::Create).by("alice").after(new), true),
            ("not for others", at(Method::Create).by("bob").after(new), false),
            (
                "not with the wrong time",
                at(Method::Create).by("alice").after(post),
                false,
            ),
            (
                "authors publish",
                at(Method::Update).by("alice").before(post).after(published),
                true,
            ),
            (
                "and give nothing away",
                at(Method::Update)
                    .by("alice")
                    .before(post)
                    .after(&post.replace("alice", "bob")),
                false,
            ),
            (
                "authors delete",
                at(Method::Delete).by("alice").before(post),
                true,
            ),
            (
                "others do not delete",
                at(Method::Delete).by("bob").before(post),
                false,
            ),
            (
                "comments on what is published",
                comment("bob").with("posts/p", published),
                true,
            ),
            (
                "no comments on drafts",
                comment("bob").with("posts/p", post),
                false,
            ),
            (
                "no comments for others",
                comment("alice").with("posts/p", published),
                false,
            ),
            ("no comments on nothing", comment("bob").without("posts/p"), false),
        ],
    );
}

#[test]
fn roles_from_claims_and_documents() {
    let rules = ruleset(
        "service cloud.firestore {
          match /databases/{database}/documents {
            function role(p) {
              let m = get(/databases/$(database)/documents/projects/$(p)/members/$(request.auth.uid));
              return m.data.role;
            }
            match /projects/{p} {
              allow get: if request.auth.token.admin == true || role(p) in ['reader', 'writer', 'owner'];
              allow update: if role(p) in ['writer', 'owner'];
              allow delete: if role(p) == 'owner';
              match /{document=**} { allow read: if role(p) != null; }
            }
          }
        }",
    );
    let as_role = |at: &str, method, role: &str| {
        World::new(at, method)
            .by("alice")
            .before("{}")
            .after("{}")
            .with("projects/p/members/alice", &format!(r#"{{"role": "{role}"}}"#))
    };
    let mut admin = World::new("projects/p", Method::Get).by("root").before("{}");
    admin.token = data(r#"{"admin": true}"#);
    check(
        &rules,
        vec![
            ("readers read", as_role("projects/p", Method::Get, "reader"), true),
            (
                "readers do not write",
                as_role("projects/p", Method::Update, "reader"),
                false,
            ),
            (
                "writers write",
                as_role("projects/p", Method::Update, "writer"),
                true,
            ),
            (
                "writers do not delete",
                as_role("projects/p", Method::Delete, "writer"),
                false,
            ),
            (
                "owners delete",
                as_role("projects/p", Method::Delete, "owner"),
                true,
            ),
            (
                "members read below",
                as_role("projects/p/a/b", Method::Get, "reader"),
                true,
            ),
            (
                "strangers do not",
                World::new("projects/p", Method::Get)
                    .by("eve")
                    .before("{}")
                    .without("projects/p/members/eve"),
                false,
            ),
            (
                "nobody at all does not",
                World::new("projects/p", Method::Get).before("{}"),
                false,
            ),
            ("admins need no role", admin, true),
        ],
    );
}

#[test]
fn a_chat() {
    let rules = ruleset(
        "rules_version = '2';
        service cloud.firestore {
          match /databases/{database}/documents {
            function room(id) { return get(/databases/$(database)/documents/rooms/$(id)).data; }
            match /rooms/{id} {
              allow read: if request.auth.uid in resource.data.members;
              match /messages/{message} {
                allow read: if request.auth.uid in room(id).members;
                allow create: if request.auth.uid in room(id).members
                  && request.resource.data.from == request.auth.uid
                  && !(request.auth.uid in room(id).get('muted', []))
                  && request.resource.data.text.matches('(?s).{1,500}');
              }
            }
            match /{path=**}/messages/{message} {
              allow list: if resource.data.from == request.auth.uid;
            }
          }
        }",
    );
    let open = r#"{"members": ["alice", "bob"]}"#;
    let muted = r#"{"members": ["alice", "bob"], "muted": ["alice"]}"#;
    let send = |from: &str, text: &str, room: &str| {
        World::new("rooms/r/messages/m", Method::Create)
            .by("alice")
            .after(&format!(r#"{{"from": "{from}", "text": "{text}"}}"#))
            .with("rooms/r", room)
    };
    check(
        &rules,
        vec![
            (
                "members see the room",
                World::new("rooms/r", Method::Get).by("bob").before(open),
                true,
            ),
            (
                "others do not",
                World::new("rooms/r", Method::Get).by("eve").before(open),
                false,
            ),
            ("members write", send("alice", "hi\\nthere", open), true),
            ("in their own name", send("bob", "hi", open), false),
            ("unless muted", send("alice", "hi", muted), false),
            ("something", send("alice", "", open), false),
            (
                "one's own messages everywhere",
                World::new("rooms/r/messages/m", Method::List)
                    .by("alice")
                    .before(r#"{"from": "alice"}"#)
                    .with("rooms/r", r#"{"members": []}"#),
                true,
            ),
        ],
    );
}

#[test]
fn a_commit_that_books_both_sides() {
    let rules = ruleset(
        "rules_version = '2';
        service cloud.firestore {
          match /databases/{database}/documents {
            function account(id) { return /databases/$(database)/documents/accounts/$(id); }
            match /transfers/{id} {
              allow create: if request.resource.data.by == request.auth.uid
                && request.resource.data.amount > 0
                && getAfter(account(request.resource.data.by)).data.balance
                   == get(account(request.resource.data.by)).data.balance - request.resource.data.amount
                && getAfter(account(request.resource.data.to)).data.balance
                   == get(account(request.resource.data.to)).data.balance + request.resource.data.amount;
            }
            match /accounts/{id} {
              allow update: if request.resource.data.keys().hasOnly(['balance', 'last'])
                && request.resource.data.balance >= 0
                && existsAfter(/databases/$(database)/documents/transfers/$(request.resource.data.last))
                && !exists(/databases/$(database)/documents/transfers/$(request.resource.data.last));
            }
          }
        }",
    );
    let decide = |balances: [i64; 2]| {
        let account = |balance: i64| format!(r#"{{"balance": {balance}, "last": "t1"}}"#);
        let transfer = r#"{"by": "alice", "to": "bob", "amount": 30}"#;
        let mut world = World::new("transfers/t1", Method::Create)
            .by("alice")
            .after(transfer)
            .with("accounts/alice", r#"{"balance": 100}"#)
            .with("accounts/bob", r#"{"balance": 0}"#)
            .without("transfers/t1");
        let mut alice = World::new("accounts/alice", Method::Update)
            .by("alice")
            .before(r#"{"balance": 100}"#);
        let mut bob = World::new("accounts/bob", Method::Update)
            .by("alice")
            .before(r#"{"balance": 0}"#);
        alice.after = Some(data(&account(balances[0])));
        bob.after = Some(data(&account(balances[1])));
        for (at, json) in [
            ("transfers/t1", transfer.to_owned()),
            ("accounts/alice", account(balances[0])),
            ("accounts/bob", account(balances[1])),
        ] {
            world
                .documents
                .insert_after(path(at), Some(Arc::new(data(&json))));
        }
        match rules.decide_all(
            &[world.request(), alice.request(), bob.request()],
            &world.documents,
        ) {
            BatchDecision::Allow { .. } => None,
            BatchDecision::Deny { index, .. } => Some(index),
            BatchDecision::Needs(paths) => panic!("{paths:?}"),
        }
    };
    assert_eq!(decide([70, 30]), None);
    assert_eq!(decide([70, 40]), Some(0));
    assert_eq!(decide([100, 30]), Some(0));
}
