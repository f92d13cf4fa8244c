//! The formatter: what it makes of golden sources, and what it never does to any.

use andiron_rules::{Source, format, syntax};
use proptest::prelude::*;

use crate::{
    golden,
    mutation::{Random, mutate},
    parse_text,
    snippets::snippets,
};

fn format_text(text: &str) -> Result<String, ()> {
    format(&Source::new("test.rules", text).unwrap()).map_err(drop)
}

/// The text of all comments, in order, without the white space inside of them.
fn comments(text: &str) -> Vec<String> {
    let (_, parsed) = parse_text(text);
    let comments = parsed.file.comments.iter();
    comments
        .map(|comment| text[comment.span.range()].split_whitespace().collect())
        .collect()
}

/// Formats a text, if it has no errors, and checks what holds for every result.
fn examine(text: &str) -> bool {
    let Ok(formatted) = format_text(text) else {
        return false;
    };
    let tree = |text: &str| {
        let (_, parsed) = parse_text(text);
        assert_eq!(parsed.diagnostics, [], "{text}");
        syntax::dump(&parsed.file)
    };
    assert_eq!(
        tree(text),
        tree(&formatted),
        "the tree changed:\n{text}\n---\n{formatted}"
    );
    let (before, after) = (comments(text), comments(&formatted));
    if let Some(place) =
        (0..before.len().max(after.len())).find(|index| before.get(*index) != after.get(*index))
    {
        let around = |comments: &[String]| {
            comments
                .iter()
                .skip(place.saturating_sub(2))
                .take(6)
                .cloned()
                .collect::<Vec<_>>()
        };
        panic!(
            "comment {place} changed: {:?} {:?}\n{text}\n---\n{formatted}",
            around(&before),
            around(&after)
        );
    }
    let again = format_text(&formatted).unwrap();
    assert_eq!(
        formatted, again,
        "formatting is not stable:\n{text}\n---\n{formatted}"
    );
    for line in formatted.lines() {
        assert!(
            !line.ends_with(' ') || formatted.contains("/*"),
            "blanks at the end of {line:?}"
        );
    }
    assert!(formatted.ends_with('\n') && !formatted.ends_with("\n\n"));
    true
}

#[test]
fn golden_sources_keep_their_trees_and_comments() {
    for (name, text) in golden::sources() {
        let is_formatted = examine(&text);
        assert!(is_formatted || !name.starts_with("ok/"), "{name}");
    }
}

#[test]
fn small_sources_keep_their_trees_and_comments() {
    for snippet in snippets() {
        examine(&snippet.source);
    }
}

#[test]
fn mutations_keep_their_trees_and_comments() {
    let good: Vec<String> = golden::sources().into_iter().map(|(_, text)| text).collect();
    let mut random = Random::new(11);
    let mut formatted = 0;
    for _ in 0..1500 {
        let text = mutate(&good[random.below(good.len())], &mut random);
        formatted += usize::from(examine(&text));
    }
    assert!(formatted > 100, "only {formatted} mutations could be formatted");
}

/// Puts comments, line breaks and blanks between the tokens of a source.
fn sprinkle(text: &str, random: &mut Random) -> String {
    let mut sprinkled = String::new();
    let mut in_string: Option<char> = None;
    for line in text.lines() {
        // What is in the source already is left as it is: a line with a comment or a path takes no more.
        let is_plain = !line.contains("//") && !line.contains("/*");
        for character in line.chars() {
            match in_string {
                Some(quote) if quote == character => in_string = None,
                None if matches!(character, '\'' | '"') => in_string = Some(character),
                _ => {}
            }
            sprinkled.push(character);
            if is_plain && in_string.is_none() && character == ' ' {
                match random.below(30) {
                    0 => sprinkled.push_str("// one\n"),
                    1 => sprinkled.push_str("/* two */ "),
                    2 => sprinkled.push_str("\n// three\n\n// four\n"),
                    3 => sprinkled.push_str("\n\n\n"),
                    4 => sprinkled.push_str("/* five\n   six */"),
                    _ => {}
                }
            }
        }
        in_string = None;
        sprinkled.push('\n');
    }
    sprinkled
}

#[test]
fn comments_anywhere_are_kept() {
    let good: Vec<String> = golden::sources()
        .into_iter()
        .filter(|(name, _)| name.starts_with("ok/"))
        .map(|(_, text)| text)
        .collect();
    let mut random = Random::new(3);
    let mut formatted = 0;
    for _ in 0..300 {
        let text = sprinkle(&good[random.below(good.len())], &mut random);
        formatted += usize::from(examine(&text));
    }
    assert!(formatted > 150, "only {formatted} sources could be formatted");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_formatted_or_refused(text in "\\PC{0,100}") {
        examine(&text);
    }
}

#[test]
fn files_with_errors_are_not_touched() {
    assert!(format_text("service cloud.firestore { match /a { allow read if true; } }").is_err());
}

#[test]
fn the_layout_is_this() {
    let text = r#"rules_version='2'

// Head.
service   cloud.firestore{
match /databases/{database}/documents{   // here
    function f(a,b,){return a&&!b||-a<b}
  }}
"#;
    // A parameter list takes no trailing comma, so the file above has an error.
    assert!(format_text(text).is_err());
    let text = text.replace("a,b,", "a,b");
    insta::assert_snapshot!(format_text(&text).unwrap(), @r##"
    rules_version = '2';

    // Head.
    service cloud.firestore {
      match /databases/{database}/documents { // here
        function f(a, b) {
          return a && !b || -a < b;
        }
      }
    }
    "##);
    let long = r#"rules_version = 'andiron1';
import"./x.rules"as x;
type  Status='draft'|'live';
type Long = 'a very long alternative of this type' | 'another very long alternative of it' | 'and a third one';
type Post={title:string where size()<=120,body?:string,...};
type Open = {
  /// Doc.
  a: int, // behind

  b?: list<string where (size()>3)>|null
}where this.a>0;
service cloud.firestore { match /databases/{database}/documents/posts/{id} is Post {
  let me=request.auth?.uid;
  allow get,list:if resource.data.published==true||request.auth.uid in resource.data.readers&&request.auth.token.get('reader',false) else "not yet";
  allow create: if
    a &&
    // Why.
    b && (c || d) // trailing
  ;
  allow update: if request.resource.data.keys().hasOnly(['title', 'body', 'author', 'published', 'createdAt', 'updatedAt',]);
  allow delete: if a ? b : {
    'key': 1, 'other': [1, 2][0:1] }.key /* inline */ == 1;
  // Before the end.
} }
// The end."#;
    insta::assert_snapshot!(format_text(long).unwrap(), @r##"
    rules_version = 'andiron1';
    import "./x.rules" as x;
    type Status = 'draft' | 'live';
    type Long =
      | 'a very long alternative of this type'
      | 'another very long alternative of it'
      | 'and a third one';
    type Post = { title: string where size() <= 120, body?: string, ... };
    type Open = {
      /// Doc.
      a: int, // behind

      b?: list<string where (size() > 3)> | null,
    } where this.a > 0;
    service cloud.firestore {
      match /databases/{database}/documents/posts/{id} is Post {
        let me = request.auth?.uid;
        allow get, list: if resource.data.published == true
          || request.auth.uid in resource.data.readers && request.auth.token.get('reader', false)
          else "not yet";
        allow create: if a
          // Why.
          && b
          && (c || d); // trailing
        allow update: if request.resource.data.keys().hasOnly([
          'title',
          'body',
          'author',
          'published',
          'createdAt',
          'updatedAt'
        ]);
        allow delete: if a
          ? b
          : {
              'key': 1,
              'other': [1, 2][0:1]
            }.key
            /* inline */ == 1;
        // Before the end.
      }
    }
    // The end.
    "##);
}

#[test]
fn tokens_that_would_stick_together_are_kept_apart() {
    for condition in [
        "/a .b == 1",
        "{/a :1}.x",
        "x[/a :/b] == 1",
        "1 .a == 1",
        "/a / b == 1",
        "/a ? /b : /c",
        "a - -b == 1",
        "1..size() == 1",
        "/a/{b} / {'c': 1}.c == 1",
    ] {
        let text = format!("service cloud.firestore {{ match /a* /b {{ allow read: if {condition}; }} }}");
        assert!(examine(&text), "{condition}");
    }
}
