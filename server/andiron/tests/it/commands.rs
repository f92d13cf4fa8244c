//! What commands say about themselves, and the small ones.

use std::fs;

use crate::run;

#[test]
fn every_command_explains_itself() {
    let folder = tempfile::tempdir().unwrap();
    for command in [
        "",
        "serve",
        "init",
        "import",
        "export",
        "backup",
        "restore",
        "key",
        "key create",
        "key list",
        "key revoke",
        "auth rotate-keys",
        "mail test",
        "doctor",
        "rules",
        "rules check",
        "rules fmt",
        "rules test",
        "rules explain",
        "types",
        "config show",
        "completions",
    ] {
        let mut arguments: Vec<_> = command.split_whitespace().collect();
        arguments.push("--help");
        let help = run(folder.path(), &arguments).expect(0).stdout;
        insta::assert_snapshot!(format!("help {command}").trim().replace(' ', "_"), help);
    }
}

#[test]
fn a_version_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let expected = format!("andiron {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(run(folder.path(), &["version"]).expect(0).stdout, expected);
    assert_eq!(run(folder.path(), &["--version"]).expect(0).stdout, expected);
}

#[test]
fn completions_are_made_for_every_shell() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(folder.path(), &["completions", shell]).expect(0).stdout;
        assert!(script.contains("andiron") && script.contains("import"), "{shell}");
    }
}

#[test]
fn init_makes_a_folder_that_can_be_used_and_never_overwrites() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["init", "project"]).expect(0);
    let project = folder.path().join("project");
    let rules = fs::read_to_string(project.join("andiron.rules")).unwrap();
    assert!(rules.contains("allow read, write: if false;"), "{rules}");
    assert_eq!(
        fs::read_to_string(project.join(".gitignore"))
            .unwrap()
            .lines()
            .last(),
        Some("/andiron-data/")
    );
    // Every setting stands there, commented out, and with the comments taken away it still is what holds.
    let defaults = run(folder.path(), &["config", "show"]).expect(0).stdout;
    let toml = fs::read_to_string(project.join("andiron.toml")).unwrap();
    let untouched = run(folder.path(), &["config", "show", "--dir", "project"])
        .expect(0)
        .stdout;
    assert_eq!(untouched, defaults);
    let in_force: String = toml
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') => format!("{setting}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    fs::write(project.join("andiron.toml"), &in_force).unwrap();
    let values = |shown: &str| -> Vec<String> {
        shown
            .lines()
            .map(|line| line.split("  #").next().unwrap().trim().to_owned())
            .collect()
    };
    let shown = run(folder.path(), &["config", "show", "--dir", "project"])
        .expect(0)
        .stdout;
    assert_eq!(values(&shown), values(&defaults));
    assert!(
        shown.lines().all(|line| line.contains("andiron.toml:")),
        "{shown}"
    );

    let again = run(folder.path(), &["init", "project"]).expect(0).stdout;
    assert_eq!(again.matches("left as it is").count(), 3, "{again}");
    assert_eq!(
        fs::read_to_string(project.join("andiron.toml")).unwrap(),
        in_force
    );
}

#[test]
fn a_key_is_printed_alone_and_can_be_ended() {
    let folder = tempfile::tempdir().unwrap();
    let made = run(folder.path(), &["key", "create", "importer"]).expect(0);
    assert!(
        made.stderr.is_empty() && made.stdout.ends_with('\n'),
        "{}",
        made.stderr
    );
    let list = run(folder.path(), &["key", "list"]).expect(0).stdout;
    assert!(
        list.starts_with("importer  ") && !list.contains(made.stdout.trim()),
        "{list}"
    );
    let double = run(folder.path(), &["key", "create", "importer"]).expect(1);
    assert!(double.stderr.contains("already"), "{}", double.stderr);
    let bad = run(folder.path(), &["key", "create", "a/b"]).expect(1);
    assert!(bad.stderr.contains("letters, digits"), "{}", bad.stderr);
    run(folder.path(), &["key", "revoke", "importer"]).expect(0);
    assert_eq!(run(folder.path(), &["key", "list"]).expect(0).stdout, "");
    run(folder.path(), &["key", "revoke", "importer"]).expect(1);
}

#[test]
fn a_key_is_made_for_what_it_is_needed_for_and_as_long_as_that() {
    let folder = tempfile::tempdir().unwrap();
    let scoped = "key create reader --scope documents:read:posts --scope audit:read --expires 90d";
    let words: Vec<_> = scoped.split(' ').collect();
    run(folder.path(), &words).expect(0);
    run(folder.path(), &["key", "create", "all"]).expect(0);
    let list = run(folder.path(), &["key", "list"]).expect(0).stdout;
    let lines: Vec<_> = list.lines().collect();
    assert!(
        lines[0].starts_with("reader  ")
            && lines[0].ends_with("  never used  documents:read:posts audit:read"),
        "{list}"
    );
    assert!(
        lines[1].ends_with("  no end      never used  everything") || lines[1].contains("no end"),
        "{list}"
    );
    for (option, value) in [
        ("--scope", "documents"),
        ("--expires", "soon"),
        ("--expires", "2020-01-01"),
    ] {
        let output = run(folder.path(), &["key", "create", "bad", option, value]);
        assert_ne!(output.code, Some(0), "{option} {value}");
    }
}

#[test]
fn what_only_reads_does_not_begin_a_project_where_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["export"][..],
        &["key", "list"],
        &["key", "revoke", "x"],
        &["doctor"],
    ] {
        let output = run(folder.path(), arguments).expect(1);
        assert!(output.stderr.contains("there is no data in"), "{}", output.stderr);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{arguments:?}");
    }
}

#[test]
fn a_doctor_finds_damage_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("r.json"),
        format!("[{{\"text\":\"{}\"}}]", "x".repeat(20_000)),
    )
    .unwrap();
    run(folder.path(), &["import", "r.json", "--collection", "r"]).expect(0);
    let well = run(folder.path(), &["doctor"]).expect(0).stdout;
    assert!(well.contains("every page") && !well.contains("PROBLEM"), "{well}");

    let database = folder.path().join("andiron-data/andiron.db");
    let mut bytes = fs::read(&database).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0xa5);
    fs::write(&database, bytes).unwrap();
    let output = run(folder.path(), &["doctor"]).expect(3);
    assert!(output.stdout.contains("PROBLEM"), "{}", output.stdout);
}

#[test]
fn a_doctor_finds_a_folder_that_others_can_look_into() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["key", "create", "x"]).expect(0);
    let data = folder.path().join("andiron-data");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
    let output = run(folder.path(), &["doctor"]).expect(3);
    assert!(output.stdout.contains("has mode 755"), "{}", output.stdout);
}
