//! Test files of any text.

use std::sync::LazyLock;

use super::examine;
use crate::evaluate::Coverage;
use crate::format::format_tests;
use crate::limits::Limits;
use crate::program::Program;
use crate::source::{Source, Sources};
use crate::testing::{CoverageReport, Subject, TestFile, html, text};

/// The rules that the tests are of.
const RULES: &str = "rules_version = 'andiron1';
type Post = { author: string, title: string where size() <= 20, tags?: list<string>, at?: timestamp };
service cloud.firestore { match /databases/{database}/documents {
  match /posts/{id} is Post {
    allow read: if resource.data.published == true || request.auth.uid == resource.data.author;
    allow create, update: if request.auth.uid == request.resource.data.author else 'your own';
    allow delete: if exists(/databases/$(database)/documents/admins/$(request.auth.uid));
  }
  match /{path=**}/notes/{id} { allow list: if request.query.limit <= 10 && resource.data.owner == request.auth.uid; }
} }
service firebase.storage { match /b/{bucket}/o/{name=**} { allow read, write: if request.auth != null && request.resource.size < 10; } }
";

static SUBJECT: LazyLock<Subject> = LazyLock::new(|| {
    let source = Source::new("fuzz.rules", RULES).expect("the rules are short");
    Subject::new(Program::single(source), Limits::default())
});

/// A test file of any text is read, formatted and, if nothing is wrong with it, run: places lie in the text, formatting is stable
/// and changes nothing that the tests find, and there is a report of what was covered.
pub fn rules_tests(bytes: &[u8]) {
    let Ok(source) = Source::from_bytes("fuzz.test.rules", bytes) else {
        return;
    };
    let mut sources = Sources::default();
    sources.add(source.clone());
    let file = TestFile::read(source.clone());
    examine(file.diagnostics(), &sources);
    let formatted = format_tests(&source).ok().map(|formatted| {
        let again =
            Source::new("fuzz.test.rules", formatted.as_str()).expect("formatting makes little longer");
        assert_eq!(format_tests(&again).as_deref(), Ok(formatted.as_str()));
        TestFile::read(again)
    });
    if file.has_errors() {
        return;
    }
    let mut coverage = Coverage::default();
    let passes = |file: &TestFile, coverage: &mut Coverage| -> Vec<(String, usize, usize)> {
        let outcomes = file.run(&SUBJECT, coverage);
        outcomes
            .into_iter()
            .map(|outcome| (outcome.name, outcome.expectations, outcome.failures.len()))
            .collect()
    };
    let found = passes(&file, &mut coverage);
    let formatted = formatted.expect("what has no errors is formatted");
    assert_eq!(passes(&formatted, &mut Coverage::default()), found);
    let mut report = CoverageReport::default();
    report.add(SUBJECT.program(), SUBJECT.checked(), &coverage);
    assert!(!text(&report).is_empty() && html(&report, "fuzz").ends_with("</html>\n"));
}
