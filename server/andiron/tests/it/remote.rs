//! Commands on a server elsewhere: over HTTPS, through a proxy as there has to be one in front of a server.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use andiron_testkit::{Output, ServerProcess, run_with};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::program;

/// A proxy that takes HTTPS and passes on what is inside; its certificate, which signs itself, is in PEM.
async fn proxy(to: SocketAddr) -> (SocketAddr, String) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that does not trust the certificate goes away, which is part of a test.
                let Ok(mut outside) = acceptor.accept(stream).await else {
                    return;
                };
                let mut inside = TcpStream::connect(to).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
            });
        }
    });
    (address, cert.pem())
}

/// Runs a command on a thread where waiting for it holds nobody up.
async fn run(folder: &Path, variables: Vec<(&'static str, String)>, arguments: Vec<String>) -> Output {
    let folder = folder.to_owned();
    let command = move || {
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        run_with(program(), &folder, &variables, &arguments)
    };
    tokio::task::spawn_blocking(command).await.unwrap()
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_speak_https_and_trust_only_whom_the_system_trusts() {
    let (served, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = ServerProcess::start(program(), served.path(), &[]);
    let (address, certificate) = proxy(server.address()).await;
    let url = format!("https://localhost:{}", address.port());
    std::fs::write(elsewhere.path().join("ca.pem"), certificate).unwrap();
    std::fs::write(elsewhere.path().join("r.json"), r#"[{"n":1},{"n":2}]"#).unwrap();
    let key = server.printed_key().unwrap().to_owned();
    let trusting = vec![
        (
            "SSL_CERT_FILE",
            elsewhere.path().join("ca.pem").display().to_string(),
        ),
        ("ANDIRON_URL", url.clone()),
        ("ANDIRON_KEY", key.clone()),
    ];
    let folder = elsewhere.path();
    let import = run(folder, trusting.clone(), words("import r.json --collection r"))
        .await
        .expect(0);
    assert!(import.stderr.is_empty(), "{}", import.stderr);
    let export = run(folder, trusting.clone(), words("export r")).await.expect(0);
    assert_eq!(export.stdout.lines().count(), 2);
    let list = run(folder, trusting, words("key list")).await.expect(0);
    assert!(list.stdout.starts_with("first "), "{}", list.stdout);

    // The same without the certificate: the system's own authorities have not signed it.
    let distrusting = vec![("ANDIRON_URL", url), ("ANDIRON_KEY", key.clone())];
    let refused = run(folder, distrusting, words("export r")).await;
    assert_ne!(refused.code, Some(0));
    assert!(
        !refused.stderr.contains(&key) && refused.stdout.is_empty(),
        "{}",
        refused.stderr
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_none_of_ours_is_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut request)
                .await
                .unwrap();
            let answer =
                b"HTTP/1.1 301 Moved Permanently\r\nLocation: https://x/\r\nContent-Length: 2\r\n\r\nno";
            tokio::io::AsyncWriteExt::write_all(&mut stream, answer)
                .await
                .unwrap();
        }
    });
    let variables = vec![("ANDIRON_URL", url), ("ANDIRON_KEY", "ak_x_y".to_owned())];
    let output = run(folder.path(), variables, words("export")).await.expect(1);
    assert!(
        output.stderr.contains("not Andiron's") && output.stderr.contains("301"),
        "{}",
        output.stderr
    );
}
