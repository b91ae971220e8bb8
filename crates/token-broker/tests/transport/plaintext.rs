//! Every channel to another machine is encrypted, or has a switch that says it is not. 192.0.2.0/24 is nobody's.

use hubkey_fakes::certificates::Authority;

use crate::program::Program;

/// Asserts that settings are refused with this mistake and no other, and taken with the switch.
async fn needs_a_word(program: Program, key: &str, switch: &str) {
    let told = program.mistakes().await;
    assert!(told.contains(&format!("`{key}`: ")), "{told}");
    let dotted = switch.to_ascii_lowercase().replacen('_', ".", 1);
    assert!(told.contains(&format!("`{dotted} = true`")), "{told}");
    assert!(!told.contains("canary"), "{told}");
    assert_eq!(program.set(switch, "true").mistakes().await, "");
}

#[tokio::test]
async fn security_x1_the_kernel_listener_needs_tls_or_a_word() {
    let program = || Program::new().set("KERNEL_LISTEN", "192.0.2.1:8091");
    needs_a_word(program(), "kernel.listen", "KERNEL_ALLOW_PLAINTEXT").await;
    let program = program();
    let pair = Authority::new("test").unwrap().issue(&["broker"]).unwrap();
    let files = pair.write(program.folder.path()).unwrap();
    let encrypted = program
        .set(
            "KERNEL_CERTIFICATE_FILE",
            files.certificate.display().to_string(),
        )
        .set(
            "KERNEL_CERTIFICATE_KEY_FILE",
            files.key.display().to_string(),
        );
    assert_eq!(encrypted.mistakes().await, "");
}

#[tokio::test]
async fn security_x1_the_internal_listener_needs_a_word() {
    let program = Program::new().set("INTERNAL_LISTEN", "192.0.2.1:8092");
    needs_a_word(program, "internal.listen", "INTERNAL_ALLOW_PLAINTEXT").await;
}

#[tokio::test]
async fn security_x1_the_hub_needs_tls_or_a_word() {
    let program = Program::new().set("HUB_API_URL", "http://hub.example.org:8081/hub/api");
    needs_a_word(program, "hub.api_url", "HUB_ALLOW_PLAINTEXT").await;
}

#[tokio::test]
async fn security_x1_redis_needs_tls_or_a_word() {
    let program = || Program::new().redis("redis://:canary@redis.example.org");
    needs_a_word(program(), "redis.url_file", "REDIS_ALLOW_PLAINTEXT").await;
    let refused = program().fails().await;
    assert!(refused.contains("is not encrypted"), "{refused}");
    let encrypted = Program::new().redis("rediss://:canary@redis.example.org");
    assert_eq!(encrypted.mistakes().await, "");
}

#[tokio::test]
async fn security_x1_a_provider_needs_tls_or_a_word() {
    let explicit = "issuer = \"https://login.example.org\"\n\
        authorization_endpoint = \"https://login.example.org/authorize\"\n\
        token_endpoint = \"http://login.example.org/token\"\n\
        jwks_uri = \"https://login.example.org/jwks\"";
    for (lines, key) in [
        ("issuer = \"http://login.example.org\"", "issuer"),
        (explicit, "token_endpoint"),
    ] {
        let told = Program::new().provider(lines).mistakes().await;
        assert!(
            told.contains(&format!("`providers.lab-api.{key}`: ")),
            "{told}"
        );
        assert!(
            told.contains("`providers.lab-api.allow_plaintext = true`"),
            "{told}"
        );
        let permitted = format!("{lines}\nallow_plaintext = true");
        assert_eq!(Program::new().provider(&permitted).mistakes().await, "");
    }
}

#[tokio::test]
async fn security_x1_loopback_needs_no_word() {
    let program = Program::new()
        .set("HUB_API_URL", "http://127.0.0.1:8081/hub/api")
        .redis("redis://127.0.0.1")
        .provider("issuer = \"http://localhost:8080/realms/lab\"");
    assert_eq!(program.mistakes().await, "");
}

#[tokio::test]
async fn security_x1_each_use_of_plain_text_is_told_at_start() {
    let tells = |log: &str, setting: &str| {
        let line = format!(r#""setting":"{setting}""#);
        assert!(log.contains(&line), "{setting}: {log}");
    };
    // These two are told before the listeners are bound, which here fails.
    let listeners = Program::new()
        .set("KERNEL_LISTEN", "192.0.2.1:8091")
        .set("KERNEL_ALLOW_PLAINTEXT", "true")
        .set("INTERNAL_LISTEN", "192.0.2.1:8092")
        .set("INTERNAL_ALLOW_PLAINTEXT", "true");
    let log = listeners.fails().await;
    tells(&log, "kernel.allow_plaintext");
    tells(&log, "internal.allow_plaintext");

    let outward = Program::new()
        .set("HUB_API_URL", "http://hub.example.org:8081/hub/api")
        .set("HUB_ALLOW_PLAINTEXT", "true")
        .provider("issuer = \"http://login.example.org\"\nallow_plaintext = true");
    let (_child, log) = outward.start().await;
    tells(&log, "hub.allow_plaintext");
    tells(&log, "providers.<id>.allow_plaintext");

    let redis = Program::new()
        .redis("redis://:canary@redis.invalid")
        .set("REDIS_ALLOW_PLAINTEXT", "true");
    let log = redis.fails().await;
    assert!(
        log.contains(r#""danger":"the connection to Redis is not encrypted"#),
        "{log}"
    );
    assert!(!log.contains("canary"), "{log}");

    let (_child, log) = Program::new().start().await;
    assert!(!log.contains("plaintext"), "{log}");
}

#[tokio::test]
async fn a_providers_file_of_authorities_is_read_at_start_or_told_as_a_mistake() {
    let lines = |path: &std::path::Path| {
        let issuer = "issuer = \"https://login.example.org\"";
        format!("{issuer}\nca_file = {:?}", path.display().to_string())
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let program = || Program::new().provider(&lines(&path));
    let told = program().mistakes().await;
    assert!(
        told.contains("`providers.lab-api.ca_file`: ")
            && told.contains("can be read (entity not found)"),
        "{told}"
    );
    std::fs::write(&path, "no certificate").unwrap();
    let told = program().mistakes().await;
    assert!(
        told.contains("`providers.lab-api.ca_file`: name a file with certificates as PEM"),
        "{told}"
    );
    std::fs::write(&path, Authority::new("company").unwrap().pem()).unwrap();
    assert_eq!(program().mistakes().await, "");
}
