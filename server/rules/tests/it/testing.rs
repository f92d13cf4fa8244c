//! Test files: what they say, how they are judged, and what is said of those that are wrong.

use andiron_rules::diagnostic::render;
use andiron_rules::evaluate::Coverage;
use andiron_rules::testing::{CoverageReport, Subject, TestFile, TestOutcome, html, text};
use andiron_rules::{Limits, Program, Source};

const RULES: &str = "rules_version = 'andiron1';
type Post = { author: string, title: string where size() <= 20, published?: bool, at?: timestamp };
service cloud.firestore {
  match /databases/{database}/documents {
    function signedIn() { return request.auth != null; }
    match /users/{uid} {
      allow read: if signedIn();
    }
    match /posts/{id} is Post {
      allow read: if resource.data.published == true || signedIn() && resource.data.author == request.auth.uid;
      allow create: if signedIn() && request.resource.data.author == request.auth.uid
        else 'only for yourself';
      allow update: if request.auth.uid == resource.data.author;
      allow delete: if request.auth.token.editor == true && request.time > timestamp.date(2026, 6, 1);
    }
    match /teams/{team} {
      allow create: if existsAfter(/databases/$(database)/documents/teams/$(team)/members/$(request.auth.uid));
      match /members/{uid} {
        allow create: if uid == request.auth.uid && getAfter(/databases/$(database)/documents/teams/$(team)).data.open == true;
      }
    }
    match /{path=**}/notes/{id} {
      allow list: if request.query.limit <= 10 && resource.data.owner == request.auth.uid;
    }
  }
}
service firebase.storage {
  match /b/{bucket}/o {
    match /avatars/{uid} {
      allow get, list;
      allow create: if request.auth.uid == uid && request.resource.size < 1000 && resource == null;
      allow update: if request.auth.uid == uid && request.resource.metadata.tag != '';
      allow delete: if request.auth.uid == uid && resource.metadata.locked != 'yes';
    }
  }
}
";

fn subject(rules: &str) -> Subject {
    let program = Program::single(Source::new("blog.rules", rules).unwrap());
    let subject = Subject::new(program, Limits::default());
    let problems: Vec<_> = subject
        .diagnostics()
        .map(|diagnostic| &diagnostic.message)
        .collect();
    assert!(!subject.has_errors(), "{problems:?}");
    subject
}

fn read(tests: &str) -> TestFile {
    TestFile::read(Source::new("blog.test.rules", tests).unwrap())
}

fn run(tests: &str) -> Vec<TestOutcome> {
    let file = read(tests);
    assert!(!file.has_errors(), "{}", complaints(tests));
    file.run(&subject(RULES), &mut Coverage::default())
}

/// What is said of a file that is wrong.
fn complaints(tests: &str) -> String {
    let file = read(tests);
    let shown = file
        .diagnostics()
        .iter()
        .map(|diagnostic| render(diagnostic, file.sources()));
    shown.collect()
}

/// `line: message` of every failure.
fn failures(tests: &str) -> Vec<String> {
    run(tests)
        .into_iter()
        .flat_map(|outcome| outcome.failures)
        .map(|failure| format!("{}: {}", failure.line, failure.message))
        .collect()
}

const GIVEN: &str = "
let alice = { uid: 'alice', token: { email: 'alice@example.org', editor: false } };
given {
  /users/alice { name: 'Alice' }
  /posts/draft { author: 'alice', title: 'Draft' }
  /posts/public { author: 'bob', title: 'Public', published: true }
  /posts/gone { author: 'carol', title: 'Gone', published: true };
  /posts/gone absent
  file /images/avatars/alice { size: 5, metadata: { locked: 'yes', tag: 'x' } },
}
";

#[test]
fn every_kind_of_expectation_can_be_met() {
    let tests = format!(
        "{GIVEN}
        test 'reading' {{
          as nobody {{
            allow get /posts/public;
            deny get /posts/draft;
            deny get /posts/gone by line 10;
            allow list /posts where published == true gives /posts/public;
            allow list /posts gives /posts/public;
            deny list /posts where author == 'alice';
            deny list /users
          }}
          as alice {{
            allow get /posts/draft by line 10;
            allow list /posts order by title desc gives /posts/public, /posts/draft;
            allow list /posts order by title desc limit 1 offset 1 gives /posts/draft;
            allow list /posts;
            allow list /posts where title == 'nowhere' gives nothing;
          }}
        }}
        test 'writing' {{
          as alice {{
            allow create /posts/new {{ author: alice.uid, title: 'New', at: now }};
            deny create /posts/new {{ author: 'bob', title: 'New' }} because 'only for yourself';
            deny create /posts/new {{ author: 'alice', title: 'A title that is far too long' }} because field 'title';
            deny create /posts/new {{ author: 'alice', title: 5 }} because field \"title\";
            allow set /posts/draft {{ author: 'alice', title: 'Other' }};
            deny set /posts/draft {{ author: 'alice' }} because field 'title' by line 9;
            allow update /posts/draft {{ title: 'Other', published: absent }};
            deny update /posts/draft {{ title: absent }} because field 'title';
            allow merge /posts/draft {{ published: true }};
            deny update /posts/public {{ title: 'Mine' }};
            deny delete /posts/draft;
          }}
          at timestamp.date(2026, 5, 31) + duration.value(2, 'd') {{
            as {{ uid: 'e', token: {{ editor: true }} }} {{ allow delete /posts/draft; deny get /posts/draft; }}
          }}
          at '2026-05-31T00:00:00Z' {{
            as {{ uid: 'e', token: {{ editor: true }} }} {{ deny delete /posts/draft; }}
          }}
          as admin {{ allow delete /posts/draft; allow list /users gives /users/alice; allow commit {{ delete /users/alice; }} }}
        }}
        test 'commits' {{
          as 'alice' {{
            allow commit {{
              set /teams/t1 {{ open: true }};
              create /teams/t1/members/alice {{ since: now }};
            }};
            deny commit {{ create /teams/t1 {{ open: true }} }};
            deny commit {{ create /teams/t1 {{ open: false }} create /teams/t1/members/alice {{}} }}
            // Both writes of one document are judged by what is left of it.
            allow commit {{ update /posts/draft {{ title: 5 }}; update /posts/draft {{ title: 'fine' }} }};
            deny commit {{ update /posts/draft {{ title: 'fine' }}; update /posts/draft {{ title: 5 }} }} because field 'title';
            deny commit {{ update /posts/draft {{ title: 'fine' }}; delete /posts/draft }};
          }}
        }}
        test 'groups' {{
          given {{
            /users/alice/notes/n1 {{ owner: 'alice' }}
            /notes/n2 {{ owner: 'bob' }}
          }}
          as 'alice' {{
            allow list group notes where owner == 'alice' limit 10 gives /users/alice/notes/n1;
            deny list group notes limit 11;
          }}
        }}
        test 'files' {{
          as 'alice' {{
            allow get file /images/avatars/alice;
            allow list file /images/avatars/alice;
            deny create file /images/avatars/alice {{ size: 10 }};
            allow update file /images/avatars/alice {{ metadata: {{ tag: 'b' }} }};
            deny update file /images/avatars/alice {{ metadata: {{ tag: '' }} }};
            deny delete file /images/avatars/alice;
          }}
          as 'bob' {{
            allow create file /images/avatars/bob {{ size: 10 }};
            deny create file /images/avatars/bob {{ size: 10000 }};
            deny create file /images/avatars/carol {{ size: 10 }};
          }}
        }}"
    );
    let outcomes = run(&tests);
    let failed: Vec<_> = outcomes.iter().flat_map(|outcome| &outcome.failures).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    let counts: Vec<_> = outcomes
        .iter()
        .map(|outcome| (outcome.name.as_str(), outcome.expectations))
        .collect();
    assert_eq!(
        counts,
        [
            ("reading", 12),
            ("writing", 17),
            ("commits", 6),
            ("groups", 2),
            ("files", 9)
        ]
    );
}

#[test]
fn an_expectation_that_is_not_met_says_what_happened_instead() {
    let tests = format!(
        "{GIVEN}
test 'wrong' {{
  as nobody {{
    allow get /posts/draft;
    deny get /posts/public;
    allow list /posts;
    allow list /posts where author == 'alice';
    deny list /posts where published == true;
    allow list /posts where title == 'nowhere';
    allow list /posts gives nothing;
    deny create /posts/new {{ author: 'bob', title: 'New' }} because 'no';
    deny get /posts/draft because 'no';
    deny create /posts/new {{ author: 'bob', title: 5 }} because field 'author';
    allow get /posts/public by line 3;
    deny get /posts/draft by line 3;
    deny get /secrets/s by line 3;
  }}
  as admin {{ deny get /posts/draft; allow list /users gives nothing; }}
  as 'alice' {{
    allow commit {{ set /teams/t1 {{}}; set /posts/draft {{ author: 'alice', title: 'x' }} }};
    deny commit {{ set /posts/draft {{ author: 'alice', title: 'x' }} }};
    allow list /posts order by title desc gives /posts/draft, /posts/public;
  }}
}}"
    );
    insta::assert_snapshot!(failures(&tests).join("\n"), @r"
    14: expected to be allowed, but it is denied
    15: expected to be denied, but it is allowed
    16: expected to be allowed whole, but it gives 1 of 2: /posts/public; what comes back is said with `gives /posts/public`
    17: expected to be allowed, but every document that the query matches is hidden
    18: expected to be denied, but it gives /posts/public
    19: no given document matches the query, so there is nothing to judge; put one into `given`, or say `gives nothing`
    20: expected nothing, but it gives /posts/public
    21: it is denied, but the client is told: only for yourself
    22: it is denied, but the client is told no reason
    23: it is denied, but because field `title` is int, not string
    24: it is allowed, but by line 10
    25: it is denied, but by line 10
    26: it is denied, but no `allow` was asked
    28: expected to be denied, but an admin passes every rule
    28: expected nothing, but it gives /users/alice
    30: expected to be allowed, but it is denied because of the create of /teams/t1
    31: expected to be denied, but all of it is allowed
    32: expected /posts/draft, /posts/public, but it gives /posts/public, /posts/draft in another order
    ");
}

#[test]
fn a_strict_list_is_proved_from_its_query_and_a_failure_names_the_missing_where() {
    let tests = format!(
        "{GIVEN} given {{ /notes/n {{ owner: 'alice' }} }}
test 'strict' {{
  as alice {{
    allow strict list group notes where owner == 'alice' limit 10;
    allow strict list group notes where owner == 'alice' limit 10 gives /notes/n;
    deny strict list group notes limit 10;
    allow list group notes limit 10;
    allow strict list group notes limit 10;
    deny strict list group notes where owner == 'alice' limit 10;
  }}
}}"
    );
    insta::assert_snapshot!(failures(&tests).join("\n"), @r#"
    18: expected to be allowed, but the rules do not allow every document that the query could return; the query leaves open `resource.data.owner == request.auth.uid`, which `where owner == "alice"` would prove
    19: expected to be denied, but the rules allow every document that the query could return
    "#);
}

#[test]
fn a_failure_carries_the_explanation_of_what_was_judged() {
    let tests =
        format!("{GIVEN} test 'wrong' {{ as 'bob' {{ allow update /posts/draft {{ title: 'x' }}; }} }}");
    let outcomes = run(&tests);
    let failure = &outcomes[0].failures[0];
    assert_eq!(failure.expectation, "allow update /posts/draft { title: 'x' }");
    assert_eq!(failure.message, "expected to be allowed, but it is denied");
    let explained = &failure.explanations[0];
    assert_eq!(explained.operation, "update /posts/draft");
    assert_eq!(
        explained.explanation.tried[0].message,
        "`request.auth.uid == resource.data.author` is false: `request.auth.uid` is 'bob', `resource.data.author` is 'alice'"
    );
}

#[test]
fn broken_files_are_refused_with_the_place_and_what_to_do() {
    let mut shown = String::new();
    for (name, tests) in [
        ("expectation_outside", "allow get /posts/p1;"),
        ("empty", "// nothing\n"),
        ("empty_test", "test 'nothing' { given { /posts/p1 { a: 1 } } }"),
        ("unknown_word", "test 'x' { as nobody { permit get /posts/p1; } }"),
        (
            "unknown_action",
            "test 'x' { as nobody { allow read /posts/p1; } }",
        ),
        ("no_slash", "test 'x' { as nobody { allow get posts/p1; } }"),
        ("collection", "test 'x' { as nobody { allow get /posts; } }"),
        (
            "document_listed",
            "test 'x' { as nobody { allow list /posts/p1; } }",
        ),
        ("no_data", "test 'x' { as nobody { allow create /posts/p1; } }"),
        (
            "create_existing",
            "given { /posts/p1 { a: 1 } }\ntest 'x' { as nobody { allow create /posts/p1 { a: 2 }; } }",
        ),
        (
            "update_missing",
            "test 'x' { as nobody { allow update /posts/p1 { a: 2 }; } }",
        ),
        (
            "unknown_variable",
            "test 'x' { as alice { allow get /posts/p1; } }",
        ),
        (
            "unquoted",
            "test 'x' { as nobody { allow create /posts/p1 { title: hello }; } }",
        ),
        (
            "bad_claims",
            "test 'x' { as { uid: 'a', admin: true } { allow get /posts/p1; } }",
        ),
        (
            "bad_filter",
            "test 'x' { as nobody { allow list /posts where a ==\n  b; } }",
        ),
        ("bad_time", "test 'x' { at 'noon' { allow get /posts/p1; } }"),
        (
            "reason_of_allowed",
            "test 'x' { as nobody { allow get /posts/p1 because 'y'; } }",
        ),
        ("unclosed", "test 'x' { as nobody { allow get /posts/p1; }"),
        ("rules", "service cloud.firestore { }"),
        (
            "twice",
            "test 'x' { deny get /a/b; }\ntest 'x' { deny get /a/b; }",
        ),
        (
            "division",
            "test 'x' { as nobody { deny create /a/b { n: 1 / 0 }; } }",
        ),
        ("file_set", "test 'x' { deny set file /b/c { size: 1 }; }"),
        (
            "account_update",
            "test 'x' { deny update account /accounts/a { name: 'A' }; }",
        ),
        ("account_get", "test 'x' { deny get account /accounts/a; }"),
        ("account_list", "test 'x' { deny list account /accounts; }"),
        (
            "account_path",
            "test 'x' { deny create account /users/a { name: 'A' }; }",
        ),
        (
            "account_field",
            "test 'x' { deny create account /accounts/a { mail: 'a@b.c' }; }",
        ),
        (
            "account_type",
            "test 'x' { deny create account /accounts/a { emailVerified: 'yes' }; }",
        ),
        (
            "account_given",
            "given { account /accounts/a { name: 'A' } } test 'x' { deny get /a/b; }",
        ),
        (
            "account_commit",
            "test 'x' { deny commit { create account /accounts/a { name: 'A' }; }; }",
        ),
        ("late_tests", "test 'x' { deny get /a/b; }\ntests './a.rules';"),
        ("placeholder", "test 'x' { deny get /posts/{id}; }"),
    ] {
        let said = complaints(tests);
        assert!(read(tests).has_errors(), "{name}");
        shown.push_str(&format!("{tests}\n\n{said}\n----\n"));
    }
    insta::assert_snapshot!(shown);
}

const COVERED: &str = "rules_version = '2';
service cloud.firestore {
  match /databases/{database}/documents {
    function owns(data) {
      let uid = request.auth.uid;
      return data.owner == uid;
    }
    match /notes/{id} {
      allow get: if owns(resource.data) ||
        (resource.data.shared == true &&
         request.auth != null);
      allow delete: if owns(resource.data) && resource.data.a < 5;
      allow update: if false;
    }
    match /open/{id} { allow read; }
    match /news/{id} { allow get; allow list: if request.query.limit < 100; }
  }
}
";

fn coverage_of(tests: &str) -> CoverageReport {
    let subject = subject(COVERED);
    let mut coverage = Coverage::default();
    let file = read(tests);
    assert!(!file.has_errors(), "{}", complaints(tests));
    for outcome in file.run(&subject, &mut coverage) {
        assert!(outcome.passes(), "{outcome:#?}");
    }
    let mut report = CoverageReport::default();
    report.add(subject.program(), subject.checked(), &coverage);
    report
}

const COVERING: &str = "given { /notes/n { owner: 'alice' } /news/n { a: 1 } }
test 'some of it' {
  as 'alice' { allow get /notes/n; deny delete /notes/n; }
  as 'bob' { deny get /notes/n; }
  as nobody { allow get /news/n; }
}";

const SIGN_UP: &str = "rules_version = '2';
service andiron.auth {
  match /accounts/{account} {
    function isInvited() {
      return exists(/databases/(default)/documents/guests/$(request.resource.data.email));
    }
    allow create: if request.resource.data.email.matches('.*@company[.]example') || isInvited();
    allow create: if request.resource.data.provider == 'custom' && request.resource.data.claims.plan == 'pro';
    allow create: if request.auth != null && request.auth.uid == account && request.resource.data.phone != null;
  }
}
";

const SIGN_UPS: &str = "given { /guests/grace@example.org { by: 'ada' } }
test 'the company and its guests' {
  allow create account /accounts/a { email: 'ada@company.example', emailVerified: true } by line 7;
  allow create account /accounts/a { email: 'grace@example.org' } by line 7;
  deny create account /accounts/a { email: 'eve@example.org' } by line 7;
  deny create account /accounts/a { anonymous: true, provider: 'anonymous' };
}
test 'others' {
  allow create account /accounts/a { provider: 'custom', claims: { plan: 'pro' } };
  deny create account /accounts/a { provider: 'custom', claims: { plan: 'free' } };
  as { uid: 'guest', token: { firebase: { sign_in_provider: 'anonymous' } } } {
    allow create account /accounts/guest { phone: '+14155550123', provider: 'phone' };
    deny create account /accounts/other { phone: '+14155550123', provider: 'phone' };
  }
  as 'guest' { deny create account /accounts/guest { email: 'guest@example.org' }; }
  as admin { allow create account /accounts/whoever {}; }
}";

#[test]
fn who_may_sign_up_is_tested_as_the_server_asks() {
    let subject = subject(SIGN_UP);
    let mut coverage = Coverage::default();
    let file = read(SIGN_UPS);
    assert!(!file.has_errors(), "{}", complaints(SIGN_UPS));
    for outcome in file.run(&subject, &mut coverage) {
        assert!(outcome.passes(), "{outcome:#?}");
    }
    let mut report = CoverageReport::default();
    report.add(subject.program(), subject.checked(), &coverage);
    assert_eq!(report.lines.shown(), "100 %", "{}", text(&report));
}

#[test]
fn a_sign_up_that_is_judged_otherwise_is_told_with_the_reason() {
    let tests = "test 'x' { allow create account /accounts/a { email: 'eve@example.org' }; }";
    let outcome = &read(tests).run(&subject(SIGN_UP), &mut Coverage::default())[0];
    let failure = &outcome.failures[0];
    assert_eq!(failure.message, "expected to be allowed, but it is denied");
    assert_eq!(failure.explanations[0].operation, "create account /accounts/a");
    for expected in ["allow", "deny"] {
        let tests = format!("test 'x' {{ {expected} create account /accounts/a {{}}; }}");
        let outcome = &read(&tests).run(&subject(RULES), &mut Coverage::default())[0];
        let message = &outcome.failures[0].message;
        assert!(message.contains("no `service andiron.auth`"), "{message}");
    }
}

#[test]
fn coverage_says_what_was_never_evaluated_and_what_came_out_one_way_only() {
    insta::assert_snapshot!(text(&coverage_of(COVERING)));
}

#[test]
fn coverage_counts_everything_where_tests_see_everything() {
    let report = coverage_of(
        "given { /notes/n { owner: 'alice', shared: true, a: 3 } /notes/m { owner: 'a', shared: false, a: 9 } /open/n { a: 1 } /news/n { a: 1 } }
        test 'all of it' {
          as 'alice' { allow get /notes/n; allow delete /notes/n; deny get /notes/m; deny update /notes/m {}; allow list /news limit 5; deny list /news limit 500; }
          as 'a' { deny delete /notes/m; }
          as 'bob' { allow get /notes/n; deny delete /notes/n; }
          as nobody { deny get /notes/n; allow get /news/n; allow get /open/n; }
        }",
    );
    let missing: Vec<_> = report.files[0]
        .missing()
        .map(|part| (&part.text, part.reach))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(report.expressions.covered, report.expressions.total);
    assert_eq!(report.outcomes.covered, report.outcomes.total);
    assert_eq!(report.lines.shown(), "100 %");
    assert_eq!(report.lines.total, 8);
}

#[test]
fn the_page_shows_the_source_with_its_marks_and_needs_nothing_else() {
    let page = html(&coverage_of(COVERING), "Coverage of <notes>");
    assert!(page.contains("<h1>Coverage of &lt;notes&gt;</h1>"));
    for outside in ["<script", "http:", "https:", "url(", "<link", "<img"] {
        assert!(!page.contains(outside), "{outside}");
    }
    let shown: String = page
        .lines()
        .filter(|line| line.starts_with("<tr"))
        .map(|line| line.replace("</td>", "").replace("<td>", "\t") + "\n")
        .collect();
    // Taking the marks away leaves the text as it was.
    assert_eq!(shown.lines().count(), COVERED.lines().count());
    assert_eq!(page.matches("<mark").count(), page.matches("</mark>").count());
    insta::assert_snapshot!(shown);
}

#[test]
fn any_text_is_read_without_a_panic() {
    let source = format!(
        "tests './a.rules'; {GIVEN} test 'x' {{ at now {{ as alice {{ allow strict list group a where b == 1 order by c.d desc limit 5
        gives /a/b because field 'x' by line 3; deny commit {{ merge /a/b {{ c: {{ d: absent }} }} }}; allow create account /accounts/a {{ email: 'a@b.c' }} }} }} }}"
    );
    let mut random = crate::mutation::Random::new(7);
    for _ in 0..3000 {
        let mutated = crate::mutation::mutate(&source, &mut random);
        let file = read(&mutated);
        if !file.has_errors() {
            file.run(&subject(RULES), &mut Coverage::default());
        }
    }
}
