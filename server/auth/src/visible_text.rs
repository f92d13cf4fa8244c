//! Text of people that other people see: without characters that hide, reorder or imitate what stands around them.
//!
//! A name is shown in mails, in the console and to other users of an app. A character that turns the direction of text
//! around or that nobody sees lets one name pass for another (Unicode Technical Report 36).

use crate::AuthError;

/// Joins or keeps apart the letters beside it; families of emoji, Persian and Indic names are written with them.
const JOINERS: [char; 2] = ['\u{200c}', '\u{200d}'];

/// Whether nobody sees the character, whatever stands around it, or it changes how that is read: controls, separators of
/// lines, marks of direction, blanks without width, fillers, tags. Joiners of letters are not among them.
pub(crate) fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{17b4}'
                | '\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Whether all of it is seen: no character that [`is_unseen`], and joiners only between two others.
fn is_visible(text: &str) -> bool {
    let mut last_joins = true;
    for character in text.chars() {
        let joins = JOINERS.contains(&character);
        if is_unseen(character) || joins && last_joins {
            return false;
        }
        last_joins = joins;
    }
    text.is_empty() || !last_joins
}

/// Refuses text that is too long or not all seen, in the words of its field.
pub(crate) fn check_visible(field: &str, text: &str, chars_max: usize) -> Result<(), AuthError> {
    if text.chars().count() <= chars_max && is_visible(text) {
        return Ok(());
    }
    Err(AuthError::input(
        field,
        format!(
            "`{field}` has at most {chars_max} characters, and none that is unseen or changes the direction of others"
        ),
    ))
}

/// The text without what is not seen in it, at most so long.
pub(crate) fn visible_part(text: &str, chars_max: usize) -> String {
    let seen = text.chars().filter(|character| !is_unseen(*character));
    let mut kept = String::new();
    for character in seen.take(chars_max) {
        let begins_or_joins = kept
            .chars()
            .next_back()
            .is_none_or(|last| JOINERS.contains(&last));
        if !(JOINERS.contains(&character) && begins_or_joins) {
            kept.push(character);
        }
    }
    kept.trim_end_matches(JOINERS).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_people_are_visible() {
        for name in [
            "Ada Lovelace",
            "Zoë",
            "محمد",
            "אבא",
            "김유신",
            "علی\u{200c}رضا",
            "👩\u{200d}🔬 Marie",
            "❤\u{fe0f}",
            "",
        ] {
            assert!(is_visible(name), "{name:?}");
            assert_eq!(visible_part(name, 100), name);
        }
    }

    #[test]
    fn what_hides_or_reorders_is_found_and_left_out() {
        for (name, rest) in [
            ("Ada\u{202e}nimda", "Adanimda"),
            ("\u{2066}Ada\u{2069}", "Ada"),
            ("A\u{200b}da", "Ada"),
            ("Ada\u{feff}", "Ada"),
            ("A\u{ad}da", "Ada"),
            ("Ada\u{0}\r\n", "Ada"),
            ("\u{200d}Ada", "Ada"),
            ("Ada\u{200d}", "Ada"),
            ("A\u{200c}\u{200d}da", "A\u{200c}da"),
            ("\u{3164}", ""),
            ("Ada\u{e0041}", "Ada"),
        ] {
            assert!(!is_visible(name), "{name:?}");
            assert_eq!(visible_part(name, 100), rest);
            assert!(is_visible(rest));
        }
        assert_eq!(visible_part("Ada Lovelace", 4), "Ada");
    }
}
