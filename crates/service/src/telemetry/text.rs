//! Log lines as text, with the place in a trace at their end.

use std::fmt::{self, Write as _};

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::traces;

/// The lines of `tracing_subscriber`, and what a trace backend knows them by.
#[derive(Debug, Default)]
pub(super) struct TextLines(Format);

impl<S, N> FormatEvent<S, N> for TextLines
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.0
            .format_event(context, Writer::new(&mut line), event)?;
        if let Some((trace, span)) = traces::ids() {
            line.truncate(line.trim_end().len());
            writeln!(line, " trace_id={trace} span_id={span}")?;
        }
        writer.write_str(&line)
    }
}
