//! Replies that are spoiled on the way: for any endpoint that answers with JSON.

use std::io::{Read, repeat};
use std::time::Duration;

use flate2::Compression;
use flate2::read::GzEncoder;
use http::StatusCode;

use super::{Case, bad, odd, of_row};
use crate::fake_http::{Pace, Reply};

/// The cases of one row.
#[must_use]
pub fn of(row: &str) -> Vec<Case<Reply>> {
    of_row(ALL, row)
}

/// The statuses of P73.
pub const REDIRECTS: [StatusCode; 5] = [
    StatusCode::MOVED_PERMANENTLY,
    StatusCode::FOUND,
    StatusCode::SEE_OTHER,
    StatusCode::TEMPORARY_REDIRECT,
    StatusCode::PERMANENT_REDIRECT,
];

/// All cases.
pub const ALL: &[Case<Reply>] = &[
    bad("p58", "status 500", |r| {
        r.status = StatusCode::INTERNAL_SERVER_ERROR;
    }),
    bad("p58", "an HTML page", |r| {
        *r = Reply::html("<!doctype html><title>Sorry</title>");
    }),
    bad("p58", "garbage", |r| r.body = vec![0x8f; 512].into()),
    bad("p75", "10 MB", |r| pad(r, 10 << 20)),
    bad("p75", "chunks without an end", |r| {
        *r = Reply::json_text(format!("{{\"a\":\"{}", "x".repeat(4096))).paced(Pace::Endless);
    }),
    bad("p75", "one byte a second", |r| {
        r.pace = Pace::Drip {
            bytes: 1,
            every: Duration::from_secs(1),
        };
    }),
    bad("p75", "cut in the middle", |r| {
        r.pace = Pace::CutAfter(r.body.len() / 2);
    }),
    bad("p75", "never", |r| r.pace = Pace::Never),
    bad("p76", "a bomb of gzip", |r| *r = gzip_bomb()),
    bad("p77", "JSON that is called HTML", |r| {
        *r = r.clone().typed("text/html");
    }),
    bad("p77", "JSON without a content type", |r| {
        r.headers.remove("content-type");
    }),
    bad("p77", "a byte order mark", |r| {
        r.edit_text(|text| format!("\u{feff}{text}"));
    }),
    bad("p77", "NaN", |r| {
        r.edit_text(|text| text.replacen('{', "{\"x\":NaN,", 1));
    }),
    bad("p77", "bytes behind the JSON", |r| {
        r.edit_text(|text| text + "{}");
    }),
    bad("p77", "half of the JSON", |r| {
        r.edit_text(|mut text| text.split_off(text.len() / 2));
    }),
    bad("p77", "a list", |r| r.edit_text(|text| format!("[{text}]"))),
    bad("p77", "nothing", |r| r.edit_text(|_| String::new())),
    odd("p77", "a content type with a charset", |r| {
        *r = r.clone().typed("application/json; charset=UTF-8");
    }),
    odd("p79", "a cookie", |r| {
        *r = r.clone().header("set-cookie", "op=1; Path=/");
    }),
];

/// 20 KB that become 20 MB, announced as `Content-Encoding: gzip` (P76).
#[must_use]
pub fn gzip_bomb() -> Reply {
    let mut packed = Vec::new();
    let mut zeroes = GzEncoder::new(repeat(b' ').take(20 << 20), Compression::best());
    // Reading from memory cannot fail.
    let _ = zeroes.read_to_end(&mut packed);
    Reply::json_text(packed).header("content-encoding", "gzip")
}

fn pad(reply: &mut Reply, bytes: usize) {
    let padding = format!("{{\"padding\":\"{}\",", "x".repeat(bytes));
    reply.edit_text(|text| text.replacen('{', &padding, 1));
}
