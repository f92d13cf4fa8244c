//! An OpenID provider of a test's own, which says whatever it is told to.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use andiron_http::HttpOptions;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Router, routing};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::sync::Mutex;
use tokio::net::TcpListener;

pub(crate) const CLIENT_ID: &str = "the-client";

/// What a code of the provider is worth.
#[derive(Clone)]
struct Issued {
    claims: Value,
    challenge: String,
    redirect_uri: String,
}

pub(crate) struct IdentityProvider {
    pub(crate) address: SocketAddr,
    key: Arc<EcdsaKeyPair>,
    issued: Arc<Mutex<HashMap<String, Issued>>>,
}

fn json_answer(status: StatusCode, json: &Value) -> Response {
    let mut response = Response::new(Body::from(json.to_string()));
    *response.status_mut() = status;
    response
}

impl IdentityProvider {
    pub(crate) async fn start() -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let provider = Self {
            address: listener.local_addr().unwrap(),
            key: Arc::new(key),
            issued: Arc::default(),
        };
        let issuer = provider.issuer();
        let document = json!({
            "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/jwks"),
        });
        let keys = json!({"keys": [provider.public_key()]});
        let (key, issued) = (Arc::clone(&provider.key), Arc::clone(&provider.issued));
        let token = async move |request: Request| {
            let form = to_bytes(request.into_body(), 10_000).await.unwrap();
            let fields: HashMap<String, String> = form_fields(&String::from_utf8_lossy(&form));
            let Some(issued) = issued.lock().unwrap().remove(&fields["code"]) else {
                return json_answer(StatusCode::BAD_REQUEST, &json!({"error": "invalid_grant"}));
            };
            let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&fields["code_verifier"]));
            let is_good = challenge == issued.challenge
                && fields["redirect_uri"] == issued.redirect_uri
                && fields["client_id"] == CLIENT_ID
                && fields["client_secret"] == "the-secret";
            if !is_good {
                return json_answer(StatusCode::BAD_REQUEST, &json!({"error": "invalid_grant"}));
            }
            let token = sign(&key, &json!({"alg": "ES256", "kid": "k1"}), &issued.claims);
            json_answer(StatusCode::OK, &json!({"access_token": "x", "id_token": token}))
        };
        let router = Router::new()
            .route(
                "/.well-known/openid-configuration",
                routing::get(async move || json_answer(StatusCode::OK, &document)),
            )
            .route(
                "/jwks",
                routing::get(async move || json_answer(StatusCode::OK, &keys)),
            )
            .route("/token", routing::post(token));
        tokio::spawn(async move {
            andiron_http::serve(listener, router, &HttpOptions::default(), std::future::pending()).await
        });
        provider
    }

    pub(crate) fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    fn public_key(&self) -> Value {
        let point = self.key.public_key().as_ref();
        json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "k1",
            "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..]),
        })
    }

    /// Claims that are as they should be.
    pub(crate) fn claims(&self, subject: &str, email: Option<(&str, Value)>, now_seconds: i64) -> Value {
        let mut claims = json!({
            "iss": self.issuer(), "aud": CLIENT_ID, "sub": subject,
            "iat": now_seconds, "exp": now_seconds + 300, "name": "Ada",
        });
        if let Some((email, verified)) = email {
            claims["email"] = json!(email);
            if !verified.is_null() {
                claims["email_verified"] = verified;
            }
        }
        claims
    }

    /// An ID token of the provider with these claims.
    pub(crate) fn id_token(&self, claims: &Value) -> String {
        sign(&self.key, &json!({"alg": "ES256", "kid": "k1"}), claims)
    }

    pub(crate) fn id_token_with(&self, header: &Value, claims: &Value) -> String {
        sign(&self.key, header, claims)
    }

    /// Issues a code, as if somebody had signed in at the URL that a browser was sent to.
    pub(crate) fn code(&self, location: &str, mut claims: Value) -> String {
        let fields = form_fields(location.split_once('?').unwrap().1);
        assert_eq!(fields["code_challenge_method"], "S256");
        assert_eq!(fields["client_id"], CLIENT_ID);
        if claims.get("nonce").is_none() {
            claims["nonce"] = json!(fields["nonce"]);
        }
        let mut issued = self.issued.lock().unwrap();
        let code = format!("code-{}", issued.len());
        let new = Issued {
            claims,
            challenge: fields["code_challenge"].clone(),
            redirect_uri: fields["redirect_uri"].clone(),
        };
        issued.insert(code.clone(), new);
        code
    }
}

fn sign(key: &EcdsaKeyPair, header: &Value, claims: &Value) -> String {
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The fields of a form or a query.
pub(crate) fn form_fields(text: &str) -> HashMap<String, String> {
    let decode = |text: &str| {
        percent_encoding::percent_decode_str(text)
            .decode_utf8()
            .unwrap()
            .into_owned()
    };
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}
