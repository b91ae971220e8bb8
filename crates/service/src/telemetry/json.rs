//! Log lines as JSON: one object a line, fields beside the message, the fields of the spans around it merged in.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

use super::traces;

/// Formats events for a subscriber that formats the fields of spans with [`JsonFields`].
#[derive(Debug)]
pub(super) struct JsonLines {
    /// The word in the field `stream`, where several streams share one output.
    pub(super) stream: Option<&'static str>,
}

impl<S> FormatEvent<S, JsonFields> for JsonLines
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Members::default();
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        line.put("timestamp", &timestamp);
        line.put("level", event.metadata().level().as_str());
        line.put("target", event.metadata().target());
        if let Some(stream) = self.stream {
            line.put("stream", stream);
        }
        for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
            if let Some(fields) = span.extensions().get::<FormattedFields<JsonFields>>()
                && let Ok(fields) = serde_json::from_str::<Map<String, Value>>(fields)
            {
                for (name, value) in fields {
                    line.put(name, &value);
                }
            }
        }
        if let Some((trace, span)) = traces::ids() {
            line.put("trace_id", &trace);
            line.put("span_id", &span);
        }
        event.record(&mut line);
        line.write(writer)
    }
}

/// The members of one object. A name that comes again replaces what it had.
#[derive(Default)]
struct Members {
    /// Each as JSON, one behind the other.
    text: Vec<u8>,
    /// Where each is.
    places: Vec<(Cow<'static, str>, Range<usize>)>,
}

impl Members {
    fn put(&mut self, name: impl Into<Cow<'static, str>>, value: &(impl Serialize + ?Sized)) {
        let (name, start) = (name.into(), self.text.len());
        if self.append(&name, value).is_err() {
            return self.text.truncate(start);
        }
        let place = start..self.text.len();
        match self.places.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = place,
            None => self.places.push((name, place)),
        }
    }

    fn append(&mut self, name: &str, value: &(impl Serialize + ?Sized)) -> serde_json::Result<()> {
        serde_json::to_writer(&mut self.text, name)?;
        self.text.push(b':');
        serde_json::to_writer(&mut self.text, value)
    }

    fn write(&self, mut writer: Writer<'_>) -> fmt::Result {
        let text = str::from_utf8(&self.text).map_err(|_| fmt::Error)?;
        for (at, (_, place)) in self.places.iter().enumerate() {
            writer.write_char(if at == 0 { '{' } else { ',' })?;
            writer.write_str(&text[place.clone()])?;
        }
        writer.write_str("}\n")
    }
}

/// What a value shows for debugging, as a string.
struct Shown<'a>(&'a dyn fmt::Debug);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:?}", self.0))
    }
}

impl Visit for Members {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), &value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), &Shown(value));
    }
}
