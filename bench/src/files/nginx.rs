//! nginx as a server of plain files: what the machine gives away at most.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    BenchError, io,
    process::{self, AddressSource, ServerProcess},
};

/// Starts nginx on a folder whose files it serves, as its documentation advises for downloads: `sendfile`, and no log.
pub(super) fn start(binary: &Path, folder: &Path) -> Result<(ServerProcess, PathBuf), BenchError> {
    let address = process::free_address()?;
    let root = folder.join("files");
    fs::create_dir_all(&root).map_err(io(format!("creating {}", root.display())))?;
    fs::write(root.join("ready"), "yes").map_err(io("writing a file for nginx"))?;
    let own = folder.display();
    let configuration = format!(
        "daemon off; worker_processes 1; pid {own}/pid; error_log {own}/error.log;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\n  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;\n  \
         client_body_temp_path {own}/t1; proxy_temp_path {own}/t2; fastcgi_temp_path {own}/t3; uwsgi_temp_path {own}/t4; scgi_temp_path {own}/t5;\n  \
         server {{ listen {address}; root {own}/files; }}\n}}\n"
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, configuration).map_err(io(format!("writing {}", file.display())))?;
    let mut command = Command::new(binary);
    // One process: its processor time is that of its one worker.
    command
        .arg("-c")
        .arg(&file)
        .arg("-e")
        .arg(folder.join("error.log"))
        .args(["-g", "master_process off;"]);
    let source = AddressSource::Given(address);
    let server = ServerProcess::start("nginx", command, source, "/ready", &process::log_path(folder))?;
    Ok((server, root))
}

/// Its version.
pub(super) fn version(binary: &Path) -> Result<String, BenchError> {
    // It prints that on its error output.
    let output = Command::new(binary)
        .arg("-v")
        .output()
        .map_err(io("running nginx"))?;
    Ok(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}
