//! Where things lie, and how other programs are started from there.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::Failure;

/// The checkout that this program was built from.
pub(crate) struct Workspace {
    /// Its root folder.
    pub(crate) root: PathBuf,
    /// Where cargo puts what it builds.
    pub(crate) target: PathBuf,
}

impl Workspace {
    pub(crate) fn find() -> Result<Self, Failure> {
        // Cargo sets it anew whenever it runs this program; the compiled-in path is for a binary run by itself.
        let manifest =
            env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
        let root = Path::new(&manifest)
            .parent()
            .ok_or("this program lies outside of a workspace")?
            .to_owned();
        let output = cargo_in(&root)
            .args(["metadata", "--no-deps", "--format-version=1"])
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| format!("cargo cannot be started: {error}"))?;
        let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("`cargo metadata` failed: {error}"))?;
        let target = metadata["target_directory"]
            .as_str()
            .ok_or("`cargo metadata` names no target directory")?;
        Ok(Self {
            root,
            target: PathBuf::from(target),
        })
    }

    /// The cargo that started this program, at the root.
    pub(crate) fn cargo(&self) -> Command {
        cargo_in(&self.root)
    }

    /// Any program, at the root.
    pub(crate) fn program(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        command
    }

    /// The ignored folder for programs that are installed for this workspace alone.
    pub(crate) fn tools(&self) -> PathBuf {
        self.root.join(".tools")
    }

    /// Installs a program from crates.io into [`Workspace::tools`], unless that version is there, and gives its path.
    /// Built without optimisation: these run for seconds, and building them must not take minutes.
    pub(crate) fn install(&self, name: &str, version: &str, options: &[&str]) -> Result<PathBuf, Failure> {
        let program = self.tools().join("bin").join(name);
        // Subcommands of cargo print their own version only when they are called as cargo calls them.
        let present = Command::new(&program)
            .arg("--version")
            .output()
            .is_ok_and(|output| {
                String::from_utf8_lossy(&output.stdout)
                    .split_whitespace()
                    .any(|word| word == version)
            });
        if !present {
            println!("installing {name} {version} into .tools/");
            let mut command = self.cargo();
            command
                .args([
                    "install",
                    name,
                    "--version",
                    version,
                    "--locked",
                    "--debug",
                    "--quiet",
                ])
                .args(options)
                .arg("--root")
                .arg(self.tools())
                .env("CARGO_TARGET_DIR", self.target.join("tools"));
            succeed(&mut command).map_err(|failure| format!("{name} could not be installed: {failure}"))?;
        }
        Ok(program)
    }
}

fn cargo_in(root: &Path) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    // What cargo told this program about its own package would mislead the programs it starts.
    for (name, _) in env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
        {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command to its end; its output goes where ours does.
pub(crate) fn succeed(command: &mut Command) -> Result<(), Failure> {
    let name = name_of(command);
    let status = command
        .status()
        .map_err(|error| format!("`{name}` cannot be started: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{name}` ended with {status}"))
    }
}

/// A program's name without its folder, for messages.
pub(crate) fn name_of(command: &Command) -> String {
    let program = Path::new(command.get_program());
    program
        .file_name()
        .unwrap_or(program.as_os_str())
        .to_string_lossy()
        .into_owned()
}

/// Whether a program can be started at all.
pub(crate) fn is_there(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}
