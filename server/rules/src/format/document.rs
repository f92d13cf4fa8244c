//! Documents: text with places where lines may be broken, and how they are laid out.
//!
//! A group is written on one line if it fits, and with all of its own breaks otherwise; what stands inside of an inner group
//! is decided on its own. A comment to the end of a line waits until the line ends.

use super::LINE_COLUMNS_MAX;

const INDENT_COLUMNS: usize = 2;

/// Text with places where it may be broken.
#[derive(Debug)]
pub(super) struct Document<'a> {
    kind: Kind<'a>,
    /// Whether there is a break inside that cannot be avoided.
    is_forced: bool,
}

#[derive(Debug)]
enum Kind<'a> {
    Text(&'a str),
    /// A token of a path: what follows must not become a part of it.
    PathText(&'a str),
    Break(Break),
    /// Written only where the group around it is broken.
    IfBroken(&'static str),
    /// Written at the end of the line.
    Suffix(&'a str),
    /// A comment on a line of its own, perhaps with an empty line behind it; at the end of the line if that has begun.
    Comment(&'a str, bool),
    /// A comment before a token on the same line. Comments keep their order: if one waits for the end of the line, so does
    /// this one.
    InlineComment(&'a str),
    Concat(Vec<Document<'a>>),
    Indent(Box<Document<'a>>),
    Group(Box<Document<'a>>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Break {
    /// A space, or a new line where the group is broken.
    Space,
    /// Nothing, or a new line where the group is broken.
    Nothing,
    /// A new line.
    Line,
    /// A new line with an empty one before it.
    Empty,
}

impl<'a> Document<'a> {
    fn new(kind: Kind<'a>, is_forced: bool) -> Self {
        Self { kind, is_forced }
    }

    /// Whether there is a break inside that cannot be avoided, such as a comment to the end of the line.
    pub(super) fn is_forced(&self) -> bool {
        self.is_forced
    }

    pub(super) fn text(text: &'a str) -> Self {
        // A comment of several lines is no reason to break what is around it: it brings its own breaks.
        Self::new(Kind::Text(text), false)
    }

    pub(super) fn path_text(text: &'a str) -> Self {
        Self::new(Kind::PathText(text), false)
    }

    /// A space, or a new line where the group is broken.
    pub(super) fn space_or_line() -> Self {
        Self::new(Kind::Break(Break::Space), false)
    }

    /// Nothing, or a new line where the group is broken.
    pub(super) fn nothing_or_line() -> Self {
        Self::new(Kind::Break(Break::Nothing), false)
    }

    pub(super) fn line() -> Self {
        Self::new(Kind::Break(Break::Line), true)
    }

    pub(super) fn empty_line() -> Self {
        Self::new(Kind::Break(Break::Empty), true)
    }

    /// Breaks the groups around it, and writes nothing.
    pub(super) fn forced() -> Self {
        Self::new(Kind::Text(""), true)
    }

    pub(super) fn if_broken(text: &'static str) -> Self {
        Self::new(Kind::IfBroken(text), false)
    }

    /// A comment for the end of the line.
    pub(super) fn suffix(comment: &'a str) -> Self {
        Self::new(Kind::Suffix(comment), true)
    }

    /// A comment for a line of its own, and whether an empty line follows it.
    pub(super) fn comment(comment: &'a str, has_gap: bool) -> Self {
        Self::new(Kind::Comment(comment, has_gap), true)
    }

    /// A comment before a token on the same line.
    pub(super) fn inline_comment(comment: &'a str) -> Self {
        Self::new(Kind::InlineComment(comment), false)
    }

    pub(super) fn concat(parts: Vec<Self>) -> Self {
        let is_forced = parts.iter().any(|part| part.is_forced);
        Self::new(Kind::Concat(parts), is_forced)
    }

    pub(super) fn indent(inner: Self) -> Self {
        let is_forced = inner.is_forced;
        Self::new(Kind::Indent(Box::new(inner)), is_forced)
    }

    pub(super) fn group(inner: Self) -> Self {
        let is_forced = inner.is_forced;
        Self::new(Kind::Group(Box::new(inner)), is_forced)
    }

    /// The text, each line without blanks at its end.
    pub(super) fn lay_out(&self) -> String {
        let mut layout = Layout::default();
        // The last item comes next.
        let mut waiting = vec![Item {
            document: self,
            indent: 0,
            is_broken: true,
        }];
        while let Some(item) = waiting.pop() {
            let Item {
                document,
                indent,
                is_broken,
            } = item;
            let with = |document| Item {
                document,
                indent,
                is_broken,
            };
            match &document.kind {
                Kind::Text(text) => layout.write(text, false),
                Kind::PathText(text) => layout.write(text, true),
                Kind::IfBroken(text) => {
                    if is_broken {
                        layout.write(text, false);
                    }
                }
                Kind::Suffix(comment) => layout.suffixes.push((*comment).to_owned()),
                Kind::Comment(comment, has_gap) => {
                    if layout.last.is_some() {
                        layout.suffixes.push((*comment).to_owned());
                    } else {
                        layout.write(comment, false);
                        if *has_gap {
                            layout.new_line(0);
                        }
                        layout.new_line(indent);
                    }
                }
                Kind::InlineComment(comment) => {
                    if layout.suffixes.is_empty() {
                        layout.write(comment, false);
                        layout.write(" ", false);
                    } else {
                        layout.suffixes.push((*comment).to_owned());
                    }
                }
                Kind::Concat(parts) => waiting.extend(parts.iter().rev().map(with)),
                Kind::Indent(inner) => waiting.push(Item {
                    document: inner,
                    indent: indent + INDENT_COLUMNS,
                    is_broken,
                }),
                Kind::Group(inner) => {
                    let candidate = Item {
                        document: inner,
                        indent,
                        is_broken: false,
                    };
                    let is_broken = document.is_forced || !layout.fits(candidate, &waiting);
                    waiting.push(Item {
                        is_broken,
                        ..candidate
                    });
                }
                Kind::Break(kind) => match kind {
                    Break::Space if !is_broken => layout.write(" ", false),
                    Break::Nothing if !is_broken => {}
                    Break::Space | Break::Nothing | Break::Line => layout.new_line(indent),
                    Break::Empty => {
                        layout.new_line(0);
                        layout.new_line(indent);
                    }
                },
            }
        }
        layout.finish()
    }
}

#[derive(Clone, Copy)]
struct Item<'d, 'a> {
    document: &'d Document<'a>,
    indent: usize,
    is_broken: bool,
}

#[derive(Default)]
struct Layout {
    text: String,
    column: usize,
    /// Blanks that stand before the next text, if there is one on this line.
    blanks: usize,
    suffixes: Vec<String>,
    /// Whether the last token was part of a path.
    after_path: bool,
    /// The last character written on this line.
    last: Option<char>,
}

impl Layout {
    fn write(&mut self, text: &str, is_path: bool) {
        if text.is_empty() {
            return;
        }
        let content = text.trim_start_matches(' ');
        self.blanks += text.len() - content.len();
        let Some(first) = content.chars().next() else {
            return;
        };
        if self.blanks == 0 && self.would_stick(first) {
            self.blanks = 1;
        }
        for _ in 0..std::mem::take(&mut self.blanks) {
            self.text.push(' ');
            self.column += 1;
        }
        let trimmed = content.trim_end_matches(' ');
        self.blanks = content.len() - trimmed.len();
        self.text.push_str(trimmed);
        match trimmed.rsplit_once('\n') {
            Some((_, last_line)) => self.column = last_line.chars().count(),
            None => self.column += trimmed.chars().count(),
        }
        self.after_path = is_path;
        self.last = trimmed.chars().last();
    }

    /// Whether a text that starts so would become one token with what stands before it.
    fn would_stick(&self, next: char) -> bool {
        let Some(last) = self.last else { return false };
        let in_path = next.is_ascii_alphanumeric() || "-._~:@&'*+%".contains(next);
        self.after_path && in_path || last == '*' && next == '/' || last.is_ascii_digit() && next == '.'
    }

    fn new_line(&mut self, indent: usize) {
        self.end_line(indent);
        self.text.push('\n');
        self.column = 0;
        self.blanks = indent;
        self.last = None;
        self.after_path = false;
    }

    /// Writes the comments that have waited for the end of the line; the second and further ones on lines of their own.
    fn end_line(&mut self, indent: usize) {
        self.blanks = 0;
        for (index, suffix) in std::mem::take(&mut self.suffixes).into_iter().enumerate() {
            if index > 0 {
                self.text.push('\n');
                self.text.extend(std::iter::repeat_n(' ', indent));
            } else if self.last.is_some() {
                self.text.push(' ');
            }
            self.text.push_str(&suffix);
        }
    }

    fn finish(mut self) -> String {
        self.end_line(0);
        self.text.push('\n');
        self.text
    }

    /// Whether an item fits on the line, together with what must stand behind it on the same line.
    fn fits(&self, item: Item<'_, '_>, waiting: &[Item<'_, '_>]) -> bool {
        let mut left = LINE_COLUMNS_MAX.saturating_sub(self.column + self.blanks);
        let mut rest = waiting.iter().rev();
        let mut stack = vec![item];
        loop {
            let Some(next) = stack.pop().or_else(|| rest.next().copied()) else {
                return true;
            };
            match &next.document.kind {
                Kind::Text(text) | Kind::PathText(text) | Kind::InlineComment(text) => {
                    let first_line = text.split('\n').next().unwrap_or("");
                    let Some(fewer) = left.checked_sub(first_line.chars().count()) else {
                        return false;
                    };
                    left = fewer;
                    if text.contains('\n') {
                        return true;
                    }
                }
                Kind::IfBroken(text) if next.is_broken => match left.checked_sub(text.len()) {
                    Some(fewer) => left = fewer,
                    None => return false,
                },
                Kind::IfBroken(_) | Kind::Suffix(_) => {}
                Kind::Comment(..) => return true,
                Kind::Concat(parts) => {
                    stack.extend(parts.iter().rev().map(|document| Item { document, ..next }))
                }
                Kind::Indent(inner) => stack.push(Item {
                    document: inner,
                    ..next
                }),
                // What follows on the same line and may be broken is taken as broken, so that it does not break this.
                Kind::Group(inner) => stack.push(Item {
                    document: inner,
                    ..next
                }),
                Kind::Break(kind) => match kind {
                    Break::Line | Break::Empty => return true,
                    Break::Space | Break::Nothing if next.is_broken => return true,
                    Break::Space => match left.checked_sub(1) {
                        Some(fewer) => left = fewer,
                        None => return false,
                    },
                    Break::Nothing => {}
                },
            }
        }
    }
}
