use super::*;

/// Everything by which a caller may try to be somebody else.
const FORGED: &str = "x-forwarded-for: 192.0.2.1\r\nx-forwarded-host: evil.example\r\n\
    x-forwarded-proto: http\r\nx-forwarded-prefix: /evil\r\nforwarded: for=192.0.2.1;host=evil.example\r\n\
    x-real-ip: 192.0.2.1\r\nx-original-url: /names\r\nx-rewrite-url: /names\r\n\
    x_forwarded_for: 192.0.2.1\r\nremote_user: alice\r\nx-http-method-override: DELETE\r\n";

async fn ask(running: &Running, path: &str, fields: &str) -> String {
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n{fields}\r\n");
    let answer = running.ask(request).await;
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[tokio::test]
async fn security_q11_forged_headers_change_nothing() {
    let running = start(quick(), sample()).await;
    assert_eq!(ask(&running, "/peer", FORGED).await, "127.0.0.1");
    assert_eq!(ask(&running, "/names", FORGED).await, "connection,host");
}

#[tokio::test]
async fn security_q11_trusted_proxy_is_believed_for_the_address_only() {
    let trusted_proxies = vec![
        "127.0.0.0/8".parse().unwrap(),
        "10.0.0.0/8".parse().unwrap(),
    ];
    let running = start(
        Limits {
            trusted_proxies,
            ..quick()
        },
        sample(),
    )
    .await;
    let cases = [
        ("x-forwarded-for: 192.0.2.1\r\n", "192.0.2.1"),
        ("x-forwarded-for: 203.0.113.9, 192.0.2.1\r\n", "192.0.2.1"),
        (
            "x-forwarded-for: 203.0.113.9, 192.0.2.1, 10.1.2.3\r\n",
            "192.0.2.1",
        ),
        (
            "x-forwarded-for: 203.0.113.9\r\nx-forwarded-for: 192.0.2.1\r\n",
            "192.0.2.1",
        ),
        ("x-forwarded-for: 192.0.2.1:4711\r\n", "192.0.2.1"),
        ("x-forwarded-for: [2001:db8::1]\r\n", "2001:db8::1"),
        ("x-forwarded-for: ::ffff:192.0.2.1\r\n", "192.0.2.1"),
        ("x-forwarded-for: 192.0.2.1, nonsense\r\n", "127.0.0.1"),
        (
            "x-forwarded-for: 192.0.2.1, nonsense, 10.1.2.3\r\n",
            "10.1.2.3",
        ),
        (
            "forwarded: for=192.0.2.1\r\nx-real-ip: 192.0.2.1\r\n",
            "127.0.0.1",
        ),
        ("", "127.0.0.1"),
    ];
    for (fields, expected) in cases {
        assert_eq!(ask(&running, "/peer", fields).await, expected, "{fields}");
    }
    assert_eq!(ask(&running, "/names", FORGED).await, "connection,host");
}

#[test]
fn addresses_of_one_host_share_a_bucket() {
    let network = |text: &str| ClientAddr::new(text.parse().unwrap()).network().to_string();
    assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
    assert_eq!(network("192.0.2.1"), "192.0.2.1");
}
