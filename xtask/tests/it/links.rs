//! Links between the files of this repository lead somewhere, to the heading if they name one.

use std::path::{Component, Path, PathBuf};

use crate::{expect_none, root, sources};

/// The text with code, in fences and in backticks, blanked out: what looks like a link there is none.
fn without_code(text: &str) -> String {
    let mut fenced = false;
    let lines = text.lines().map(|line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        if fenced || fence {
            String::new()
        } else {
            without_inline_code(line)
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn without_inline_code(line: &str) -> String {
    line.split('`')
        .enumerate()
        .map(|(number, part)| if number % 2 == 0 { part } else { "" })
        .collect()
}

/// The targets of `[text](target)`, titles left out.
fn targets(text: &str) -> Vec<String> {
    let text = without_code(text);
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .filter_map(|(target, _)| target.split_whitespace().next())
        .map(|target| target.trim_start_matches('<').trim_end_matches('>').to_owned())
        .collect()
}

/// The anchors that a page's headings get: lower case, punctuation gone, blanks to hyphens.
fn anchors(text: &str) -> Vec<String> {
    let mut fenced = false;
    text.lines()
        .filter(|line| {
            let fence = line.trim_start().starts_with("```");
            fenced ^= fence;
            !fenced && !fence && line.starts_with('#')
        })
        .map(|line| {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            let kept = heading
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

/// `a/b/../c` as `a/c`; nothing if it leads out of the repository.
fn normal(path: &Path) -> Option<PathBuf> {
    path.components()
        .try_fold(PathBuf::new(), |mut whole, part| match part {
            Component::Normal(name) => {
                whole.push(name);
                Some(whole)
            }
            Component::ParentDir => whole.pop().then_some(whole),
            Component::CurDir => Some(whole),
            Component::RootDir | Component::Prefix(_) => None,
        })
}

#[test]
fn links_between_our_files_lead_somewhere() {
    let pages = sources(".md");
    let mut complaints = Vec::new();
    for (path, text) in &pages {
        for target in targets(text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = target
                .split_once('#')
                .map_or((&*target, None), |(file, anchor)| (file, Some(anchor)));
            let folder = Path::new(path).parent().unwrap();
            let file = if file.is_empty() {
                Some(PathBuf::from(path))
            } else {
                normal(&folder.join(file))
            };
            match file {
                Some(file) if root().join(&file).exists() => {
                    let page = pages.iter().find(|(path, _)| Path::new(path) == file);
                    if let (Some(anchor), Some((_, page))) = (anchor, page)
                        && !anchors(page).iter().any(|heading| heading == anchor)
                    {
                        complaints.push(format!("{path}: `{target}`: no such heading"));
                    }
                }
                _ => complaints.push(format!("{path}: `{target}`: no such file")),
            }
        }
    }
    expect_none(&complaints);
}

#[test]
fn links_are_found_outside_of_code_only() {
    let text = "[a](b.md#c \"title\") `[no](x)` ![i](<p.png>)\n```\n[no](y)\n```\n[d](#e)";
    assert_eq!(targets(text), ["b.md#c", "p.png", "#e"]);
    assert_eq!(
        anchors("# The `store` contract, v1\n```\n# no\n```\n## Two  words"),
        ["the-store-contract-v1", "two--words"]
    );
    assert_eq!(
        normal(Path::new("docs/../a/./b.md")),
        Some(PathBuf::from("a/b.md"))
    );
    assert_eq!(normal(Path::new("docs/../../b.md")), None);
}
