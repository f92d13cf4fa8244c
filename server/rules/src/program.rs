//! The files of a project's rules, together with what they import.
//!
//! Files are parsed once, however often they are imported. Reading them is the caller's: a program never touches a disk.
//! Imported paths are relative to the importing file and stay inside of the project; a circle of imports is no error.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::diagnostic::{Code, Diagnostic, has_errors};
use crate::parser::parse;
use crate::source::{FileId, Source, SourceError, Sources};
use crate::syntax::{File, Import};

/// The files that a program may consist of, imported ones included.
pub const PROGRAM_FILES_MAX: usize = 64;

/// Parsed files, and who imports whom.
#[derive(Clone, Debug)]
pub struct Program {
    sources: Sources,
    files: Vec<Arc<File>>,
    roots: usize,
    /// By importing file and number of the import there.
    imports: HashMap<(FileId, usize), FileId>,
    diagnostics: Vec<Diagnostic>,
}

impl Program {
    /// Parses the files whose services are in force, and what they import.
    ///
    /// The roots' names are their paths from the project's folder, such as `andiron.rules`. `read` gives the bytes of the
    /// file of such a path, or says why it cannot.
    pub fn load(roots: Vec<Source>, read: &mut dyn FnMut(&str) -> Result<Vec<u8>, String>) -> Self {
        let mut program = Self {
            sources: Sources::default(),
            files: Vec::new(),
            roots: roots.len(),
            imports: HashMap::new(),
            diagnostics: Vec::new(),
        };
        let mut names: HashMap<String, FileId> = HashMap::new();
        let mut waiting = VecDeque::new();
        for root in roots {
            let name = root.name().to_owned();
            let id = program.add(root);
            names.insert(name, id);
            waiting.push_back(id);
        }
        while let Some(id) = waiting.pop_front() {
            let file = Arc::clone(&program.files[id.index()]);
            if !file.version.has_extensions() {
                program.refuse_imports(&file);
                continue;
            }
            for (number, import) in file.imports.iter().enumerate() {
                let importer = program.sources.get(id).name();
                let resolved = resolve(importer, &import.path);
                let Some(name) = resolved else {
                    program.complain(
                        import,
                        format!("`{}` is no path of a rules file of this project", import.path),
                        "write it as `./folder/name.rules` or `../name.rules`, from the folder of this file",
                    );
                    continue;
                };
                if let Some(known) = names.get(&name) {
                    program.imports.insert((id, number), *known);
                    continue;
                }
                if program.files.len() >= PROGRAM_FILES_MAX {
                    let message = format!("a program has at most {PROGRAM_FILES_MAX} files");
                    program
                        .diagnostics
                        .push(Diagnostic::new(Code::Limit, import.span, message));
                    continue;
                }
                match read(&name).and_then(|bytes| {
                    Source::from_bytes(name.as_str(), &bytes).map_err(|error: SourceError| error.to_string())
                }) {
                    Ok(source) => {
                        let imported = program.add(source);
                        names.insert(name, imported);
                        program.imports.insert((id, number), imported);
                        waiting.push_back(imported);
                    }
                    Err(why) => program.complain(
                        import,
                        format!("`{name}` cannot be imported: {why}"),
                        "the path starts from the folder of this file",
                    ),
                }
            }
        }
        program
    }

    /// A program of one file that imports nothing.
    pub fn single(source: Source) -> Self {
        Self::load(vec![source], &mut |_| {
            Err("there are no other files here".to_owned())
        })
    }

    fn add(&mut self, source: Source) -> FileId {
        let id = self.sources.add(source);
        let parsed = parse(id, self.sources.get(id));
        self.diagnostics.extend(parsed.diagnostics);
        self.files.push(Arc::new(parsed.file));
        id
    }

    fn refuse_imports(&mut self, file: &File) {
        for import in &file.imports {
            let version = file.version.as_str();
            self.diagnostics.push(
                Diagnostic::new(
                    Code::Version,
                    import.span,
                    format!("`import` is not part of version {version} of the language"),
                )
                .with_hint("write `rules_version = 'andiron1';` at the top of the file to use it"),
            );
        }
    }

    fn complain(&mut self, import: &Import, message: String, hint: &str) {
        self.diagnostics
            .push(Diagnostic::new(Code::Import, import.path_span, message).with_hint(hint));
    }

    /// The texts.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// All files; the first ones are the roots.
    pub fn files(&self) -> &[Arc<File>] {
        &self.files
    }

    /// The files whose services are in force.
    pub fn roots(&self) -> &[Arc<File>] {
        &self.files[..self.roots]
    }

    /// The file that an import names, by its number among the imports of `file`.
    pub fn imported(&self, file: FileId, number: usize) -> Option<&Arc<File>> {
        let id = self.imports.get(&(file, number))?;
        self.files.get(id.index())
    }

    /// What is wrong with the syntax, the versions and the imports.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Whether a tree may lack something, so that neither checking nor evaluating it means anything.
    pub fn has_errors(&self) -> bool {
        has_errors(&self.diagnostics)
    }
}

/// The path from the project's folder of what `importer` calls `path`.
fn resolve(importer: &str, path: &str) -> Option<String> {
    if !(path.starts_with("./") || path.starts_with("../")) || !path.ends_with(".rules") {
        return None;
    }
    let mut segments: Vec<&str> = importer.split('/').collect();
    segments.pop();
    for segment in path.split('/') {
        match segment {
            "." => {}
            ".." => {
                segments.pop()?;
            }
            "" => return None,
            name if name.contains(['\\', '\0', ':']) => return None,
            name => segments.push(name),
        }
    }
    Some(segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imported_paths_start_from_the_importing_file_and_stay_in_the_project() {
        assert_eq!(resolve("a.rules", "./b.rules").as_deref(), Some("b.rules"));
        assert_eq!(resolve("x/y/a.rules", "../b.rules").as_deref(), Some("x/b.rules"));
        assert_eq!(
            resolve("x/a.rules", "./y/../b.rules").as_deref(),
            Some("x/b.rules")
        );
        for path in [
            "../b.rules",
            "/etc/b.rules",
            "b.rules",
            "./b.txt",
            "./x//b.rules",
            "./c:/b.rules",
        ] {
            assert_eq!(resolve("a.rules", path), None, "{path}");
        }
    }
}
