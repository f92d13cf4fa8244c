//! The formatter on test files.

use andiron_rules::Source;
use andiron_rules::format::format_tests;

use crate::mutation::{Random, mutate};

fn formatted(text: &str) -> String {
    let source = Source::new("a.test.rules", text).unwrap();
    format_tests(&source).unwrap_or_else(|diagnostics| panic!("{diagnostics:?}\n{text}"))
}

const UGLY: &str = "// The blog.
tests  './andiron.rules'
let alice={uid:'alice',token:{email:'alice@example.org',roles:['a','b']}} ; // used below


given{ /users/alice {name:'Alice'} ; /posts/p1 {author:'alice'}, /posts/gone absent
  // a file
  file /bucket/avatars/alice.png { size:5 } }
test \"owners edit\"{
 as alice{allow get /posts/p1
   allow   update /posts/p1 {title:'x',nested:{a:1}} ;
   /* never */ deny create /posts/$(alice.uid) { author:'bob', title:'a title that is long enough for the line to become too long' } because 'only for yourself';
   allow strict list /posts where author=='alice'&&published==true order by createdAt desc,title limit 10 offset 2 gives /posts/p1,/posts/p2;
   allow  create   account /accounts/a {email:'a@b.c'};
   deny list group notes gives nothing because field 'a.b' by line 3
   allow commit{ create /teams/t1{ open:true } delete /teams/t2; };
 } // alice
 at timestamp.date(2026,1,1)+duration.value(1,'d') {
  as nobody {deny get /posts/p1}
  as admin{ allow delete /posts/p1;
   // the end
  }
 }
}
";

#[test]
fn test_files_have_one_layout_and_keep_their_comments() {
    let once = formatted(UGLY);
    insta::assert_snapshot!(once);
    assert_eq!(formatted(&once), once);
}

#[test]
fn formatting_changes_no_word_and_formatting_again_changes_nothing() {
    let mut random = Random::new(3);
    let mut formatted_count = 0;
    for _ in 0..3000 {
        let text = mutate(UGLY, &mut random);
        let source = Source::new("a.test.rules", text.as_str()).unwrap();
        let Ok(once) = format_tests(&source) else { continue };
        formatted_count += 1;
        let words = |text: &str| -> String {
            text.chars()
                .filter(|character| !character.is_whitespace() && !matches!(character, ';' | ','))
                .collect()
        };
        assert_eq!(words(&once), words(&text), "{text}");
        assert_eq!(formatted(&once), once, "{text}");
    }
    assert!(formatted_count > 300, "{formatted_count}");
}
