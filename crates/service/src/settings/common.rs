//! The sections that both servers have.

use std::io::IsTerminal;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::reader::Reader;
use super::value_type::{self, Enum};

/// `[ops]`: the listener for health and metrics.
#[derive(Debug, Clone)]
pub struct OpsSettings {
    /// `ops.listen`, `HUBKEY_OPS_LISTEN`; the server's own default.
    pub listen: SocketAddr,
}

/// Reads `[ops]`. Each server has its own default port, since they may share one pod.
pub fn read_ops(reader: &Reader, default_port: u16) -> OpsSettings {
    let default = SocketAddr::from((Ipv4Addr::LOCALHOST, default_port));
    let listen = reader.section("ops").or(
        "listen",
        &value_type::ADDRESS,
        default,
        "Where `/healthz`, `/readyz` and `/metrics` are served; never route it to the outside.",
    );
    OpsSettings { listen }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// `[log]` and `[audit]`: what is told, and where.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// `log.format`, `HUBKEY_LOG_FORMAT`; text on a terminal, else JSON.
    pub format: LogFormat,
    /// `log.filter`, `HUBKEY_LOG_FILTER`; `info`.
    pub filter: String,
    /// `audit.file`, `HUBKEY_AUDIT_FILE`; none, that is, audit lines go to standard error marked `"stream":"audit"`.
    pub audit_file: Option<PathBuf>,
}

const FORMAT: Enum<LogFormat> = Enum(&[("json", LogFormat::Json), ("text", LogFormat::Text)]);

/// Reads `[log]` and `[audit]`.
pub fn read_log(reader: &Reader) -> LogSettings {
    let log = reader.section("log");
    let format = log.optional(
        "format",
        &FORMAT,
        "How log lines look. Left out: `text` on a terminal, else `json`.",
    );
    let filter = log.or(
        "filter",
        &value_type::TEXT,
        "info".to_owned(),
        "Which log lines are written: a level, or directives such as `info,hubkey_token_broker=debug`.",
    );
    if filter
        .parse::<tracing_subscriber::filter::Targets>()
        .is_err()
    {
        log.fail(
            "filter",
            "this is not a filter; write a level such as `info`.",
        );
    }
    let audit_file = reader.section("audit").optional(
        "file",
        &value_type::PATH,
        "Where audit lines are appended. Left out: to standard error, marked `\"stream\":\"audit\"`.",
    );
    let of_terminal = if std::io::stderr().is_terminal() {
        LogFormat::Text
    } else {
        LogFormat::Json
    };
    LogSettings {
        format: format.unwrap_or(of_terminal),
        filter,
        audit_file,
    }
}
